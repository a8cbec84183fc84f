"""Levels of control: how much of a target's wires is ours, and what that leaves unchecked.

    0  answers: what people are told, and nothing else
    1  and the database: the mapped relations are read
    2  and Stripe: the target's Stripe base is our simulator, so its calls, acts and webhooks are ours
    3  and statements: the target's database is our proxy's port, so every order is a choice

A target that Deadheat starts has level 3. One that runs already has what the settings name: a DSN to
read, a port for the simulator, a port for the proxy. Each level runs what it can. What it cannot see is
*not checked*, with the reason; what it cannot do (pay a session at a Stripe that is not ours, deliver an
event) is left out of a program, and a scenario whose race that would take away is skipped by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deadheat.program import Do, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deadheat.program import Operation, Program
    from deadheat.settings import Settings

HIGHEST = 3
FAULTS = "faults"
RELATIONS = ("customers", "subscriptions", "effects")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which wires are ours beside HTTP: the database to read, Stripe's, the statements."""

    database: bool = True
    stripe: bool = True
    statements: bool = True

    @property
    def level(self) -> int:
        """The level of control, 0 to 3."""
        return 3 if self.statements else 2 if self.stripe else 1 if self.database else 0

    def __str__(self) -> str:
        """Say it in a line: ``level 1 of 3: answers and the database``."""
        seen = ["answers"]
        seen += ["the database"] * self.database + ["Stripe"] * self.stripe + ["statements"] * self.statements
        listed = seen[0] if len(seen) == 1 else f"{', '.join(seen[:-1])} and {seen[-1]}"
        return f"level {self.level} of {HIGHEST}: {listed}{' only' if len(seen) == 1 else ''}"

    def cannot(self) -> tuple[str, ...]:
        """Say what cannot be done or seen here, a line for each wire that is not ours."""
        return tuple(self._cannot())

    def _cannot(self) -> Iterator[str]:
        if not self.database:
            yield "the database: what the target wrote is not seen (--postgres DSN names it)"
        if not self.stripe:
            yield (
                "Stripe: what it holds is not seen, nobody pays, cancels or fails there, webhooks are left "
                "to it (--stripe-port makes it ours, with the target's Stripe base there)"
            )
        if not self.statements:
            yield (
                "statements: only serial and barrage are run, and nothing can be replayed (--postgres-port "
                "makes them ours, with the target's database there)"
            )

    def unseen(self) -> Mapping[str, str]:
        """Give what an invariant may need and no run here can show, each with the reason."""
        reasons = {}
        if not self.database:
            why = f"at level {self.level} there is no database to read"
            reasons = dict.fromkeys((*RELATIONS, "database"), why)
        if not self.stripe:
            reasons["stripe"] = f"at level {self.level} what Stripe holds is not seen"
            reasons["webhook"] = f"at level {self.level} webhooks are Stripe's own"
        return reasons

    def fit(self, program: Program) -> Program:
        """Give a program without what cannot be done here."""
        if self.stripe:
            return program
        kept = (tuple(operation for operation in actor if _can(operation)) for actor in program.race)
        return replace(
            program,
            before=tuple(operation for operation in program.before if _can(operation)),
            race=tuple(actor for actor in kept if actor),
            faults=(),
        )

    def left_out(self, program: Program) -> tuple[str, ...]:
        """Name what `fit` takes away."""
        if self.stripe:
            return ()
        names = [name_of(operation) for operation in program.operations() if not _can(operation)]
        return tuple(dict.fromkeys((*names, *([FAULTS] if program.faults else ()))))

    def lacks(self, program: Program, races: tuple[str, ...]) -> tuple[str, ...]:
        """Name what a program cannot do without, and cannot have here: then it is not raced at all.

        That is a fault, an act that the race begins from or is about, and whoever races the only other.
        """
        if self.stripe:
            return ()
        lacking = [name_of(o) for o in program.before if not _can(o) and name_of(o) != "deliveries"]
        lacking += [FAULTS] if program.faults else []
        gone = [actor for actor in program.race if not any(_can(operation) for operation in actor)]
        if len(program.race) - len(gone) < min(2, len(program.race)):
            lacking += [name_of(operation) for actor in gone for operation in actor]
        done = {name_of(o) for actor in program.race for o in actor if _can(o)}
        lacking += [raced for raced in races if raced not in done]
        return tuple(dict.fromkeys(lacking))


WHOLE = Reach()


def _can(operation: Operation) -> bool:
    """Say whether an operation can be done at a target whose Stripe is not ours."""
    return isinstance(operation, Do)


def reach_of(settings: Settings) -> Reach:
    """Give what the settings make ours; a started target has every wire."""
    if settings.target.start is not None:
        return WHOLE
    return Reach(
        database="://" in settings.postgres,
        stripe=settings.stripe_port is not None,
        statements=settings.postgres_port is not None,
    )
