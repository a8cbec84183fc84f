"""Programs: what people and Stripe do, as plain values, and the scenarios that build them.

A scenario is a function from a fresh `World` to a `Program`. Nothing here runs anything: an
operation is a value that names its user, and the engine decides what it means at the target
(`deadheat.toml`) or at Stripe (the simulator).
"""

from __future__ import annotations

import inspect
import json
import uuid
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from deadheat.errors import ProgramError, closest
from deadheat.stripe_sim import DECLINE_CODES, Dunning, FaultRule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deadheat.stripe_sim.faults import When

Order = Literal["emitted", "reversed", "any"]
Forgery = Literal["unsigned", "badly-signed", "stale"]
Thing = Literal["customer", "subscription", "product"]

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

    def pay(self, *, waits: bool = False, promotion_code: str | None = None) -> Pay:
        """Pay the checkout session that this actor was last given (else the user's last one).

        ``promotion_code`` is typed first, where the session takes any.

        With ``waits`` what the actor does next, its return to the ``success_url``, waits until the
        webhook endpoint has answered checkout.session.completed; see `Pay`.
        """
        return Pay(self, waits, promotion_code)

    def cancel(self) -> Cancel:
        """Cancel the user's live subscriptions at Stripe, at once."""
        return Cancel(self)

    def refund(self) -> Refund:
        """Refund the user's latest paid invoice at Stripe."""
        return Refund(self)

    def renew(self, *, decline: str | None = None) -> Renew:
        """Begin the next period of the user's live subscriptions at Stripe, and charge for it.

        With a ``decline`` code, such as "insufficient_funds", the payment fails.
        """
        return Renew(self, decline)

    def retry_payment(self, *, decline: str | None = None) -> RetryPayment:
        """Let Stripe try once more to charge what a renewal has left unpaid; it fails with ``decline``."""
        return RetryPayment(self, decline)

    def authenticate(self, *, fails: bool = False) -> Authenticate:
        """Pass the challenge (3-D Secure) that the user's payments or cards wait for; or fail it."""
        return Authenticate(self, fails)


@dataclass(frozen=True, slots=True)
class Do:
    """One of the target's operations."""

    user: User
    operation: str


@dataclass(frozen=True, slots=True)
class Pay:
    """The customer's act: completes a checkout session at Stripe.

    Stripe sends the customer on to ``success_url`` when the webhook endpoint has answered
    checkout.session.completed, and after 10 s at the latest. What an actor does after it has paid may come
    before that answer or behind it, then: in a schedule, 10 s are as short as any time. ``waits`` leaves
    only the orders in which Stripe need not give up waiting: the actor goes on when the first attempt of
    that delivery was answered, if by no 2xx after the 10 s. Who never sees it answered never returns.

    Source: Stripe docs, "Fulfill orders", "Redirect your customer to your website"; "Build a subscriptions
    integration with Checkout".
    """

    user: User
    waits: bool = False
    promotion_code: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stripe's act: cancels the live subscriptions of a user at once."""

    user: User


@dataclass(frozen=True, slots=True)
class Refund:
    """Stripe's act: refunds the latest paid invoice of a user."""

    user: User


@dataclass(frozen=True, slots=True)
class Renew:
    """Stripe's act: renews the live subscriptions of a user, with an invoice that is paid.

    With a ``decline`` code the payment fails, whatever the card: invoice.payment_failed, past_due. With
    "authentication_required" the payment waits for the customer, and invoice.payment_action_required says so.
    """

    user: User
    decline: str | None = None

    def __post_init__(self) -> None:
        """ProgramError for a code that no bank gives."""
        _check_decline(self.decline)


