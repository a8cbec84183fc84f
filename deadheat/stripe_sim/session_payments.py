"""What a checkout session's page does with a card: refuses it, charges it, or saves it.

Source: Stripe API reference, "Checkout Sessions" (``payment_intent``, ``setup_intent``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.errors import ActRefused
from deadheat.stripe_sim import cards, payments, setup_intents

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json


def asks_for_card(session: Json) -> bool:
    """Say whether the page of a session for a subscription asks for a card that renewals are charged to."""
    always = session["payment_method_collection"] == "always"
    return session["mode"] == "subscription" and bool(session["amount_total"] or always)


def refuse_declined(ledger: Ledger, session: Json, method: Json) -> None:
    """Refuse a card that its bank declines, as the page of the session does; the session stays open.

    One that is only to be kept, for after a trial, is refused without an attempt to charge it.
    """
    refusal = cards.refusal_of(method)
    if asks_for_card(session) and not session["amount_total"] and refusal is not None:
        raise ActRefused(f"Checkout session {session['id']} saved no card and is open: {refusal.message}")
    if session["amount_total"] and cards.decline_of(method) is not None:
        intent = payments.intend(
            ledger,
            amount=session["amount_total"],
            currency=session["currency"],
            customer=session["customer"],
        )
        said = payments.attempt(ledger, intent, method, customer="authenticates")["last_payment_error"][
            "message"
        ]
        raise ActRefused(f"Checkout session {session['id']} was not paid and is still open: {said}")


def pay(ledger: Ledger, session: Json, customer: str | None, method: Json) -> str | None:
    """Pay what a session asks for; gives the payment intent, None where it asks for nothing."""
    if not session["amount_total"]:
        return None
    intent = payments.intend(
        ledger,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=customer,
        said=session["_payment_intent_data"],
    )
    return str(payments.attempt(ledger, intent, method, customer="authenticates")["id"])


def save(ledger: Ledger, session: Json, customer: Json | None, method: Json) -> None:
    """Save a card by the setup intent of a session; refuse one that its bank declines."""
    intent = ledger.need("setup_intent", session["setup_intent"])
    owned = {**intent, "customer": customer["id"] if customer else None}
    waits = setup_intents.confirmed(ledger, owned, method, customer="present")
    if waits["status"] != "requires_action":
        now = waits
    else:
        now = setup_intents.answered(ledger, waits, passes=True)
    if now["status"] != "succeeded":
        said = now["last_setup_error"]["message"]
        raise ActRefused(f"Checkout session {session['id']} saved no card and is still open: {said}")
