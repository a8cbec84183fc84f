"""Check-out: at most one session of a user can be paid at any moment, and none by a subscriber.

A user has one row in ``checkout_sessions``: a generation, what its session is made with, and the
session once it is known. Whoever comes, in whatever process, makes the session of the current
generation under the key ``checkout:USER:GENERATION`` with exactly that, and so gets the same one. A
session that does not fit (other price, other customer) is expired at Stripe first; Stripe decides
whether it was paid before. Then the generation moves on, by compare-and-set. Nothing is locked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reference_impl import logs
from reference_impl.answers import Refusal, unavailable
from reference_impl.database import DatabaseUnavailable
from reference_impl.logs import CHECKOUT
from reference_impl.stripe_calls import KeySpent, Refused, StripeTrouble
from reference_impl.subscriptions import LIVE, id_of, read_subscription, user_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from reference_impl.customer_service import CustomerService
    from reference_impl.ledger import Ledger
    from reference_impl.sessions import Checkout, CheckoutSessions
    from reference_impl.stripe_calls import StripeCalls

TURNS_MAX = 12
# Whoever closes somebody else's session must have turns left to open one in its place; else two tabs
# that fight over the price could end with neither.
CLOSING_TURNS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session that the user can pay now."""

    id: str
    url: str
    customer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A session that was paid, as its subscription is now."""

    subscription: str
    status: str
    customer: str


class CheckoutService:
    """Checkout sessions of users. Safe to call at once from any number of tasks and processes."""

    def __init__(
        self,
        customers: CustomerService,
        sessions: CheckoutSessions,
        ledger: Ledger,
        stripe: StripeCalls,
        *,
        app_url: str,
        patience_s: float = 25.0,
    ) -> None:
        self._customers = customers
        self._sessions = sessions
        self._ledger = ledger
        self._stripe = stripe
        self._app_url = app_url
        self._patience_s = patience_s

    async def start(self, user_id: UUID, email: str, price: str, full_name: str | None) -> OpenSession:
        """Give an open session for the price.

        Raises Refusal: 409 ``already_subscribed``, 409 ``checkout_busy`` where other tabs kept
        changing the price, 400 where Stripe does not take the price, 503 where Stripe is not there.
        """
        try:
            async with asyncio.timeout(2 * self._patience_s):
                for turn in range(TURNS_MAX):
                    if turn:
                        await self._stripe.pause(turn)
                    may_close = turn < CLOSING_TURNS
                    session = await self._turn(user_id, email, price, full_name, may_close=may_close)
                    if session is not None:
                        logs.info(CHECKOUT, "session open", user=user_id, session=session.id)
                        return session
        except (StripeTrouble, DatabaseUnavailable, TimeoutError) as error:
            logs.warning(CHECKOUT, f"no session: {error or 'too slow'}", user=user_id)
            raise unavailable("the checkout cannot be opened now") from error
        raise Refusal(409, "checkout_busy", "the checkout was changed elsewhere at the same moment")

    async def finish(self, session_id: str, admit: Callable[[UUID], None]) -> Finished:
        """Bring the rows up to date for a browser that comes back from Stripe, before any webhook has.

        ``admit`` raises for a user who may not see this session. Raises Refusal: 404 where there is no
        such session of ours, 409 ``not_paid`` where it has not been paid, 503.
        """
        try:
            session = await self._retrieve(session_id)
            user = user_of(session.get("client_reference_id"))
            if user is None:
                raise Refusal(404, "unknown_session", "there is no such session")
            admit(user)
            subscription = id_of(session.get("subscription"))
            if session["status"] != "complete" or subscription is None:
                raise Refusal(409, "not_paid", "this checkout has not been paid")
            ticket = await self._ledger.draw_ticket()
            reply = await self._stripe.call(
                "subscriptions.retrieve",
                lambda: self._stripe.v1.subscriptions.retrieve_async(subscription),
            )
            state = read_subscription(reply.data)
            await self._ledger.apply(None, ticket, replace(state, user_hint=state.user_hint or user))
        except (StripeTrouble, DatabaseUnavailable, TimeoutError) as error:
            logs.warning(CHECKOUT, f"not seen through: {error or 'too slow'}", session=session_id)
            raise unavailable("your payment is safe; this page is not ready yet") from error
        logs.info(CHECKOUT, "came back", user=user, subscription=subscription)
        return Finished(subscription=subscription, status=state.status, customer=state.customer)

    async def _turn(
        self, user: UUID, email: str, price: str, full_name: str | None, *, may_close: bool
    ) -> OpenSession | None:
        """Take one step towards an open session; None when there is another one to take."""
        customer = await self._customer(user, email, full_name)
        await self._refuse_subscriber(user, customer)
        seen = await self._sessions.current(user, customer, price)
        if seen.session_id is None:
            made = await self._make(user, seen, customer, price)
            if made is None:
                return None
            seen = replace(seen, session_id=made["id"])
            session: Mapping[str, Any] = made
        else:
            session = await self._retrieve(seen.session_id)
        status = session["status"]
        if status == "open" and (seen.customer, seen.price) == (customer, price):
            return OpenSession(id=session["id"], url=session["url"], customer=customer)
        if status == "open" and may_close:
            status = await self.expire(session["id"])
        if status == "complete":
            # Paid: a subscriber is refused; else its subscription has ended and a new one may begin.
            await self._refuse_subscriber(user, customer)
        if status != "open":
            await self._sessions.leave(user, seen, customer, price)
        return None

    async def _customer(self, user: UUID, email: str, full_name: str | None) -> str:
        result = await self._customers.ensure_customer_exists(user, email, full_name)
        if result.stripe_customer_id is None:
            if result.refused:
                raise Refusal(400, "customer_rejected", "Stripe does not accept these details")
            raise unavailable("there is no customer yet")
        return result.stripe_customer_id

    async def _refuse_subscriber(self, user: UUID, customer: str) -> None:
        """Ask Stripe for a live subscription; 409, and the local row brought up to date, if there is one."""
        for holder in (customer, *await self._ledger.other_customers(user, customer)):
            ticket = await self._ledger.draw_ticket()
            for data in await self._subscriptions(holder):
                if data["status"] in LIVE:
                    state = read_subscription(data)
                    await self._ledger.apply(None, ticket, replace(state, user_hint=state.user_hint or user))
                    logs.info(CHECKOUT, "already subscribed", user=user, subscription=state.id)
                    raise Refusal(409, "already_subscribed", "there is a subscription already")

    async def _subscriptions(self, customer: str) -> list[dict[str, Any]]:
        try:
            page = await self._stripe.call(
                "subscriptions.list",
                lambda: self._stripe.v1.subscriptions.list_async(
                    params={"customer": customer, "status": "all", "limit": 100}
                ),
            )
        except Refused as error:
            if error.missing:
                return []
            raise
        return list(page.data["data"])

    async def _make(self, user: UUID, seen: Checkout, customer: str, price: str) -> Mapping[str, Any] | None:
        """Make and record the generation's session; None where the generation came to nothing."""
        if seen.stale:
            await self._sessions.leave(user, seen, customer, price)
            return None
        try:
            reply = await self._create(user, seen)
        except KeySpent as error:
            logs.warning(CHECKOUT, f"generation {seen.generation} is spent: {error}", user=user)
            await self._sessions.leave(user, seen, customer, price)
            return None
        except Refused as error:
            await self._refused(error, user, seen, customer, price)
            return None
        session = await self._retrieve(reply.data["id"]) if reply.replayed else reply.data
        if await self._sessions.record(user, seen.generation, session["id"]):
            return session
        # The generation was left before this session was known: nobody has seen it, nobody will.
        await self.expire(session["id"])
        return None

    async def _create(self, user: UUID, seen: Checkout) -> Any:
        owner = {"user_id": str(user)}
        return await self._stripe.call(
            "checkout.sessions.create",
            lambda: self._stripe.v1.checkout.sessions.create_async(
                params={
                    "mode": "subscription",
                    "customer": seen.customer,
                    "client_reference_id": str(user),
                    "line_items": [{"price": seen.price, "quantity": 1}],
                    "metadata": owner,
                    "subscription_data": {"metadata": owner},
                    "success_url": f"{self._app_url}/checkout/done?session_id={{CHECKOUT_SESSION_ID}}",
                    "cancel_url": f"{self._app_url}/checkout/cancelled",
                },
                options={"idempotency_key": f"checkout:{user}:{seen.generation}"},
            ),
            keyed=True,
        )

    async def _refused(self, error: Refused, user: UUID, seen: Checkout, customer: str, price: str) -> None:
        """Deal with a session that Stripe will not make; its key keeps the refusal, so it is left."""
        if error.param == "customer" and error.missing:
            await self._customers.confirm(user, seen.customer)
            await self._sessions.leave(user, seen, customer, price)
        elif (seen.customer, seen.price) != (customer, price):
            await self._sessions.leave(user, seen, customer, price)
        elif error.status in (400, 404):
            await self._sessions.leave(user, seen, customer, price)
            logs.warning(CHECKOUT, f"price not taken: {error}", user=user, price=price)
            raise Refusal(400, "invalid_price", "Stripe does not take this price", field="priceId") from error
        else:
            raise error

    async def _retrieve(self, session: str) -> Mapping[str, Any]:
        try:
            reply = await self._stripe.call(
                "checkout.sessions.retrieve",
                lambda: self._stripe.v1.checkout.sessions.retrieve_async(session),
            )
        except Refused as error:
            if error.missing:
                return {"id": session, "status": "expired"}
            raise
        return reply.data

    async def expire(self, session: str) -> str:
        """Close an open session; gives the status that it ended with."""
        try:
            reply = await self._stripe.call(
                "checkout.sessions.expire",
                lambda: self._stripe.v1.checkout.sessions.expire_async(session),
            )
        except Refused:
            reply_data = await self._retrieve(session)
            return str(reply_data["status"])
        logs.info(CHECKOUT, "session expired", session=session)
        return str(reply.data["status"])