@dataclass(frozen=True, slots=True)
class RetryPayment:
    """Stripe's act: tries once more to charge the unpaid renewals of a user, as it does by schedule.

    The last attempt that the account's `Dunning` allows ends them if it fails by ``decline`` too.
    """

    user: User
    decline: str | None = None

    def __post_init__(self) -> None:
        """ProgramError for a code that no bank gives."""
        _check_decline(self.decline)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The customer's act: answers their bank about each payment intent and setup intent that asks for them.

    Who passes pays the invoice or saves the card that waited; who ``fails`` is asked for another card.
    """

    user: User
    fails: bool = False


def _check_decline(code: str | None) -> None:
    if code is not None and code not in DECLINE_CODES:
        known = ", ".join(DECLINE_CODES)
        raise ProgramError(f'"{code}" is none of the decline codes that Stripe\'s test cards show: {known}')


@dataclass(frozen=True, slots=True)
class AtStripe:
    """Somebody's act at the dashboard that has nothing to do with any user of the run.

    They make a customer, a customer with a subscription, or a product.
    """

    thing: Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """A stream of webhook deliveries, until nothing else can emit an event and each was attempted.

    ``duplicates`` is how often each event is delivered once more; ``lost`` how many answers to each
    event get lost on their way back: Stripe saw none, so a retry follows. ``forged`` sends
    deliveries that must be refused instead of true ones. ``every_type``: in this run the endpoint
    is subscribed to every type of event, so that types come that the target never asked for.
    ``doubled``: in this run Stripe makes two events of each change, with ids of their own, as it does
    at times.
    """

    order: Order = "emitted"
    duplicates: int = 0
    lost: int = 0
    forged: Forgery | None = None
    every_type: bool = False
    doubled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Stripe's API fails ``times`` calls of this user to ``route``, from the ``nth`` on.

    ``when`` is how (`deadheat.stripe_sim.faults.FaultRule`): "before" or "after" the effect, with
    ``status``; "lost", "timeout" and "slow" after it, with no answer, none for ``wait_ms`` or a late
    one; "reset" before it; "locked" when another call is writing the same object. ``may_miss`` says
    that a target that never makes such a call is tested all the same; otherwise a fault that never
    struck makes the exploration inconclusive.
    """

    user: User
    route: str
    status: int = 500
    times: int = 1
    nth: int = 1
    when: When = "before"
    wait_ms: int | None = None
    may_miss: bool = False

    def __post_init__(self) -> None:
        """ProgramError for what Stripe could not do."""
        try:
            self.rule()
        except ValueError as error:
            raise ProgramError(str(error)) from None

    def rule(self) -> FaultRule:
        """Give it as the rule that Stripe goes by."""
        return FaultRule(
            when=self.when,
            route=self.route,
            user=self.user.id,
            nth=self.nth,
            times=self.times,
            status=self.status,
            wait_ms=self.wait_ms,
        )


ActOfUser = Pay | Cancel | Refund | Renew | RetryPayment | Authenticate
Act = ActOfUser | AtStripe
Operation = Do | Act | Deliveries

ACTS: Mapping[str, type[Act]] = {
    "pay": Pay,
    "cancel": Cancel,
    "refund": Refund,
    "renew": Renew,
    "retry-payment": RetryPayment,
    "authenticate": Authenticate,
    "at-stripe": AtStripe,
}
"""What happens at Stripe, by name; no operation of a target may be called so."""

DELIVERIES = "deliveries"
FAULTS_MAX = 5


