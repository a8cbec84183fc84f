"""Kills the reference at every step of an operation, one after the other, and says what came of it.

``python tests/acceptance/kill_everywhere.py`` writes the tables of docs/faults.md. One operation goes
after the other; at its n-th step the target's processes are killed and started again, for n = 1, 2, …
until a run has no n-th step any more.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deadheat import Program, World
from deadheat.engine.seen import Seen, verdict_of
from deadheat.engine.suite import open_explorer
from deadheat.history import Plane, StepKind
from deadheat.program import Scenario
from deadheat.schedule import Schedule, Serial
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deadheat.engine.run import Ran
    from deadheat.schedule import Held

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGINS, ENDS = "<!-- kills: {} -->\n", "<!-- end -->\n"


def sign_up(world: World) -> Program:
    """Somebody signs up, and Stripe's events come."""
    return Program(race=[[world.user().do("sign-up")], [world.deliveries()]])


def check_out(world: World) -> Program:
    """Somebody who has signed up checks out, once more if that failed, and pays; Stripe's events come."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up")],
        race=[[ada.do("check-out"), ada.do("check-out"), ada.pay()], [world.deliveries()]],
    )


PROGRAMS = {"sign-up": sign_up, "check-out": check_out}


class KillAt:
    """One after the other; at the ``nth`` step at which the target can be killed, it is."""

    name = "serial"
    controlled = True
    yields = False
    faults = 1

    def __init__(self, nth: int) -> None:
        self.left = nth
        self._inner = Serial()

    def begin(self, run: int) -> None:
        self._inner.begin(run)

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        (chosen,) = self._inner.choose(held)
        for index, step in enumerate(held):
            if step.fault == "kill" and step.is_fault_of(held[chosen]):
                self.left -= 1
                return (index,) if not self.left else (chosen,)
        return (chosen,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """One run: at which step, what was answered until and after that, and the verdict."""

    nth: int
    step: str
    answers: tuple[str, ...]
    verdict: str
    why: str


async def killed_everywhere(name: str, nths: Iterable[int], folder: Path) -> list[Killed]:
    """Kill at each of these steps; ends at the first that there is not."""
    options: dict[str, Any] = {"target": "reference", "workers": 1, "stripe-mock": "off"}
    settings = load_settings(options=options, environ=os.environ, cwd=folder)
    settings = replace(settings, state_folder=folder / ".deadheat")
    scenario = Scenario(name=f"killed.{name}", needs=(), build=PROGRAMS[name], about="")
    made: list[Killed] = []
    async with open_explorer(
        settings, run_id="kills-1", folder=folder, sink=Nowhere(), emit=lambda event: None
    ) as explorer:
        deployment = explorer.deployments[0]
        await explorer.make_warm(deployment, scenario)
        for nth in nths:
            strategy = KillAt(nth)
            schedule = Schedule(scenario=scenario.name, source=scenario.source)
            ran, judgement = await explorer.run_once(deployment, Seen(scenario), strategy, schedule)
            if not ran.history.of(Plane.FAULT):
                return made
            why = ran.reason or ", ".join(v.invariant for v in judgement.violations if judgement) or ""  # type: ignore[union-attr]
            made.append(
                Killed(
                    nth=nth,
                    step=_step(ran),
                    answers=tuple(_answers(ran)),
                    verdict=str(verdict_of(judgement)),
                    why=why,
                )
            )
    return made


class Nowhere:
    """A sink for histories that nobody reads."""

    def begin(self, run: int, scenario: str, strategy: str) -> Any:
        return lambda step: None

    def end(self, run: int, verdict: Any, reason: str | None) -> None:
        pass


def _step(ran: Ran) -> str:
    (fault,) = ran.history.of(Plane.FAULT)
    strand, _, rest = str(fault.data["step"]).partition(" ")
    parts = strand.split("/")
    return f"{rest} (of {parts[1]})" if len(parts) > 1 else rest


def _answers(ran: Ran) -> Iterator[str]:
    """Give what people were answered, and Stripe where it was no 200."""
    for step in ran.history:
        if step.kind is not StepKind.ANSWER or step.actor == "before":
            continue
        status = step.data["status"]
        said = "no answer" if status is None else str(status)
        if step.plane is Plane.HTTP:
            yield said
        elif status != 200:
            yield f"webhook: {said}"


def table(name: str, kills: Sequence[Killed]) -> str:
    """Give the kills as a table in Markdown."""
    rows = [
        f"| {k.nth} | `{k.step}` | {', '.join(k.answers)} | {k.verdict} {k.why}".rstrip() + " |"
        for k in kills
    ]
    return "\n".join([f"| n | {name}: killed at | answers | verdict |", "|---|---|---|---|", *rows, ""])


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in PROGRAMS:
        with tempfile.TemporaryDirectory() as folder:
            kills = asyncio.run(killed_everywhere(name, range(1, 1000), Path(folder)))
        before, rest = text.split(BEGINS.format(name))
        text = f"{before}{BEGINS.format(name)}{table(name, kills)}{ENDS}{rest.split(ENDS, 1)[1]}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
