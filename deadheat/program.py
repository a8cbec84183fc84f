"""Programs: what people and Stripe do, as plain values, and the scenarios that build them.

A scenario is a function from a fresh `World` to a `Program`. Nothing here runs anything: an
operation is a value that names its user, and the engine decides what it means at the target
(`deadheat.toml`) or at Stripe (the simulator).
"""

from __future__ import annotations

import inspect
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from deadheat.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Order = Literal["emitted", "reversed", "any"]
Forgery = Literal["unsigned", "badly-signed", "stale"]

_NAMES = ("Ada", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Iris", "Jun", "Kai", "Lea")


@dataclass(frozen=True, slots=True)
class User:
    """A person of one run. ``id`` and ``email`` carry the run's marker; ``id`` is a UUID."""

    id: str
    email: str
    name: str

    def do(self, operation: str) -> Do:
        """Do one of the target's operations, by its name in ``[target.operations]``."""
        return Do(self, operation)

    def pay(self) -> Pay:
        """Pay the checkout session that this actor was last given (else the user's last one)."""
        return Pay(self)

    def cancel(self) -> Cancel:
        """Cancel the user's live subscriptions at Stripe, at once."""
        return Cancel(self)

    def refund(self) -> Refund:
        """Refund the user's latest paid invoice at Stripe."""
        return Refund(self)


@dataclass(frozen=True, slots=True)
class Do:
    """One of the target's operations."""

    user: User
    operation: str


@dataclass(frozen=True, slots=True)
class Pay:
    """The customer's act: completes a checkout session at Stripe."""

    user: User


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stripe's act: cancels the live subscriptions of a user at once."""

    user: User


@dataclass(frozen=True, slots=True)
class Refund:
    """Stripe's act: refunds the latest paid invoice of a user."""

    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """A stream of webhook deliveries, until nothing else can emit an event and each was attempted.

    ``duplicates`` is how often each event is delivered once more; ``forged`` sends deliveries that
    must be refused instead of true ones.
    """

    order: Order = "emitted"
    duplicates: int = 0
    forged: Forgery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Stripe's API fails: the next ``times`` calls of this user to ``route``.

    ``when`` is where it fails: "before" the effect, "after" it, or "lost" (the effect happened and
    the answer never arrives; ``status`` is then meaningless).
    """

    user: User
    route: str
    status: int = 500
    times: int = 1
    when: Literal["before", "after", "lost"] = "before"


Operation = Do | Pay | Cancel | Refund | Deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Operations before (one by one), then actors that race, then settling.

    Events that ``before`` made wait until a `Deliveries` operation or settling brings them.
    """

    before: Sequence[Operation] = ()
    race: Sequence[Sequence[Operation]]
    faults: Sequence[Fault] = ()

    def __post_init__(self) -> None:
        """Turn the lists into tuples; ProgramError for what is not an operation."""
        object.__setattr__(self, "before", tuple(self.before))
        object.__setattr__(self, "race", tuple(tuple(actor) for actor in self.race))
        object.__setattr__(self, "faults", tuple(self.faults))
        if not self.race or not all(self.race):
            raise ProgramError("a program needs at least one actor, and each actor an operation")
        for operation in self.operations():
            if not isinstance(operation, Operation):
                raise ProgramError(
                    f"not an operation: {operation!r}. Use user.do(…), user.pay(), user.cancel(), "
                    "user.refund() or world.deliveries(…)"
                )

    def operations(self) -> tuple[Operation, ...]:
        """Give every operation, those before first, then actor by actor."""
        return (*self.before, *(operation for actor in self.race for operation in actor))

    def users(self) -> tuple[User, ...]:
        """Give the users that act in the program, in order of appearance."""
        found: dict[User, None] = {}
        for operation in self.operations():
            if not isinstance(operation, Deliveries):
                found.setdefault(operation.user)
        return tuple(found)

    def recast(self, world: World) -> Program:
        """Give the same program with fresh users of ``world`` in the parts of its own."""
        parts = {user: world.user(user.name.split(" ")[0]) for user in self.users()}

        def play(operation: Operation) -> Operation:
            if isinstance(operation, Deliveries):
                return operation
            return replace(operation, user=parts[operation.user])

        return Program(
            before=[play(operation) for operation in self.before],
            race=[[play(operation) for operation in actor] for actor in self.race],
            faults=[replace(f, user=parts[f.user]) for f in self.faults if f.user in parts],
        )


@dataclass(slots=True)
class World:
    """A fresh world: makes the users of one run. ``marker`` stands in everything they carry."""

    marker: str
    _made: list[User] = field(default_factory=list)

    def user(self, name: str | None = None) -> User:
        """Make a new user."""
        n = len(self._made)
        name = name or _NAMES[n % len(_NAMES)]
        made = User(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"deadheat:{self.marker}:{n}")),
            email=f"{name.lower()}.{n}.{self.marker}@example.test",
            name=f"{name} {self.marker}",
        )
        self._made.append(made)
        return made

    def deliveries(
        self, *, order: Order = "emitted", duplicates: int = 0, forged: Forgery | None = None
    ) -> Deliveries:
        """Deliver the events as they come, in ``order``, each ``duplicates`` times more."""
        return Deliveries(order=order, duplicates=duplicates, forged=forged)

    def stripe_fails(
        self,
        user: User,
        route: str,
        *,
        status: int = 500,
        times: int = 1,
        when: Literal["before", "after", "lost"] = "before",
    ) -> Fault:
        """Make Stripe fail the next ``times`` calls to ``route``, e.g. ``POST /v1/customers``."""
        return Fault(user=user, route=route, status=status, times=times, when=when)

    @property
    def users(self) -> tuple[User, ...]:
        """The users made so far."""
        return tuple(self._made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A named function that builds a program from a fresh world."""

    name: str
    needs: tuple[str, ...]
    build: Callable[[World], Program]
    about: str

    def __call__(self, world: World) -> Program:
        """Build the program; ProgramError when the function returned something else."""
        program = self.build(world)
        if not isinstance(program, Program):
            raise ProgramError(f"scenario {self.name} returned {program!r}, not a Program")
        return program


def scenario(
    *, needs: Sequence[str] = (), name: str | None = None
) -> Callable[[Callable[[World], Program]], Scenario]:
    """Mark a function as a scenario.

    ``needs`` names the operations that a target must offer ("pay", "cancel" and "refund" are
    Stripe's and always there). The name is ``module.function`` in kebab-case, without ``test_``.
    """

    def mark(build: Callable[[World], Program]) -> Scenario:
        module = build.__module__.rsplit(".", 1)[-1].removeprefix("test_")
        return Scenario(
            name=name or f"{module}.{build.__name__.removeprefix('test_')}".replace("_", "-"),
            needs=tuple(needs),
            build=build,
            about=inspect.getdoc(build) or "",
        )

    return mark
