"""The load's side of a soak, without I/O: operations as calls to make, answers as lines to send.

It runs inside locust, so it imports nothing that does I/O by itself. `perform` is a generator: it
gives one `Exchange` after the other, is sent the answer of each, and ends with what the desk is to
be told. Who drives it (gevent in the locustfile, a plain loop in tests) does the HTTP. The rules are
those of `deadheat.engine.caller`: cookies are kept per person and shared by their tabs, redirects
are answers unless a call says ``follow``, the first call that is no success ends the operation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.calls import HOPS_MAX, outgoing, redirected
from deadheat.engine.places import look_up
from deadheat.engine.soak.wire import Answered

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from deadheat.adapter import HttpAnswer
    from deadheat.engine.calls import Outgoing
    from deadheat.engine.cast import Part
    from deadheat.settings import OperationSettings, Request

BODY_KEPT_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One HTTP call to make. ``label`` names it in statistics; ``expected`` are no failures.

    The body is ``json``, or ``form``, which is encoded already.
    """

    method: str
    path: str
    label: str
    json: Any = None
    form: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    expected: frozenset[int] = frozenset()


def perform(
    operation: OperationSettings, part: Part, tab: str, *, in_race: bool
) -> Generator[Exchange, HttpAnswer | None, Answered]:
    """Do an operation for a person in one of their tabs; an answer that never came is None.

    SettingsError for a placeholder without a value: a link that an earlier call did not give.
    """
    success, gave_session = False, False
    answer: HttpAnswer | None = None
    for call in operation.calls:
        sent = outgoing(call, part.values(tab))
        for hop in range(HOPS_MAX + 1):
            label = f"{operation.name}: {call.method} {call.path}{f' (redirect {hop})' if hop else ''}"
            answer = yield _exchange(sent, label, (*call.success, *operation.refusals), part)
            if answer is None:
                break
            part.keep(answer.cookies())
            gave_session |= bool(operation.session and look_up(operation.session, answer))
            there = redirected(sent, answer, part.shared["target.url"]) if call.follow else None
            if there is None:
                break
            sent = there
        success = answer is not None and answer.status in call.success
        if answer is not None and success:
            _capture(call, answer, part, tab)
        if not success:
            break
    if answer is not None and success and operation.checkout_session:
        session = look_up(operation.checkout_session, answer)
        if session:
            part.given_session(tab, session)
    status = answer.status if answer else None
    named = look_up(operation.customer, answer) if operation.customer and answer and success else None
    return Answered(
        person=part.user.id,
        tab=tab,
        operation=operation.name,
        user_id=part.id,
        status=status,
        success=success,
        refused=status in operation.refusals,
        promises_customer=operation.customer is not None,
        customer=named,
        session=gave_session,
        in_race=in_race,
        body="" if success or answer is None else answer.body[:BODY_KEPT_MAX].decode("utf-8", "replace"),
    )


def _exchange(sent: Outgoing, label: str, expected: tuple[int, ...], part: Part) -> Exchange:
    return Exchange(
        method=sent.method,
        path=sent.path,
        label=label,
        json=sent.json,
        form=sent.form,
        headers=sent.with_cookies(part.cookies).headers,
        expected=frozenset(expected),
    )


def _capture(call: Request, answer: HttpAnswer, part: Part, tab: str) -> None:
    for name, place in call.capture.items():
        value = look_up(place, answer)
        if value is not None:
            part.capture(tab, name, value)