def name_of(operation: Operation) -> str:
    """Give an operation's name: the target's, or that of an act at Stripe, or "deliveries"."""
    if isinstance(operation, Do):
        return operation.operation
    if isinstance(operation, Deliveries):
        return DELIVERIES
    return next(name for name, act in ACTS.items() if isinstance(operation, act))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Operations before (one by one), then actors that race, then settling.

    Events that ``before`` made wait until a `Deliveries` operation or settling brings them. ``faults`` strike
    where they say; beside them up to ``faults_max`` more may strike anywhere in a schedule (docs/faults.md).
    ``dunning`` is what the Stripe account does about renewals that are not paid. ``frozen_time`` is where
    Stripe's clock begins, in seconds since 1970, as that of a test clock; without it, now.
    """

    before: Sequence[Operation] = ()
    race: Sequence[Sequence[Operation]]
    faults: Sequence[Fault] = ()
    faults_max: int = 0
    dunning: Dunning = field(default_factory=Dunning)
    frozen_time: int | None = None

    def __post_init__(self) -> None:
        """Turn the lists into tuples; ProgramError for what is not an operation."""
        object.__setattr__(self, "before", tuple(self.before))
        object.__setattr__(self, "race", tuple(tuple(actor) for actor in self.race))
        object.__setattr__(self, "faults", tuple(self.faults))
        if not 0 <= self.faults_max <= FAULTS_MAX:
            raise ProgramError(f"a schedule has 0 to {FAULTS_MAX} faults, and not {self.faults_max}")
        if not self.race or not all(self.race):
            raise ProgramError("a program needs at least one actor, and each actor an operation")
        for operation in self.operations():
            if not isinstance(operation, Operation):
                raise ProgramError(
                    f"not an operation: {operation!r}. Use user.do(…), user.pay(), user.cancel(), "
                    "user.refund(), user.renew(), user.retry_payment(), user.authenticate(), "
                    "world.deliveries(…) or world.at_stripe(…)"
                )
        racing = self.operations()[len(self.before) :]
        streams = any(isinstance(o, Deliveries) for o in racing)
        if any(isinstance(o, Pay) and o.waits for o in (self.before if streams else self.operations())):
            raise ProgramError(
                "user.pay(waits=True) waits for a race to bring checkout.session.completed: it belongs into "
                "a race with world.deliveries(…)"
            )

    def operations(self) -> tuple[Operation, ...]:
        """Give every operation, those before first, then actor by actor."""
        return (*self.before, *(operation for actor in self.race for operation in actor))

    def users(self) -> tuple[User, ...]:
        """Give the users that act in the program, in order of appearance."""
        found: dict[User, None] = {}
        for operation in self.operations():
            if not isinstance(operation, Deliveries | AtStripe):
                found.setdefault(operation.user)
        return tuple(found)

    def recast(self, world: World) -> Program:
        """Give the same program with fresh users of ``world`` in the parts of its own."""
        parts = {user: world.user(user.name.split(" ")[0]) for user in self.users()}

        def play(operation: Operation) -> Operation:
            if isinstance(operation, Deliveries | AtStripe):
                return operation
            return replace(operation, user=parts[operation.user])

        return Program(
            before=[play(operation) for operation in self.before],
            race=[[play(operation) for operation in actor] for actor in self.race],
            faults=[replace(f, user=parts[f.user]) for f in self.faults if f.user in parts],
            faults_max=self.faults_max,
            dunning=self.dunning,
            frozen_time=self.frozen_time,
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
        self,
        *,
        order: Order = "emitted",
        duplicates: int = 0,
        lost: int = 0,
        forged: Forgery | None = None,
        every_type: bool = False,
        doubled: bool = False,
    ) -> Deliveries:
        """Deliver the events as they come, in ``order``, each ``duplicates`` times more."""
        return Deliveries(
            order=order,
            duplicates=duplicates,
            lost=lost,
            forged=forged,
            every_type=every_type,
            doubled=doubled,
        )

    def at_stripe(self, thing: Thing) -> AtStripe:
        """Let somebody at the dashboard make a customer, a subscription or a product of nobody here."""
        return AtStripe(thing)

    def stripe_fails(
        self,
        user: User,
        route: str,
        *,
        status: int = 500,
        times: int = 1,
        nth: int = 1,
        when: When = "before",
        wait_ms: int | None = None,
        may_miss: bool = False,
    ) -> Fault:
        """Make Stripe fail the user's next calls to ``route``, e.g. ``POST /v1/customers``; see `Fault`."""
        return Fault(
            user=user,
            route=route,
            status=status,
            times=times,
            nth=nth,
            when=when,
            wait_ms=wait_ms,
            may_miss=may_miss,
        )

    @property
    def users(self) -> tuple[User, ...]:
        """The users made so far."""
        return tuple(self._made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A named function that builds a program from a fresh world.

    ``races`` are the two operations that must be in the air at once for the race to have happened;
    empty means any two. ``drawn`` is the program itself as JSON data, where no function builds it.
    """

    name: str
    needs: tuple[str, ...]
    build: Callable[[World], Program]
    about: str
    races: tuple[str, ...] = ()
    drawn: Mapping[str, Any] | None = None

    @property
    def source(self) -> str:
        """Eight hex digits that change when the scenario's source, or its drawn program, does."""
        if self.drawn is not None:
            text = json.dumps(self.drawn, sort_keys=True)
        else:
            try:
                text = inspect.getsource(self.build)
            except OSError:
                text = self.build.__code__.co_code.hex()
        return blake2b(text.encode(), digest_size=4).hexdigest()

    def __call__(self, world: World) -> Program:
        """Build the program; ProgramError when it is none, or does not do what the scenario races."""
        program = self.build(world)
        if not isinstance(program, Program):
            raise ProgramError(f"scenario {self.name} returned {program!r}, not a Program")
        done = {name_of(operation) for actor in program.race for operation in actor}
        for raced in self.races:
            if raced not in done:
                raise ProgramError(
                    f"scenario {self.name} says that it races {raced}, and no actor does that."
                    f"{closest(raced, done)}"
                )
        return program


def scenario(
    *, needs: Sequence[str] = (), races: Sequence[str] = (), name: str | None = None
) -> Callable[[Callable[[World], Program]], Scenario]:
    """Mark a function as a scenario.

    ``needs`` names the operations that a target must offer; what happens at Stripe ("pay",
    "cancel", "refund", "renew") is always there. ``races`` names the two operations that the race
    is about, which may be one and the same: an operation of the target, an act at Stripe, or
    "deliveries". An exploration in which they were never in the air at the same moment is
    inconclusive. The name is ``module.function`` in kebab-case, without ``test_``.
    """
    if len(races) not in (0, 2) or isinstance(races, str):
        raise ProgramError(f"a race is between two operations, and races={races!r} names {len(races)}")

    def mark(build: Callable[[World], Program]) -> Scenario:
        module = build.__module__.rsplit(".", 1)[-1].removeprefix("test_")
        return Scenario(
            name=name or f"{module}.{build.__name__.removeprefix('test_')}".replace("_", "-"),
            needs=tuple(needs),
            build=build,
            about=inspect.getdoc(build) or "",
            races=tuple(races),
        )

    return mark
