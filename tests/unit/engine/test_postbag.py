"""Several endpoints: who gets what, how it is signed, and how each delivery goes its own way."""

from __future__ import annotations

import pytest
from stripe import WebhookSignature

from deadheat.engine.postbag import Postbag, event_of
from deadheat.errors import ActRefused
from deadheat.stripe_sim import Account, Attempt, Endpoint

NOW = 1_800_000_000
BILLING = Endpoint(url="http://t/billing", secret="whsec_billing", types=("customer.*",))
CREDITS = Endpoint(url="http://t/credits", secret="whsec_credits", types=("customer.created", "product.*"))


class Post:
    """An account with two customers and a product, and the bag of its endpoints."""

    def __init__(self) -> None:
        self.account = Account(seed=1, started_at=1_700_000_000, secret_key="sk_test_x")
        mark = self.account.mark()
        self.bag = Postbag.of(self.account, {"": BILLING, "credits": CREDITS}, since=mark)
        self.account.make_customer(email="a@example.test", name="A")
        self.account.make_product("P")
        self.account.make_customer(email="b@example.test", name="B")

    def types(self) -> list[str]:
        return [self.bag.type_of(delivery) for delivery in self.bag.emitted()]


def test_an_event_goes_to_each_endpoint_that_wants_it_in_order_of_emission() -> None:
    post = Post()
    assert post.types() == [
        "customer.created",
        "credits:customer.created",
        "credits:product.created",
        "customer.created",
        "credits:customer.created",
    ]
    first, second, *_ = post.bag.emitted()
    assert (event_of(first), second) == (event_of(second), f"{first}@credits")
    assert post.bag.pending() == post.bag.emitted()


def test_each_is_signed_for_its_own_endpoint() -> None:
    post = Post()
    first, second, *_ = post.bag.emitted()
    for delivery, endpoint, other in ((first, BILLING, CREDITS), (second, CREDITS, BILLING)):
        sent = post.bag.attempt(delivery, now=NOW)
        assert (sent.url, sent.event_id) == (endpoint.url, event_of(delivery))
        assert is_signed(sent, endpoint.secret)
        assert not is_signed(sent, other.secret)
        assert is_signed(post.bag.duplicate(delivery, now=NOW), endpoint.secret)
        assert not is_signed(post.bag.forge(delivery, "badly-signed", now=NOW), endpoint.secret)


def is_signed(sent: Attempt, secret: str) -> bool:
    try:
        header = sent.headers["stripe-signature"]
        return bool(WebhookSignature.verify_header(sent.body.decode(), header, secret))
    except Exception:
        return False


def test_an_answer_of_one_endpoint_says_nothing_of_the_other() -> None:
    post = Post()
    first, second, *_ = post.bag.emitted()
    taken, refused = post.bag.attempt(first, now=NOW), post.bag.attempt(second, now=NOW)
    assert not post.bag.may_attempt(second)
    post.bag.answered(taken, 200)
    post.bag.answered(refused, 500)
    assert first not in post.bag.pending()
    assert second in post.bag.pending()
    assert not post.bag.may_attempt(first)
    assert post.bag.attempt(second, now=NOW).number == 2
    with pytest.raises(ActRefused):
        post.bag.attempt(first, now=NOW)


def test_stripe_counts_both_as_pending() -> None:
    post = Post()
    event_id = post.bag.emitted()[0]
    assert post.account.event_json(event_id)["pending_webhooks"] == 2
    post.bag.answered(post.bag.attempt(event_id, now=NOW), 200)
    assert post.account.event_json(event_id)["pending_webhooks"] == 1
