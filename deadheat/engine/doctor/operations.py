"""The target's operations, each done once by a fresh user, alone: what it answers and what it asks Stripe.

An operation whose placeholders another one captures is done after that one. One that does not let a
stranger in is tried again by another fresh user who has signed up first, and by one who has paid.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.engine.acts import Acts
from deadheat.engine.caller import Caller
from deadheat.engine.cast import Cast
from deadheat.engine.doctor.plans import provided
from deadheat.engine.gate import NOBODY, RunGate
from deadheat.engine.quiet import Quiet
from deadheat.errors import DeadheatError, Refused, SetupError
from deadheat.history import Plane, Recorder, StepKind
from deadheat.program import World
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.engine.cast import Part
    from deadheat.engine.deployment import Deployment
    from deadheat.engine.doctor.check import Page
    from deadheat.history import Step
    from deadheat.invariants.settled import Answer
    from deadheat.settings import OperationSettings

SIGN_UP, PAY = "sign-up", "pay"
BODY_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An operation that was done: after which others, its answer, and what it asked Stripe."""

    operation: OperationSettings
    after: tuple[str, ...]
    part: Part
    answer: Answer
    body: str
    calls: tuple[Step, ...]

    @property
    def routes(self) -> tuple[str, ...]:
        """Which Stripe calls it made, each once, in order."""
        return tuple(dict.fromkeys(call.label for call in self.calls))


