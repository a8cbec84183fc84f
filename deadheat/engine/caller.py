"""The HTTP plane inwards: does the target's operations as a browser would, and reads the answers.

Cookies are kept per user, not per actor: two tabs of one browser share them. Redirects are answers
unless a call says ``follow``; each hop is then a request like any other. A call that gets no answer at
all (reset, time-out, or the caller hung up) is an answer without status.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx

from deadheat.adapter import HttpAnswer
from deadheat.engine.calls import HOPS_MAX, outgoing, redirected
from deadheat.engine.places import look_up
from deadheat.engine.visits import visit
from deadheat.errors import Trouble
from deadheat.history import Plane, Recorder, StepKind
from deadheat.invariants.settled import Answer

if TYPE_CHECKING:
    from deadheat.engine.calls import Outgoing
    from deadheat.engine.cast import Part
    from deadheat.engine.conduct import Conductor
    from deadheat.engine.conduct.strands import Strand
    from deadheat.settings import OperationSettings, Request

ANSWER_SECONDS_MAX = 30.0
ANSWER_BYTES_MAX = 16 << 20
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


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer came to a call; ``why`` is a clause for people."""

    why: str


async def exchange(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    headers: dict[str, str],
    seconds: float | None = None,
    **body: Any,
) -> HttpAnswer | Unanswered:
    """Make one call, which has ``seconds`` in all for an answer of `ANSWER_BYTES_MAX` at the most."""
    seconds = ANSWER_SECONDS_MAX if seconds is None else seconds
    content = bytearray()
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(method, path, headers=headers, timeout=seconds, **body) as response,
        ):
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > ANSWER_BYTES_MAX:
                    return Unanswered(f"its body is longer than {ANSWER_BYTES_MAX >> 20} MB")
    except (httpx.TimeoutException, TimeoutError):
        return Unanswered(f"none within {seconds:g} s")
    except httpx.HTTPError as error:
        return Unanswered(str(error).rstrip(".") or type(error).__name__)
    pairs = tuple((name.lower(), value) for name, value in response.headers.multi_items())
    return HttpAnswer(response.status_code, pairs, bytes(content))


@dataclass(frozen=True, slots=True)
class Doing:
    """An operation that is being done: by whom, in which tab, as which strand of the race."""

    operation: OperationSettings
    part: Part
    actor: str
    strand: Strand | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """The last answer to a call, the step in which it came, and whether any on the way gave a session."""

    answer: HttpAnswer | None
    seq: int
    session: bool
    why: str = ""  # there is no answer

    def succeeds(self, call: Request) -> bool:
        """Say whether the call is a success."""
        return self.answer is not None and self.answer.status in call.success


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
        doing = Doing(operation, part, actor, strand)
        if operation.method is not None:
            return await visit(doing, self.send, in_race=in_race)
        heard, success, gave_session = Heard(None, 0, False), False, False
        for call in operation.calls:
            heard = await self._call(doing, call)
            success = heard.succeeds(call)
            gave_session |= heard.session
            if not success:
                break
        last = heard.answer if success else None
        if last and operation.checkout_session:
            session = look_up(operation.checkout_session, last)
            if session:
                part.given_session(actor, session)
        status = heard.answer.status if heard.answer else None
        return Answer(
            seq=heard.seq,
            actor=actor,
            operation=operation.name,
            user_id=part.id,
            status=status,
            success=success,
            refusal=status in operation.refusals,
            promises_customer=operation.customer is not None,
            customer=look_up(operation.customer, last) if operation.customer and last else None,
            session=gave_session,
            in_race=in_race,
            why=heard.why,
        )

    async def _call(self, doing: Doing, call: Request) -> Heard:
        """Make a call and follow where it leads; what a success holds is captured."""
        label = f"{call.method} {call.path}"
        sent = outgoing(call, doing.part.values(doing.actor))
        heard = await self.send(doing, sent, label)
        gave_session = heard.session
        for hop in range(1, HOPS_MAX + 1 if call.follow else 0):
            there = redirected(sent, heard.answer, str(self.client.base_url)) if heard.answer else None
            if there is None:
                break
            sent = there
            heard = await self.send(doing, sent, f"{label} (redirect {hop})")
            gave_session |= heard.session
        if heard.answer is not None and heard.succeeds(call):
            _capture(doing, call, heard.answer)
        return replace(heard, session=gave_session)

    async def send(self, doing: Doing, sent: Outgoing, label: str) -> Heard:
        """Make one exchange when the conductor lets it, with the person's cookies, and record both ends."""
        conductor, strand, operation, part = self.conductor, doing.strand, doing.operation, doing.part
        if conductor is not None and strand is not None:
            await conductor.take(strand, "request", label)
        self.recorder.record(
            actor=doing.actor,
            plane=Plane.HTTP,
            kind=StepKind.REQUEST,
            label=label,
            data={"operation": operation.name, "user": part.id, "json": sent.body},
        )
        headers = dict(sent.with_cookies(part.cookies).headers)
        if conductor is not None and strand is not None:
            headers |= conductor.headers(strand)
            conductor.opened(strand, f"request {label}")
        body: dict[str, Any] = {}
        if sent.json is not None:
            body["json"] = sent.json
        elif sent.form is not None:
            body["content"] = sent.form.encode()
        call = asyncio.ensure_future(exchange(self.client, sent.method, sent.path, headers=headers, **body))
        if strand is not None:
            strand.call = call
        came = await answer_to(call, "the caller hung up")
        answer = came if isinstance(came, HttpAnswer) else None
        if answer is not None:
            part.keep(answer.cookies())
        seq = self._answered(doing, label, came)
        if conductor is not None and strand is not None:
            conductor.answered(strand, hung_up=call.cancelled())
        session = bool(answer and operation.session and look_up(operation.session, answer))
        return Heard(answer, seq, session, came.why if isinstance(came, Unanswered) else "")

    def _answered(self, doing: Doing, label: str, came: HttpAnswer | Unanswered) -> int:
        place = doing.operation.customer
        answer = came if isinstance(came, HttpAnswer) else None
        step = self.recorder.record(
            actor=doing.actor,
            plane=Plane.HTTP,
            kind=StepKind.ANSWER,
            label=label,
            data={
                "operation": doing.operation.name,
                "status": answer.status if answer else None,
                "customer": look_up(place, answer) if place and answer else None,
                "body": answer.body[:2000].decode("utf-8", "replace") if answer else "",
                **({"why": came.why} if isinstance(came, Unanswered) else {}),
            },
        )
        return step.seq


async def answer_to(call: asyncio.Future[HttpAnswer | Unanswered], hung_up: str) -> HttpAnswer | Unanswered:
    """Wait for the answer, which does not come where the call is cancelled before: ``hung_up`` says so."""
    try:
        await asyncio.wait([call])
    finally:
        call.cancel()  # no call outlives us
    return Unanswered(hung_up) if call.cancelled() else call.result()


def _capture(doing: Doing, call: Request, answer: HttpAnswer) -> None:
    for name, place in call.capture.items():
        value = look_up(place, answer)
        if value is None:
            raise Trouble(
                f"[target.operations.{doing.operation.name}] captures {name} from {place}, and the answer "
                f"{answer.status} to {call.method} {call.path} holds nothing there"
            )
        doing.part.capture(doing.actor, name, value)
