"""The desk: what `deadheat stripe` asks of a running `deadheat serve`, on the simulator's own port.

``POST /_deadheat/COMMAND`` with a form, as for Stripe's API, does what a customer or Stripe would do and
tells in JSON what came of it; `COMMANDS` are all of them. Stripe has no such path.

The account's key is asked for, as for the API. Besides, nothing is answered that names another host
than this machine: a page in a browser whose name was bound to 127.0.0.1 gets nowhere, key or not.

What an act emitted is told at once; how the application took it is a question of its own (``answers``),
which waits.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deadheat.engine.stripe_trigger import ask, trigger
from deadheat.errors import ActRefused, SettingsError, closest
from deadheat.safety import is_loopback
from deadheat.stripe_sim import DECLINE_CODES, ApiResponse, Problem, form
from deadheat.stripe_sim.access import authorize
from deadheat.stripe_sim.api_error import ApiError
from deadheat.stripe_sim.params import boolean, integer, listed, one_of, record, text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from deadheat.engine.forward import Forwarder
    from deadheat.stripe_sim import Account, ApiRequest
    from deadheat.stripe_sim.params import Check

PATH = "/_deadheat/"
SHOWN_MAX = 100
EVENT = "event"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The desk of one account, whose events ``forwarder`` brings; ``secret`` is the webhook's."""

    account: Account
    secret: str
    forwarder: Forwarder

    async def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Do what is asked; None when the path is not the desk's.

        400 for a command that makes no sense, 401 without the key, 403 from elsewhere, 404 for no
        command of ours, 409 when Stripe would not do it; the error is in Stripe's shape.
        """
        if not request.path.startswith(PATH):
            return None
        try:
            _check_host(request)
            authorize(request, self.account.secret_key)
            command, check = COMMANDS.get(request.path.removeprefix(PATH), (None, record({})))
            if command is None or request.method != "POST":
                return _refusal(404, f"The desk has no {request.method} {request.path}.")
            said = await command(self, **check(form.decode(request.body), ""))
        except ApiError as error:
            return _response(error.problem.status, error.problem.body())
        except ActRefused as refused:
            return _refusal(409, str(refused))
        except (SettingsError, form.MalformedForm) as error:
            return _refusal(400, str(error))
        return _response(200, json.dumps(said).encode())

    async def trigger(self, *, type: str, customer: str | None = None) -> Json:
        """Make an event of a type happen; tells of the object that it is about."""
        mark = self.account.mark()
        return self._done(trigger(self.account, type, customer), mark)

    async def pay(self, *, session: str, **said: str) -> Json:
        """Pay an open checkout session as its customer, with a test card or promotion code if one is said."""
        mark = self.account.mark()
        return self._done(self.account.complete_session(session, **said), mark)

    async def authenticate(self, *, intent: str, fails: bool = False) -> Json:
        """Pass as the customer the challenge that a payment intent or setup intent waits for, or fail it."""
        mark = self.account.mark()
        return self._done(self.account.authenticate(intent, fails=fails), mark)

    async def renew(self, *, subscription: str, decline: str | None = None) -> Json:
        """Begin a subscription's next period and charge for it; by a decline code the charge fails."""
        mark = self.account.mark()
        return self._done(self.account.renew_subscription(subscription, decline=decline), mark)

    async def cancel(self, *, subscription: str) -> Json:
        """Cancel a subscription at once."""
        mark = self.account.mark()
        return self._done(self.account.cancel_subscription(subscription), mark)

    async def resend(self, *, event: str) -> Json:
        """Send an event once more; tells how it was answered."""
        if not self.forwarder.outboxes():
            raise SettingsError(
                "Events are not delivered anywhere: start deadheat serve with --forward-to URL."
            )
        return {"answers": [asdict(answered) for answered in await self.forwarder.resend(event)]}

    async def answers(self, *, events: list[str]) -> Json:
        """Wait until those of these events that go to the application were answered once."""
        return {"answers": [asdict(answered) for answered in await self.forwarder.first_answers(events)]}

    async def events(self, *, limit: int = 10, type: str | None = None) -> Json:
        """List events, newest first."""
        wanted = {} if type is None else {"type": type}
        return ask(self.account, "GET", "events", limit=limit, **wanted)

    async def state(self, *, kind: str | None = None, limit: int = 10) -> Json:
        """Count the objects of each kind or, of one kind, show the newest as they are now."""
        made = self.account.ids_since(0)
        counts = Counter(dict.fromkeys((*self.account.ledger.shelves, EVENT), 0))
        counts.update(found for found, _ in made)
        if kind is None:
            return {"counts": dict(sorted(counts.items()))}
        if kind not in counts:
            known = ", ".join(sorted(counts))
            raise SettingsError(f'"{kind}" is no kind of object.{closest(kind, counts)} There are: {known}.')
        newest = [object_id for found, object_id in made if found == kind][-limit:][::-1]
        return {"total": counts[kind], "data": [self._object(kind, object_id) for object_id in newest]}

    async def print_secret(self) -> Json:
        """Tell the secret that deliveries are signed with."""
        return {"secret": self.secret}

    def _object(self, kind: str, object_id: str) -> Json | None:
        return self.account.event_json(object_id) if kind == EVENT else self.account.object(kind, object_id)

    def _done(self, about: Json, mark: int) -> Json:
        """Tell what was done and what was emitted."""
        outboxes = self.forwarder.outboxes()
        going = {event_id for outbox in outboxes for event_id in outbox.emitted_since(mark)}
        events = [
            {"id": event["id"], "type": event["type"], "goes_out": event["id"] in going}
            for event in self._events_since(mark)
        ]
        return {"object": about, "events": events, "is_forwarding": bool(outboxes)}

    def _events_since(self, mark: int) -> list[Json]:
        made = self.account.ids_since(mark)
        return [self.account.event_json(object_id) for kind, object_id in made if kind == EVENT]


_TEXT = text(unset=False)
_SHOWN = integer(1, SHOWN_MAX)

COMMANDS: Mapping[str, tuple[Callable[..., Awaitable[Json]], Check]] = {
    "trigger": (Desk.trigger, record({"type": _TEXT, "customer": _TEXT}, required=("type",))),
    "pay": (
        Desk.pay,
        record({"session": _TEXT, "card": _TEXT, "promotion_code": _TEXT}, required=("session",)),
    ),
    "authenticate": (
        Desk.authenticate,
        record({"intent": _TEXT, "fails": boolean}, required=("intent",)),
    ),
    "renew": (
        Desk.renew,
        record({"subscription": _TEXT, "decline": one_of(*DECLINE_CODES)}, required=("subscription",)),
    ),
    "cancel": (Desk.cancel, record({"subscription": _TEXT}, required=("subscription",))),
    "resend": (Desk.resend, record({"event": _TEXT}, required=("event",))),
    "answers": (Desk.answers, record({"events": listed(_TEXT)}, required=("events",))),
    "events": (Desk.events, record({"limit": _SHOWN, "type": _TEXT})),
    "state": (Desk.state, record({"kind": _TEXT, "limit": _SHOWN})),
    "print-secret": (Desk.print_secret, record({})),
}
"""What the desk does, by the last part of the path, and the parameters that it takes."""


def _check_host(request: ApiRequest) -> None:
    """Refuse a request that was meant for another name than this machine's."""
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise ApiError(Problem(status=403, message="The desk answers this machine only."))


def _refusal(status: int, message: str) -> ApiResponse:
    return _response(status, Problem(status=status, message=message).body())


def _response(status: int, body: bytes) -> ApiResponse:
    return ApiResponse(status=status, headers={"content-type": "application/json"}, body=body)
