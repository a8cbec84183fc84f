"""A schedule: what ordered the steps of one run, as a plain value.

It names a scenario and what of it takes part, and says where the run left the default policy; the
rest follows that policy (`strategy.default_choice`). So one that a shrinker has been at is short,
and is written as a token. The steps in order, where they are known, make replay exact: they go
into the JSON form, and only their fingerprint into the token.

    s SEED  d STRAND.STRAND  p AT-TO.AT-TO-TO  y (yields)  f FINGERPRINT    the fields of a token
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

from deadheat.errors import TokenError
from deadheat.schedule import token as tokens
from deadheat.schedule.names import digest
from deadheat.schedule.trace import Switch, steps_of, switches_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deadheat.schedule.trace import Released

JSON_VERSION = 1
_SOURCE = re.compile(r"[0-9a-f]{8}")
_FIELDS = {
    "d": re.compile(r"[A-Za-z0-9]+(\.[A-Za-z0-9]+)*"),
    "f": re.compile(r"[0-9a-z]{6}"),
    "p": re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)+(\.[A-Za-z0-9]+(-[A-Za-z0-9]+)+)*"),
    "s": re.compile(r"[1-9][0-9]*"),
    "y": re.compile(r"1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What ordered one run. A fingerprint that is not given is taken of the steps."""

    scenario: str
    source: str
    """Eight hex digits that stand for the scenario's source text."""
    seed: int = 0
    dropped: tuple[str, ...] = ()
    """Keys of the strands, operations and deliveries, that do not take part."""
    switches: tuple[Switch, ...] = ()
    yields: bool = False
    steps: tuple[str, ...] = ()
    """Keys of all released steps in order, where known; two that went together joined by ``+``."""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.steps and not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint_of(self.steps))

    def recorded(self, trace: Sequence[Released]) -> Schedule:
        """Give the schedule of what really happened in a run of this one."""
        return replace(self, switches=switches_of(trace), steps=steps_of(trace), fingerprint="")

    def token(self) -> str | None:
        """Write it as ``dh1-…``; None if that takes more than `TOKEN_MAX` characters, or cannot be.

        What a token cannot hold (a key that is not letters and digits, a source that is no hash) is
        seen by reading it back: a token that is given names this schedule and no other.
        """
        text = self._written()
        if len(text) > tokens.TOKEN_MAX:
            return None
        try:
            return text if Schedule.parse(text) == replace(self, steps=()) else None
        except TokenError:
            return None

    def _written(self) -> str:
        switches = ("-".join((switch.at, *switch.to)) for switch in self.switches)
        return tokens.write(
            self.scenario,
            self.source,
            {
                "d": ".".join(self.dropped),
                "f": self.fingerprint,
                "p": ".".join(switches),
                "s": str(self.seed or ""),
                "y": "1" if self.yields else "",
            },
        )

    @classmethod
    def parse(cls, token: str) -> Schedule:
        """Read a token; TokenError says what is wrong with it."""
        scenario, source, given = tokens.read(token)
        if not _SOURCE.fullmatch(source):
            raise tokens.wrong(token, f"its scenario's source, {source!r}, is not eight hex digits")
        for letter, text in given.items():
            if letter not in _FIELDS or not _FIELDS[letter].fullmatch(text):
                raise tokens.wrong(token, f"it holds a part that is not understood, {letter + text!r}")
        switches = [switch.split("-") for switch in given.get("p", "").split(".") if switch]
        schedule = cls(
            scenario=scenario,
            source=source,
            seed=int(given.get("s", 0)),
            dropped=tuple(given["d"].split(".")) if "d" in given else (),
            switches=tuple(Switch(at, tuple(to)) for at, *to in switches),
            yields="y" in given,
            fingerprint=given.get("f", ""),
        )
        if schedule._written() != token:
            raise tokens.wrong(token, "its parts are repeated, out of order, or not as Deadheat writes them")
        return schedule

    def to_json(self) -> dict[str, Any]:
        """Give the whole of it as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        switches = [{"at": switch.at, "to": list(switch.to)} for switch in self.switches]
        lists = {"dropped": list(self.dropped), "switches": switches, "steps": list(self.steps)}
        return {"v": JSON_VERSION} | values | lists

    @classmethod
    def from_json(cls, data: Any) -> Schedule:
        """Read what `to_json` gave; TokenError names the first thing that is not as it should be."""
        match data:
            case {"v": int(version)} if version != JSON_VERSION:
                raise TokenError(
                    f"This schedule was written by another version of Deadheat: its v is {version}, "
                    f"this one reads {JSON_VERSION}."
                )
            case {"v": _, "scenario": str(), "source": str()}:
                return cls(**{name: _read(data, name) for name in _READ if name in data})
        raise TokenError(
            'This is no schedule: it is not a JSON object with "v", "scenario" and "source". '
            "Give the file as Deadheat wrote it."
        )


def fingerprint_of(steps: Sequence[str]) -> str:
    """Give six base36 characters that stand for these steps in this order."""
    return digest(" ".join(steps), 6)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError
    return tuple(value)


def _switches(value: Any) -> tuple[Switch, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(Switch(_exactly(str)(item["at"]), _texts(item["to"])) for item in value)


def _exactly(kind: type) -> Any:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


_READ = {
    "scenario": _exactly(str),
    "source": _exactly(str),
    "seed": _exactly(int),
    "dropped": _texts,
    "switches": _switches,
    "yields": _exactly(bool),
    "steps": _texts,
    "fingerprint": _exactly(str),
}


def _read(data: Mapping[str, Any], name: str) -> Any:
    try:
        return _READ[name](data[name])
    except (TypeError, KeyError):
        raise TokenError(
            f'This is no schedule: its "{name}" is {shortened(data[name])}. '
            "Give the file as Deadheat wrote it."
        ) from None
