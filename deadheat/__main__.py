"""``python -m deadheat`` is ``deadheat``."""

from deadheat.cli import main

main(prog_name="deadheat")
