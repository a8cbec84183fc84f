"""``python -m deadheat`` and the command ``deadheat``.

Importing everything takes a while; Ctrl-C during it must end like any other.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def start() -> None:
    """Run the command line; 130 for Ctrl-C, however early it comes."""
    try:
        from deadheat.cli import main

        main(prog_name="deadheat")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    start()
