"""The forms, explored in this process on a server of its own; or where they run already."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deadheat.engine.discover import discover
from deadheat.engine.explore import Budget
from deadheat.engine.memory import NoMemory
from deadheat.engine.postgres import open_postgres
from deadheat.engine.suite import finish, new_run_id, open_explorer
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from deadheat.engine.events import Exploration, SuiteFinished, Verdict
    from deadheat.history import Step
    from deadheat.invariants.invariant import Invariant
    from deadheat.settings import Settings

HERE = Path(__file__).parent


@dataclass(slots=True)
class Histories:
    """A sink that keeps the steps of every run."""

    steps: list[Step]

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        return self.steps.append

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Explored:
    """What became of the scenarios, by name, of all of them together, and every step."""

    scenarios: Mapping[str, Exploration]
    finished: SuiteFinished
    steps: list[Step]

    def first_run(self) -> list[Step]:
        """Give the steps of the first run that counted."""
        return [step for step in self.steps if step.run == self.steps[0].run]

    def violated(self, name: str) -> set[str]:
        return {finding.invariant for finding in self.scenarios[name].findings}


def settings_of(
    folder: Path, dsn: str, *, forms: str = "", target: str = "deadheat.toml", **options: object
) -> Settings:
    """Load the settings of the forms; ``forms`` is the bug that they have."""
    given = {"target": str(HERE / target), "postgres": dsn, "stripe-mock": "off", "workers": 1, "seed": 7}
    return load_settings(options={**given, **options}, environ={"FORMS": forms}, cwd=folder)


def explore(
    settings: Settings,
    names: tuple[str, ...],
    schedules: Mapping[str, int],
    *,
    own: tuple[Invariant, ...] = (),
) -> Explored:
    """Explore scenarios of the forms under these strategies, so many schedules each."""
    settings = replace(settings, own_invariants=(*settings.own_invariants, *own))
    scenarios = discover([HERE / "scenarios"])
    steps: list[Step] = []

    async def explored() -> dict[str, Exploration]:
        made: dict[str, Exploration] = {}
        async with open_explorer(
            settings,
            run_id=new_run_id(),
            folder=settings.state_folder,
            sink=Histories(steps),
            emit=lambda event: None,
        ) as explorer:
            explorer.memory = NoMemory()
            for name in names:
                budget = Budget(strategies=tuple(schedules), schedules=sum(schedules.values()))
                made[name] = await explorer.explore(scenarios[f"forms.{name}"], budget)
        return made

    settings.state_folder.mkdir(exist_ok=True)
    made = asyncio.run(explored())
    return Explored(made, finish(list(made.values()), 1.0), steps)


@contextmanager
def a_server() -> Iterator[str]:
    """Run a Postgres server; gives its DSN."""
    with asyncio.Runner() as runner:
        opened = open_postgres("embedded")
        server = runner.run(opened.__aenter__())
        yield server.dsn_for("postgres")
        runner.run(opened.__aexit__(None, None, None))
