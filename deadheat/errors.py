"""Every error that Deadheat raises on purpose, in one tree.

    DeadheatError
    ├── SetupError                 something was wrong before the first run started (exit code 2)
    │   ├── SettingsError          an option, a variable or a key of deadheat.toml
    │   │   └── NothingCaptured    a placeholder that no answer has given a value for
    │   ├── UnknownScenario        no scenario has that name
    │   ├── PostgresUnavailable    no server to be had, or it does not answer
    │   ├── StripeMockUnavailable  the stripe-mock that was asked for is not there
    │   ├── TargetNotReady         the target did not start, or never answered its ready path
    │   ├── ProgramError           a scenario built a program that makes no sense
    │   ├── TokenError             a text that is no schedule, or not a whole one
    │   └── Refused                unsafe: a live key, or an address that is not loopback
    ├── Trouble                    a run could not be judged (exit code 3)
    │   ├── TargetLost             the target is gone, and no fault of ours took it down
    │   └── DatabaseLost           the database is gone, likewise
    ├── ProtocolError              one side of a Postgres connection broke the protocol, or one of its limits
    ├── ActRefused                 Stripe would not let a person do that (pay a session that is not open)
    └── Inconclusive               an exploration that nothing can be said of
    Violated (AssertionError)      an exploration in which an invariant was violated

A message says what is wrong, where, and what to do next. An unknown name suggests the closest one.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class DeadheatError(Exception):
    """The root: whatever else is raised is a bug in Deadheat."""


class SetupError(DeadheatError):
    """Something was wrong before the first run started."""


class SettingsError(SetupError):
    """An option, an environment variable or a key of deadheat.toml is wrong."""


class NothingCaptured(SettingsError):
    """A placeholder that no answer has given a value for; ``name`` is the placeholder's."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownScenario(SetupError):
    """No scenario has that name."""


class PostgresUnavailable(SetupError):
    """There is no Postgres server to be had, or it does not answer."""


class StripeMockUnavailable(SetupError):
    """The stripe-mock that was asked for is not there."""


class TargetNotReady(SetupError):
    """The target did not start, or never answered its ready path."""


class ProgramError(SetupError):
    """A scenario built a program that makes no sense."""


class TokenError(SetupError):
    """A text is no schedule, or not a whole one."""


class Refused(SetupError):
    """Deadheat refuses: a live key, or an address that is not loopback."""


class Trouble(DeadheatError):
    """A run could not be judged."""


class TargetLost(Trouble):
    """The target is gone, and no fault of ours took it down."""


class DatabaseLost(Trouble):
    """The database is gone, and no fault of ours took it down."""


class ProtocolError(DeadheatError):
    """One side of a Postgres connection broke the protocol or one of its limits; the text says which side."""


class ActRefused(DeadheatError):
    """Stripe would not let a person do that."""


class Inconclusive(DeadheatError):
    """An exploration that nothing can be said of; its text begins INCONCLUSIVE."""

    def __init__(self, text: str, exploration: Any = None) -> None:
        super().__init__(text if text.startswith("INCONCLUSIVE") else f"INCONCLUSIVE: {text}")
        self.exploration = exploration


class Violated(AssertionError):
    """An exploration in which an invariant was violated."""

    def __init__(self, text: str, exploration: Any = None) -> None:
        super().__init__(text)
        self.exploration = exploration


def closest(name: str, known: Iterable[str]) -> str:
    """Name the nearest of ``known``, as a clause to end a message with; empty when none is near.

    >>> closest("checkot", ["checkout", "signup"])
    ' Did you mean "checkout"?'
    """
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f' Did you mean "{near[0]}"?' if near else ""
