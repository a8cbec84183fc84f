"""The command line. Each command has a module of its own; this one puts them together.

Everything found wrong before the first run ends with exit code 2 and one message; no traceback.
"""

from __future__ import annotations

import click

import deadheat
from deadheat.cli.compare import compare
from deadheat.cli.doctor import doctor
from deadheat.cli.explore import explore
from deadheat.cli.init import init
from deadheat.cli.replay import replay
from deadheat.cli.report import report
from deadheat.cli.risk import risk
from deadheat.cli.run import run
from deadheat.cli.serve import serve
from deadheat.cli.soak import soak
from deadheat.cli.stripe import stripe

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(deadheat.__version__, prog_name="deadheat")
def main() -> None:
    """Race a Stripe billing integration, and assert that nothing happens twice or is lost."""


for command in (compare, doctor, explore, init, replay, report, risk, run, serve, soak, stripe):
    main.add_command(command)
