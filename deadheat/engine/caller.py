"""The HTTP plane inwards: does the target's operations as a browser would, and reads the answers.

Cookies are kept per user, not per actor: two tabs of one browser share them. Redirects are answers
and not followed. A call that gets no answer at all (reset, time-out) is an answer without status.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx

from deadheat.engine.places import HttpAnswer, look_up
from deadheat.errors import Trouble
from deadheat.history import Plane, Recorder, StepKind
from deadheat.invariants.settled import Answer

if TYPE_CHECKING:
    from deadheat.engine.cast import Part
    from deadheat.engine.conduct import Conductor
    from deadheat.engine.conduct.strands import Strand
    from deadheat.settings import OperationSettings, Request

ANSWER_SECONDS_MAX = 30.0
# Shorter than the five seconds after which uvicorn and gunicorn close an idle connection: reusing
# one at that moment would look like a target that hung up.
IDLE_SECONDS_MAX = 2.0


def http_client(base_url: str) -> httpx.AsyncClient:
    """Make a client that keeps no cookies of its own and never waits for a free connection."""
    client = httpx.AsyncClient(
        base_url=base_url,
        timeout=ANSWER_SECONDS_MAX,
        limits=httpx.Limits(max_connections=None, keepalive_expiry=IDLE_SECONDS_MAX),
        follow_redirects=False,
        trust_env=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


async def exchange(
    client: httpx.AsyncClient, method: str, path: str, *, headers: dict[str, str], **more: Any
) -> HttpAnswer | None:
    """Make one call; None when no answer came. ``more`` are httpx's, a body or a time-out."""
    try:
        response = await client.request(method, path, headers=headers, **more)
    except httpx.HTTPError:
        return None
    pairs = tuple((name.lower(), value) for name, value in response.headers.multi_items())
    return HttpAnswer(response.status_code, pairs, response.content)


@dataclass(frozen=True, slots=True)
class Caller:
    """Does operations at one target, recording each call and its answer.

    A ``conductor`` is asked before each call, and hears of its answer.
    """

    client: httpx.AsyncClient
    recorder: Recorder
    conductor: Conductor | None = None

    async def do(
        self,
        operation: OperationSettings,
        part: Part,
        actor: str,
        *,
        in_race: bool,
        strand: Strand | None = None,
    ) -> Answer:
        """Do an operation call by call, up to the first that is not a success."""
        status: int | None = None
        last: HttpAnswer | None = None
        success, gave_session, seq = False, False, 0
        for call in operation.calls:
            last = await self._call(operation, call, part, actor, strand)
            status = last.status if last else None
            success = status in call.success
            if last is not None:
                gave_session |= bool(operation.session and look_up(operation.session, last))
                if success:
                    _capture(operation, call, last, part, actor)
            seq = self._answered(operation, call, actor, last)
            if self.conductor is not None and strand is not None:
                self.conductor.answered(strand)
            if not success:
                break
        customer = look_up(operation.customer, last) if operation.customer and last and success else None
        if success and last and operation.checkout_session:
            session = look_up(operation.checkout_session, last)
            if session:
                part.given_session(actor, session)
        return Answer(
            seq=seq,
            actor=actor,
            operation=operation.name,
            user_id=part.id,
            status=status,
            success=success,
            refusal=status in operation.refusals,
            promises_customer=operation.customer is not None,
            customer=customer,
            session=gave_session,
            in_race=in_race,
        )

    async def _call(
        self, operation: OperationSettings, call: Request, part: Part, actor: str, strand: Strand | None
    ) -> HttpAnswer | None:
        values = part.values(actor)
        path = values.fill(call.path)
        label = f"{call.method} {call.path}"
        if self.conductor is not None and strand is not None:
            await self.conductor.take(strand, "request", label)
        body = values.fill(call.json) if call.json is not None else None
        self.recorder.record(
            actor=actor,
            plane=Plane.HTTP,
            kind=StepKind.REQUEST,
            label=label,
            data={"operation": operation.name, "user": part.id, "json": body},
        )
        headers = {"cookie": "; ".join(f"{k}={v}" for k, v in part.cookies.items())} if part.cookies else {}
        if self.conductor is not None and strand is not None:
            headers["traceparent"] = self.conductor.traceparent(strand)
            self.conductor.opened(strand, f"request {label}")
        answer = await exchange(
            self.client, call.method, path, headers=headers, **({"json": body} if body is not None else {})
        )
        if answer is not None:
            part.keep(answer.cookies())
        return answer

    def _answered(
        self, operation: OperationSettings, call: Request, actor: str, answer: HttpAnswer | None
    ) -> int:
        body = answer.body[:2000].decode("utf-8", "replace") if answer else ""
        step = self.recorder.record(
            actor=actor,
            plane=Plane.HTTP,
            kind=StepKind.ANSWER,
            label=f"{call.method} {call.path}",
            data={
                "operation": operation.name,
                "status": answer.status if answer else None,
                "customer": look_up(operation.customer, answer) if operation.customer and answer else None,
                "body": body,
            },
        )
        return step.seq


def _capture(operation: OperationSettings, call: Request, answer: HttpAnswer, part: Part, actor: str) -> None:
    for name, place in call.capture.items():
        value = look_up(place, answer)
        if value is None:
            raise Trouble(
                f"[target.operations.{operation.name}] captures {name} from {place}, and the answer "
                f"{answer.status} to {call.method} {call.path} holds nothing there"
            )
        if name == "user.id":
            part.named_by_target(value)
            part.shared["user.id"] = value
        else:
            part.values(actor).capture(name, value)
