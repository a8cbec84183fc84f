"""Operations of a team's adapter, done: each request that it makes is a step like any other.

A coroutine runs here; what is none runs in a thread of its own and waits there for what happens here.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from deadheat.adapter import Outcome
from deadheat.engine.calls import FORM, Outgoing, encoded
from deadheat.errors import DeadheatError, Trouble
from deadheat.invariants.settled import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from deadheat.adapter import HttpAnswer
    from deadheat.engine.caller import Doing, Heard
    from deadheat.program import User

    Send = Callable[[Doing, Outgoing, str], Awaitable[Heard]]

NAMED_MIN = 3  # shorter values than this are not looked for in paths


class NoAnswer(Trouble):
    """A request got no answer at all; ``why`` says what came instead."""

    def __init__(self, request: str, why: str) -> None:
        super().__init__(f"{request} got no answer at all: {why}")
        self.why = why


@dataclass(slots=True)
class Visiting:
    """A `deadheat.adapter.Visit`; ``send`` makes an exchange. ``seq`` is the step of the last answer."""

    doing: Doing
    send: Send
    seq: int = 0

    @property
    def user(self) -> User:
        """The person."""
        return self.doing.part.user

    @property
    def url(self) -> str:
        """Where the target listens."""
        return self.doing.part.shared["target.url"]

    @property
    def price(self) -> str:
        """A price to subscribe to."""
        return self.doing.part.shared["price"]

    @property
    def values(self) -> Mapping[str, str]:
        """What is known of the person: this tab's values over those of all their tabs."""
        mine = self.doing.part.values(self.doing.actor)
        return {**mine.shared, **mine.own}

    def keep(self, name: str, value: str) -> None:
        """Keep a value for later operations of the person."""
        self.doing.part.capture(self.doing.actor, name, value)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Make a call to the target when it may go."""
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if form is not None:
            sent.setdefault("content-type", FORM)
        call = Outgoing(
            method=method,
            path=path,
            json=json,
            form=None if form is None else encoded(form),
            headers=sent,
        )
        heard = await self.send(self.doing, call, f"{method} {general(path, self.values)}")
        self.seq = heard.seq
        if heard.answer is None:
            raise NoAnswer(f"{method} {path}", heard.why)
        return heard.answer


@dataclass(slots=True)
class BlockingVisiting:
    """A `deadheat.adapter.BlockingVisit`, in a thread beside the loop of ``visiting``."""

    visiting: Visiting
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def __getattr__(self, name: str) -> Any:
        """Give what is the same in both."""
        return getattr(self.visiting, name)

    def request(self, method: str, path: str, **body: Any) -> HttpAnswer:
        """Make a call to the target when it may go, and wait for its answer."""
        coroutine = self.visiting.request(method, path, **body)
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


async def visit(doing: Doing, send: Send, *, in_race: bool) -> Answer:
    """Do an operation of the adapter; Trouble that says where when its code fails."""
    method = doing.operation.method
    assert method is not None  # whoever calls this has looked
    visiting = Visiting(doing, send)
    outcome: Any = None
    try:
        if inspect.iscoroutinefunction(method):
            outcome = await method(visiting)
        else:
            outcome = await _in_a_thread(method, BlockingVisiting(visiting))
    except NoAnswer as none:
        return replace(_answer(doing, visiting, None, in_race), why=none.why)
    except DeadheatError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise Trouble(
            f"the adapter's {doing.operation.name} failed: {type(error).__name__}: {error} "
            f"({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
        ) from error
    if not isinstance(outcome, Outcome):
        raise Trouble(f"the adapter's {doing.operation.name} gave {outcome!r}; it should give an Outcome")
    return _answer(doing, visiting, outcome, in_race)


async def _in_a_thread(method: Callable[[Any], Any], given: BlockingVisiting) -> Any:
    """Call a method in a thread of its own, which a process that ends does not wait for."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[Any] = loop.create_future()

    def settle(outcome: Any, error: Exception | None) -> None:
        if over.done():
            return
        if error is None:
            over.set_result(outcome)
        else:
            over.set_exception(error)

    def work() -> None:
        try:
            outcome, failure = method(given), None
        except Exception as error:
            outcome, failure = None, error
        loop.call_soon_threadsafe(settle, outcome, failure)

    threading.Thread(target=work, daemon=True, name=method.__name__).start()
    return await over


def general(path: str, values: Mapping[str, str]) -> str:
    """Name a path so that it is the same in every run: without its query, known values as placeholders.

    >>> general("/users/7c9e/cards?code=1", {"user.id": "7c9e", "n": "7"})
    '/users/{user.id}/cards'
    """
    names = {value: name for name, value in values.items() if len(value) >= NAMED_MIN}
    pieces = path.partition("?")[0].split("/")
    return "/".join(f"{{{names[piece]}}}" if piece in names else piece for piece in pieces)


def _answer(doing: Doing, visiting: Visiting, outcome: Outcome | None, in_race: bool) -> Answer:
    part, actor = doing.part, doing.actor
    if outcome is not None and outcome.user_id is not None:
        part.capture(actor, "user.id", outcome.user_id)
    if outcome is not None and outcome.success and outcome.checkout_session:
        part.given_session(actor, outcome.checkout_session)
    return Answer(
        seq=visiting.seq,
        actor=actor,
        operation=doing.operation.name,
        user_id=part.id,
        status=outcome.status if outcome else None,
        success=outcome is not None and outcome.success,
        refusal=outcome is not None and outcome.refusal,
        promises_customer=outcome is not None and outcome.promises_customer,
        customer=outcome.customer if outcome and outcome.success else None,
        session=outcome is not None and outcome.session,
        in_race=in_race,
    )
