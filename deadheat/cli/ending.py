"""How a command ends: with an exit code, and one message where something is wrong."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from deadheat.errors import DeadheatError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP, INCONCLUSIVE, INTERRUPTED = 2, 3, 130


@contextmanager
def one_message() -> Iterator[None]:
    """Turn an error into its message and exit code, and Ctrl-C into 130."""
    try:
        yield
    except SetupError as error:
        _end(f"deadheat: {error}", SETUP)
    except DeadheatError as error:
        _end(f"deadheat: {error}", INCONCLUSIVE)
    except KeyboardInterrupt:
        _end("interrupted", INTERRUPTED)


def _end(message: str, code: int) -> None:
    click.echo(message, err=True)
    sys.exit(code)
