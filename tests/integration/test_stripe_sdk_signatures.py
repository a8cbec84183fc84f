"""What an endpoint does with a delivery: `construct_event` of the official Python SDK."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe
from stripe_stage import KEY, START

from deadheat.stripe_sim import Account, Attempt, Endpoint, Outbox

pytestmark = pytest.mark.fidelity("stripe-python checks signatures")

SECRET = "whsec_of_the_endpoint"
SIGNATURE = "stripe-signature"


def delivered(*, now: int | None = None, version: str | None = None) -> Attempt:
    """Give the first delivery of an event that the dashboard caused."""
    account = Account(seed=5, started_at=START, secret_key=KEY)
    outbox = Outbox(account, Endpoint(url="http://app.test/hook", secret=SECRET, api_version=version))
    account.make_customer(email="ada@example.test", name="Ada")
    return outbox.attempt(outbox.pending()[0], now=int(time.time()) if now is None else now)


def by_function(body: bytes, header: str, secret: str, **more: Any) -> stripe.Event:
    return stripe.Webhook.construct_event(body, header, secret, **more)


def by_client(body: bytes, header: str, secret: str, **more: Any) -> stripe.Event:
    return stripe.StripeClient(KEY).construct_event(body, header, secret, **more)


CONSTRUCT = pytest.mark.parametrize("construct", [by_function, by_client])


@CONSTRUCT
def test_the_right_secret(construct: Any) -> None:
    sent = delivered()
    event = construct(sent.body, sent.headers[SIGNATURE], SECRET)
    assert (event.id, event.type, event.object) == (sent.event_id, "customer.created", "event")
    assert event.data.object["email"] == "ada@example.test"


@CONSTRUCT
def test_a_wrong_secret(construct: Any) -> None:
    sent = delivered()
    with pytest.raises(stripe.SignatureVerificationError, match="No signatures found matching"):
        construct(sent.body, sent.headers[SIGNATURE], f"{SECRET}x")


@CONSTRUCT
def test_a_body_that_was_changed(construct: Any) -> None:
    sent = delivered()
    forged = sent.body.replace(b"ada@", b"eve@")
    with pytest.raises(stripe.SignatureVerificationError, match="No signatures found matching"):
        construct(forged, sent.headers[SIGNATURE], SECRET)


@CONSTRUCT
def test_an_old_signature(construct: Any) -> None:
    sent = delivered(now=int(time.time()) - 301)
    with pytest.raises(stripe.SignatureVerificationError, match="outside the tolerance"):
        construct(sent.body, sent.headers[SIGNATURE], SECRET)
    assert construct(sent.body, sent.headers[SIGNATURE], SECRET, tolerance=600).id == sent.event_id


def test_the_library_writes_the_same_time_and_signature() -> None:
    now = 1_800_000_000
    sent = delivered(now=now)
    made = stripe.WebhookSignature.generate_signature_header(sent.body.decode(), SECRET, timestamp=now)
    assert sent.headers[SIGNATURE].startswith(f"{made},v0=")
