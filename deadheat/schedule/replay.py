"""Replay: the choices of a schedule, made again.

Three ways, by what is known and wanted:

- strict, the steps known: exactly these, in this order;
- strict, the steps unknown (a token): the default policy, and each switch where it left it. Once a
  switch is due its steps are waited for, whatever else comes to be held meanwhile;
- lenient, for the shrinker, whose schedules were never run: what cannot be is passed over. With
  steps known they are a wished-for order: the first of them that is held goes. Nothing diverges.

A step that does not come makes `choose` answer "wait". Whoever conducts waits as long as it likes
and then calls `give_up`: that is noted, and the default policy goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.schedule.schedule import fingerprint_of
from deadheat.schedule.strategy import default_choice
from deadheat.schedule.trace import TOGETHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.schedule import Schedule
    from deadheat.schedule.strategy import Held

WAIT = ()


class Replay:
    """Chooses as a schedule says. ``diverged`` names the first step that came otherwise."""

    name = "replay"
    controlled = True
    faults = 1000  # those that its schedule names

    def __init__(self, schedule: Schedule, *, strict: bool = True) -> None:
        self.yields = schedule.yields
        self.diverged: str | None = None
        self._schedule = schedule
        self._strict = strict
        self.begin(1)

    def begin(self, run: int) -> None:
        """Start again from the first step; every run is the same."""
        self.diverged = None
        self._steps = [tuple(entry.split(TOGETHER)) for entry in self._schedule.steps]
        self._switches = [] if self._steps else list(self._schedule.switches)
        self._follows = bool(self._steps)
        self._due: tuple[str, ...] | None = None
        self._last: str | None = None
        self._released: list[str] = []
        self._held: Sequence[Held] = ()

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give what the schedule says; nothing if that is not held yet."""
        self._held = held
        where = {step.name.key: index for index, step in reversed(list(enumerate(held)))}
        if not self._strict:
            chosen = self._wished(where) or self._switched_if_held(held, where)
        elif self._follows:
            chosen = self._next_of_the_steps(where)
        else:
            chosen = self._switched(held, where)
        if chosen is None:
            chosen = (default_choice(held, self._last),)
        if chosen:
            self._last = held[chosen[-1]].name.strand
            self._released.append(TOGETHER.join(held[index].name.key for index in chosen))
        return chosen

    def give_up(self) -> None:
        """Take note that what was waited for never came; go on by the default policy."""
        waited_for = self._due or (self._steps[0] if self._steps else ())
        self._diverge(f"was to be {' and '.join(waited_for)}, which never came")
        self._leave()

    def finished(self) -> str | None:
        """Say at the end of a run how it differed from the schedule; None if it did not."""
        if not self._strict or self.diverged:
            return self.diverged
        if self._steps:
            missing = " and ".join(self._steps[0])
            self.diverged = (
                f"the run ended after {len(self._released)} steps, before {missing}; "
                f"{len(self._steps)} steps of the schedule were left"
            )
        elif self._due or self._switches:
            missing = " and ".join(self._due or self._switches[0].to)
            self.diverged = (
                f"the run ended after {len(self._released)} steps, without a switch to {missing}; "
                f"{len(self._switches) + bool(self._due)} switches of the schedule were left"
            )
        elif (known := self._schedule.fingerprint) and fingerprint_of(self._released) != known:
            self.diverged = (
                f"every switch was made, and yet the {len(self._released)} steps of the run are not "
                f"those recorded: their fingerprint is {fingerprint_of(self._released)}, not {known}"
            )
        return self.diverged

    def _next_of_the_steps(self, where: dict[str, int]) -> tuple[int, ...] | None:
        if not self._steps:
            self._diverge("was to be none, the schedule being at its end")
            self._leave()
            return None
        if not all(key in where for key in self._steps[0]):
            return WAIT
        return tuple(where[key] for key in self._steps.pop(0))

    def _switched(self, held: Sequence[Held], where: dict[str, int]) -> tuple[int, ...] | None:
        if self._due is None:
            at = held[default_choice(held, self._last)].name.key
            switch = next((switch for switch in self._switches if switch.at == at), None)
            if switch is None:
                return None
            self._due = switch.to
            self._switches.remove(switch)
        if not all(key in where for key in self._due):
            return WAIT
        due, self._due = self._due, None
        return tuple(where[key] for key in due)

    def _switched_if_held(self, held: Sequence[Held], where: dict[str, int]) -> tuple[int, ...] | None:
        at = held[default_choice(held, self._last)].name.key
        for switch in [switch for switch in self._switches if switch.at == at]:
            self._switches.remove(switch)
            if all(key in where for key in switch.to):
                return tuple(where[key] for key in switch.to)
        return None

    def _wished(self, where: dict[str, int]) -> tuple[int, ...] | None:
        """Give the first of the wished-for steps that is held, and strike it off."""
        for number, keys in enumerate(self._steps):
            if there := tuple(where[key] for key in keys if key in where):
                del self._steps[number]
                return there
        return None

    def _leave(self) -> None:
        self._steps.clear()
        self._switches.clear()
        self._follows, self._due = False, None

    def _diverge(self, how: str) -> None:
        if self.diverged is None:
            steps = [step for step in self._held if not step.fault]
            held = ", ".join(f"{step.name} ({step.name.key})" for step in steps) or "nothing"
            self.diverged = f"step {len(self._released) + 1} {how}; held: {held}"
