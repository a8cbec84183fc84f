"""Outboxes: what Stripe could do with an event, and nothing else."""

from __future__ import annotations

import json

import pytest
import stripe
from sim_client import KEY, new_account, send, subscribed

from deadheat.errors import ActRefused
from deadheat.stripe_sim import Account, Attempt, Endpoint, Outbox

SECRET = "whsec_test"
NOW = 1_800_000_000


def endpoint(*types: str, api_version: str | None = None) -> Endpoint:
    return Endpoint(url="http://app.test/hook", secret=SECRET, types=types, api_version=api_version)


def with_one_event() -> tuple[Account, Outbox, str]:
    account = new_account()
    outbox = Outbox(account, endpoint())
    send(account, "POST", "/v1/customers", {"email": "ada@example.test"})
    (event_id,) = outbox.emitted()
    return account, outbox, event_id


def verified(attempt: Attempt, now: int, monkeypatch: pytest.MonkeyPatch) -> stripe.Event:
    monkeypatch.setattr("time.time", lambda: float(now))
    return stripe.Webhook.construct_event(attempt.body, attempt.headers.get("stripe-signature"), SECRET)


class TestRetries:
    @pytest.mark.fidelity("No retry after a 2xx that Stripe saw")
    def test_a_retry_follows_a_failure_and_stops_at_the_first_2xx(self) -> None:
        _, outbox, event_id = with_one_event()
        for number, status in enumerate((500, None, 302, 404), start=1):
            attempt = outbox.attempt(event_id, now=NOW)
            assert attempt.number == number
            outbox.answered(attempt, status)
            assert outbox.pending() == (event_id,)
        outbox.answered(outbox.attempt(event_id, now=NOW), 204)
        assert outbox.pending() == ()
        assert not outbox.may_attempt(event_id)
        with pytest.raises(ActRefused, match="delivered"):
            outbox.attempt(event_id, now=NOW)

    def test_no_attempt_beside_one_on_its_way(self) -> None:
        _, outbox, event_id = with_one_event()
        outbox.attempt(event_id, now=NOW)
        assert outbox.pending() == (event_id,)
        with pytest.raises(ActRefused, match="in flight"):
            outbox.attempt(event_id, now=NOW)

    def test_an_answer_belongs_to_the_attempt_on_its_way(self) -> None:
        _, outbox, event_id = with_one_event()
        first = outbox.attempt(event_id, now=NOW)
        outbox.answered(first, 500)
        with pytest.raises(ValueError, match="not on its way"):
            outbox.answered(first, 200)

    @pytest.mark.fidelity("Duplicates come at any time")
    def test_duplicates_come_at_any_time_and_change_nothing(self) -> None:
        _, outbox, event_id = with_one_event()
        early = outbox.duplicate(event_id, now=NOW)
        outbox.answered(early, 200)
        assert outbox.pending() == (event_id,)
        beside = outbox.attempt(event_id, now=NOW)
        outbox.answered(outbox.duplicate(event_id, now=NOW), 500)
        outbox.answered(beside, 200)
        late = outbox.duplicate(event_id, now=NOW)
        outbox.answered(late, 500)
        assert outbox.pending() == ()
        assert (late.duplicate, late.event_id, late.number) == (True, event_id, 0)

    def test_no_event_before_its_effect(self) -> None:
        _, outbox, _ = with_one_event()
        with pytest.raises(ActRefused, match="no event evt_nothing"):
            outbox.attempt("evt_nothing", now=NOW)