@dataclass(slots=True)
class Trials:
    """Does operations at one deployment and keeps what came of those that were answered."""

    deployment: Deployment
    done: list[Tried] = field(default_factory=list)
    _world: World = field(default_factory=lambda: World(f"doctor-{secrets.token_hex(3)}"))

    @property
    def operations(self) -> Mapping[str, OperationSettings]:
        """The target's operations by name."""
        return self.deployment.settings.target.operations

    async def examine(self, page: Page) -> None:
        """Do each operation and tell how it went; then which Stripe calls crossed the simulator."""
        if not self.operations:
            page.fail("operations", "the target offers none", "Describe them in [target.operations].")
            return
        for operation in self.operations.values():
            if operation.calls or operation.method is not None:  # else it happens at Stripe alone
                await self._examine(page, operation)
        self._examine_crossings(page)

    async def _examine(self, page: Page, operation: OperationSettings) -> None:
        name = f"operation {operation.name}"
        try:
            tried = await self._try(operation)
            self.deployment.check_alive()
        except Refused as error:
            page.fail(name, str(error))
            return
        except SetupError as error:
            page.warn(name, f"cannot be done: {error}", "Let an earlier call capture the value.")
            return
        except DeadheatError as error:
            page.fail(name, str(error))
            return
        self.done.append(tried)
        if tried.answer.status is None:
            page.fail(name, f"no answer at all{_after(tried)}", "Its log may say why.")
        elif not tried.answer.success:
            self._tell_refused(page, name, tried)
        elif odd := self._odd(tried):
            page.warn(name, odd, "Correct the place in [target.operations].")
        else:
            asked = ", ".join(tried.routes) or "none" if self.deployment.reach.stripe else "not seen"
            page.ok(name, f"{tried.answer.status}{_after(tried)}; Stripe calls: {asked}")

    def _tell_refused(self, page: Page, name: str, tried: Tried) -> None:
        said = f"answered {tried.answer.status}{_after(tried)}: {tried.body[:BODY_SHOWN] or 'no body'}"
        if tried.answer.status in tried.operation.refusals:
            page.warn(
                name, f"{said} (a refusal, as the settings say)", "What it does otherwise is not known."
            )
            return
        expected = ", ".join(str(s) for call in tried.operation.calls[-1:] for s in call.success)
        page.warn(
            name,
            said,
            f"A fresh user should get {expected}: correct its request, or success, in the settings.",
        )

    async def _try(self, operation: OperationSettings) -> Tried:
        """Do it as a stranger; if that is no success, signed up; if that is none, with a paid checkout."""
        before = provided(operation, self.operations)
        plans: list[tuple[str, ...]] = [before]
        if SIGN_UP in self.operations and SIGN_UP not in (operation.name, *before):
            first = (*provided(self.operations[SIGN_UP], self.operations), SIGN_UP)
            plans.append(tuple(dict.fromkeys((*first, *before))))
        if self.deployment.reach.stripe and any(self.operations[n].checkout_session for n in before):
            plans.append((*before, PAY))
        first_tried = None
        for plan in plans:
            tried = await self._attempt(operation, plan)
            if tried.answer.success or tried.answer.status is None:
                return tried
            first_tried = first_tried or tried
        assert first_tried is not None  # there is always a plan
        return first_tried

    async def _attempt(self, operation: OperationSettings, before: tuple[str, ...]) -> Tried:
        """Do an operation as a fresh user, the others first, the target at rest in between."""
        deployment = self.deployment
        user = self._world.user()
        recorder, cast = Recorder(0), Cast([user], MONTHLY, deployment.target.base_url)
        gate = RunGate(deployment.account, cast, recorder)
        caller, quiet = Caller(deployment.client, recorder), Quiet(gate, recorder, deployment.database)
        acts = Acts(deployment.account, cast, deployment.account.mark())
        deployment.account.begin_run(int(time.time()))
        deployment.server.gate = gate
        for name in before:
            if name != PAY:
                await caller.do(self.operations[name], cast[user], "A", in_race=False)
            else:
                acts.do(user.pay(), "A")
            await quiet.reached()
        begun = len(recorder)
        answer = await caller.do(operation, cast[user], "A", in_race=False)
        await quiet.reached()
        steps = recorder.history().steps[begun:]
        bodies = [s.data["body"] for s in steps if s.plane is Plane.HTTP and s.kind is StepKind.ANSWER]
        return Tried(
            operation=operation,
            after=before,
            part=cast[user],
            answer=answer,
            body=bodies[-1] if bodies else "",
            calls=tuple(s for s in steps if s.plane is Plane.STRIPE and s.kind is StepKind.EFFECT),
        )

    def _odd(self, tried: Tried) -> str | None:
        """Say what a successful answer lacks of what the settings promise; None for nothing."""
        operation, account = tried.operation, self.deployment.account
        customer, session = tried.answer.customer, tried.part.last_session
        if operation.customer and customer is None:
            return f"succeeded, but its answer has no customer at {operation.customer}"
        sees = self.deployment.reach.stripe
        if sees and customer is not None and account.object("customer", customer) is None:
            return f"names the customer {customer}, whom the simulator does not know"
        if operation.checkout_session and session is None:
            return f"succeeded, but its answer has no session at {operation.checkout_session}"
        if sees and operation.checkout_session and account.object("checkout.session", session or "") is None:
            return f"names the session {session}, which the simulator does not know: nobody could pay it"
        return None

    def _examine_crossings(self, page: Page) -> None:
        calls = [call for tried in self.done for call in tried.calls]
        routes = dict.fromkeys(call.label for call in calls)
        unknown = [call for call in calls if call.attribution == NOBODY]
        if not any(tried.answer.success for tried in self.done):
            page.fail("Stripe calls", "no operation succeeded, so there is nothing to race")
        elif not self.deployment.reach.stripe:
            page.ok("Stripe calls", "not seen: the target's Stripe base is not the simulator")
        elif not calls:
            page.fail(
                "Stripe calls",
                "no operation made a Stripe call that crossed the simulator",
                "Hand the target {stripe.url} and {stripe.key} in [target.env], and let its Stripe library "
                "take its base address from there.",
            )
        elif unknown:
            page.warn(
                "Stripe calls",
                f"{len(calls)} crossed the simulator; of {len(unknown)} it cannot be told whose they are: "
                f"{', '.join(dict.fromkeys(call.label for call in unknown))}",
                "Nothing in them names a user; faults cannot strike them.",
            )
        else:
            page.ok("Stripe calls", f"{len(calls)} crossed the simulator: {', '.join(routes)}")


def _after(tried: Tried) -> str:
    return f" after {', '.join(tried.after)}" if tried.after else ""