class TestSignatures:
    @pytest.mark.fidelity("A retry follows a failure, with a fresh signature")
    def test_each_attempt_is_signed_afresh(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, outbox, event_id = with_one_event()
        first = outbox.attempt(event_id, now=NOW)
        outbox.answered(first, 500)
        second = outbox.attempt(event_id, now=NOW + 1000)
        assert verified(first, NOW, monkeypatch).id == event_id
        assert verified(second, NOW + 1000, monkeypatch).type == "customer.created"
        with pytest.raises(stripe.SignatureVerificationError):
            verified(first, NOW + 1000, monkeypatch)

    @pytest.mark.fidelity("Signatures are checked by the official library, forgeries refused")
    @pytest.mark.parametrize("kind", ["unsigned", "badly-signed", "stale"])
    def test_forgeries_are_refused_by_the_library(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        _, outbox, event_id = with_one_event()
        forged = outbox.forge(event_id, kind, now=NOW)  # type: ignore[arg-type]
        with pytest.raises((stripe.SignatureVerificationError, ValueError, AttributeError)):
            verified(forged, NOW, monkeypatch)
        outbox.answered(forged, 200)
        assert outbox.pending() == (event_id,)
        assert ("stripe-signature" in forged.headers) == (kind != "unsigned")

    def test_a_stale_one_fails_by_its_age_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, outbox, event_id = with_one_event()
        stale = outbox.forge(event_id, "stale", now=NOW)
        assert verified(stale, NOW - 3600, monkeypatch).id == event_id


class TestWhichEvents:
    @pytest.mark.fidelity("Several endpoints, each with types, secret and version")
    def test_types_and_patterns(self) -> None:
        account = new_account()
        some = Outbox(account, endpoint("checkout.session.completed", "invoice.*"))
        every = Outbox(account, endpoint())
        subscribed(account)
        types = [some.attempt(event_id, now=NOW).event_type for event_id in some.emitted()]
        assert types == [
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "checkout.session.completed",
        ]
        assert len(every.emitted()) == len(account.made_since(0).events)

    def test_marks(self) -> None:
        account = new_account()
        outbox = Outbox(account, endpoint())
        send(account, "POST", "/v1/customers")
        mark = account.mark()
        send(account, "POST", "/v1/customers")
        late = Outbox(account, endpoint())
        from_mark = Outbox(account, endpoint(), since=mark)
        send(account, "POST", "/v1/customers")
        assert len(outbox.emitted()) == 3
        assert outbox.emitted_since(mark) == outbox.emitted()[1:] == from_mark.emitted()
        assert outbox.pending(mark) == outbox.pending()[1:]
        assert late.emitted() == outbox.emitted()[2:]

    @pytest.mark.fidelity("pending_webhooks counts endpoints that still wait")
    @pytest.mark.fidelity("Several endpoints, each with types, secret and version")
    def test_pending_webhooks_counts_who_still_waits(self) -> None:
        account, outbox, event_id = with_one_event()
        other = Outbox(account, Endpoint(url="http://b.test", secret=SECRET, types=("customer.*",)), since=0)
        uninterested = Outbox(account, Endpoint(url="http://c.test", secret=SECRET, types=("invoice.paid",)))
        path = f"/v1/events/{event_id}"
        assert send(account, "GET", path).json["pending_webhooks"] == 2
        outbox.answered(outbox.attempt(event_id, now=NOW), 200)
        assert send(account, "GET", path).json["pending_webhooks"] == 1
        other.answered(other.attempt(event_id, now=NOW), 200)
        assert send(account, "GET", path).json["pending_webhooks"] == 0
        assert uninterested.emitted() == ()

    @pytest.mark.fidelity("Several endpoints, each with types, secret and version")
    def test_the_endpoint_s_version_shapes_the_event(self) -> None:
        account = new_account()
        old = Outbox(account, endpoint("customer.subscription.created", api_version="2024-06-20"))
        subscribed(account)
        (event_id,) = old.emitted()
        event = json.loads(old.attempt(event_id, now=NOW).body)
        assert event["api_version"] == "2024-06-20"
        assert event["data"]["object"]["current_period_end"] > event["created"]
        assert "current_period_end" not in event["data"]["object"]["items"]["data"][0]

    @pytest.mark.fidelity("An event is shown in the version that it was made in, whatever a call speaks")
    def test_the_api_shows_events_in_the_version_of_the_account(self) -> None:
        old, new = "2024-06-20", "2025-09-30.clover"
        for made_in, spoken in ((None, old), (old, new)):
            account = Account(seed=7, started_at=NOW, secret_key=KEY, events_version=made_in)
            subscribed(account)
            listed = send(
                account,
                "GET",
                "/v1/events",
                {"type": "customer.subscription.created"},
                version=spoken,
            ).json["data"]
            one = send(account, "GET", f"/v1/events/{listed[0]['id']}", version=spoken).json
            assert one == listed[0]
            assert one["api_version"] == made_in or new
            assert ("current_period_end" in one["data"]["object"]) == (made_in == old)

    @pytest.mark.fidelity("An event is an immutable snapshot")
    def test_an_attempt_later_carries_the_object_as_it_was(self) -> None:
        account, outbox, event_id = with_one_event()
        customer = account.made_since(0).customers[0]["id"]
        send(account, "POST", f"/v1/customers/{customer}", {"name": "Ada"})
        send(account, "DELETE", f"/v1/customers/{customer}")
        body = json.loads(outbox.attempt(event_id, now=NOW).body)
        assert body["data"] == {"object": body["data"]["object"]}
        assert (body["data"]["object"]["id"], body["data"]["object"]["name"]) == (customer, None)
