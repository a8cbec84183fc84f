"""Webhook endpoints made through the API, secrets that roll, and events that come twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from sim_client import new_account, send

from deadheat.errors import ActRefused
from deadheat.stripe_sim import Endpoint, Outbox

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account, Attempt

PATH = "/v1/webhook_endpoints"
NOW = 1_800_000_000
HOOK = {"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]}


def endpoint(account: Account, *types: str, **params: Any) -> dict[str, Any]:
    answer = send(account, "POST", PATH, {**HOOK, "enabled_events": list(types) or ["*"], **params})
    assert answer.status == 200, answer.json
    return answer.json


def customer(account: Account) -> str:
    return str(send(account, "POST", "/v1/customers").json["id"])


def types_of(outbox: Outbox) -> list[str]:
    return [outbox.type_of(event_id) for event_id in outbox.emitted()]


def opens_with(attempt: Attempt, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(
            attempt.body.decode(), attempt.headers["stripe-signature"], secret, tolerance=None
        )
    except stripe.SignatureVerificationError:
        return False
    return True


class TestTheApi:
    @pytest.mark.fidelity("The webhook_endpoints API")
    def test_an_endpoint_from_its_creation_to_its_end(self) -> None:
        account = new_account()
        made = endpoint(account, "customer.created", description="mine", metadata={"a": "1"})
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert made["id"].startswith("we_")
        assert (made["object"], made["status"], made["api_version"]) == ("webhook_endpoint", "enabled", None)
        path = f"{PATH}/{made['id']}"
        assert send(account, "GET", path).json == made, "but for the secret, that is given once"
        changed = send(
            account,
            "POST",
            path,
            {"disabled": True, "metadata": {"b": "2"}, "url": "https://app.test/other", "description": ""},
        ).json
        assert (changed["status"], changed["metadata"]) == ("disabled", {"a": "1", "b": "2"})
        assert (changed["url"], changed["description"]) == ("https://app.test/other", None)
        assert send(account, "POST", path, {"disabled": False}).json["status"] == "enabled"
        other = endpoint(account)
        listed = send(account, "GET", PATH).json
        assert [one["id"] for one in listed["data"]] == [other["id"], made["id"]]
        assert all("secret" not in one for one in listed["data"])
        gone = send(account, "DELETE", path).json
        assert gone == {"id": made["id"], "object": "webhook_endpoint", "deleted": True}
        for method in ("GET", "POST", "DELETE"):
            assert send(account, method, path).status == 404
        assert [one["id"] for one in send(account, "GET", PATH).json["data"]] == [other["id"]]
        assert account.made_since(0).events == (), "endpoints have no events of their own"

    def test_a_key_replays_the_secret(self) -> None:
        account = new_account()
        first, second = (send(account, "POST", PATH, HOOK, key="k").json for _ in range(2))
        assert first["secret"] == second["secret"]

    @pytest.mark.parametrize(
        ("params", "param"),
        [
            ({"url": "app.test/hook"}, "url"),
            ({"url": "ftp://app.test"}, "url"),
            ({"url": "http://[half"}, "url"),
            ({"enabled_events": "*"}, "enabled_events"),
            ({"enabled_events": ["everything please"]}, "enabled_events[0]"),
            ({"enabled_events": ["invoice.*"]}, "enabled_events[0]"),
            ({"enabled_events": ""}, "enabled_events"),
            ({"api_version": "newest"}, "api_version"),
            ({"secret": "whsec_mine"}, "secret"),
        ],
    )
    def test_what_is_refused(self, params: dict[str, Any], param: str) -> None:
        answer = send(new_account(), "POST", PATH, {**HOOK, **params})
        assert (answer.status, answer.error["param"]) == (400, param)

    @pytest.mark.parametrize("name", ["url", "enabled_events"])
    def test_what_must_be_said(self, name: str) -> None:
        answer = send(new_account(), "POST", PATH, {k: v for k, v in HOOK.items() if k != name})
        assert (answer.status, answer.error["code"]) == (400, "parameter_missing")


class TestSeveralEndpoints:
    @pytest.mark.fidelity("Several endpoints, each with types, secret and version")
    def test_one_event_goes_to_each_that_asks_for_it(self) -> None:
        account = new_account()
        every = endpoint(account, api_version="2024-06-20")
        some = endpoint(account, "customer.deleted")
        who = customer(account)
        send(account, "DELETE", f"/v1/customers/{who}")
        first, second = account.outbox(every["id"]), account.outbox(some["id"])
        assert types_of(first) == ["customer.created", "customer.deleted"]
        assert types_of(second) == ["customer.deleted"]
        (event_id,) = second.emitted()
        attempts = [outbox.attempt(event_id, now=NOW) for outbox in (first, second)]
        bodies = [json.loads(attempt.body) for attempt in attempts]
        assert bodies[0]["id"] == bodies[1]["id"] == event_id
        assert bodies[0]["api_version"] == "2024-06-20" != bodies[1]["api_version"]
        for attempt, own, other in zip(attempts, (every, some), (some, every), strict=True):
            assert opens_with(attempt, own["secret"])
            assert not opens_with(attempt, other["secret"])

    @pytest.mark.fidelity("pending_webhooks counts endpoints that still wait")
    def test_pending_webhooks_counts_them_though_nobody_has_asked_yet(self) -> None:
        account = new_account()
        made = [endpoint(account)["id"] for _ in range(3)]
        endpoint(account, "invoice.paid")
        customer(account)
        (event,) = account.made_since(0).events

        def pending() -> int:
            return int(send(account, "GET", f"/v1/events/{event['id']}").json["pending_webhooks"])

        assert pending() == 3
        outbox = account.outbox(made[0])
        outbox.answered(outbox.attempt(event["id"], now=NOW), 500)
        assert pending() == 3
        outbox.answered(outbox.attempt(event["id"], now=NOW), 200)
        assert pending() == 2
        send(account, "DELETE", f"{PATH}/{made[1]}")
        assert pending() == 1

    def test_types_count_at_the_moment_of_emission(self) -> None:
        account = new_account()
        customer(account)
        made = endpoint(account, "customer.created")["id"]
        customer(account)
        send(account, "POST", f"{PATH}/{made}", {"enabled_events": ["customer.deleted"]})
        who = customer(account)
        send(account, "DELETE", f"/v1/customers/{who}")
        assert types_of(account.outbox(made)) == ["customer.created", "customer.deleted"]

    def test_a_disabled_one_misses_what_happens_meanwhile_and_is_not_tried(self) -> None:
        account = new_account()
        made = endpoint(account)["id"]
        customer(account)
        send(account, "POST", f"{PATH}/{made}", {"disabled": True})
        customer(account)
        outbox = account.outbox(made)
        (event_id,) = outbox.emitted()
        assert not outbox.may_attempt(event_id)
        with pytest.raises(ActRefused, match="disabled"):
            outbox.attempt(event_id, now=NOW)
        send(account, "POST", f"{PATH}/{made}", {"disabled": False})
        assert outbox.emitted() == (event_id,), "what it missed does not come later"
        assert outbox.may_attempt(event_id)

    def test_there_is_one_outbox_of_each_and_none_of_one_that_is_gone(self) -> None:
        account = new_account()
        first, second = endpoint(account)["id"], endpoint(account)["id"]
        assert account.outbox(first) is account.outbox(first)
        send(account, "POST", f"{PATH}/{first}", {"url": "http://127.0.0.1:9/moved"})
        assert account.outbox(first).endpoint.url == "http://127.0.0.1:9/moved"
        send(account, "DELETE", f"{PATH}/{first}")
        assert [outbox.endpoint.id for outbox in account.outboxes()] == [second]
        with pytest.raises(KeyError):
            account.outbox(first)


class TestUndelivered:
    @pytest.mark.fidelity("Events are listed by whether they have reached every endpoint")
    def test_what_has_not_arrived_everywhere_can_be_listed(self) -> None:
        account = new_account()
        first, second = (account.outbox(endpoint(account)["id"]) for _ in range(2))
        for _ in range(3):
            customer(account)
        taken, half, nowhere = first.emitted()
        for outbox, event_id in ((first, taken), (second, taken), (first, half)):
            outbox.answered(outbox.attempt(event_id, now=NOW), 200)
        second.answered(second.attempt(half, now=NOW), 500)

        def listed(**params: Any) -> list[str]:
            return [event["id"] for event in send(account, "GET", "/v1/events", params).json["data"]]

        assert listed(delivery_success=False) == [nowhere, half]
        assert listed(delivery_success=True) == [taken]
        assert listed(delivery_success=False, ending_before=half) == [nowhere]
        assert listed() == [nowhere, half, taken]


class TestRolling:
    @pytest.mark.fidelity("Two secrets while one rolls")
    def test_both_secrets_open_what_is_sent_meanwhile(self) -> None:
        account = new_account()
        outbox = Outbox(account, Endpoint(url="http://app.test", secret="whsec_old"))
        customer(account)
        (event_id,) = outbox.emitted()

        def opened_by() -> tuple[bool, bool]:
            attempt = outbox.duplicate(event_id, now=NOW)
            return opens_with(attempt, "whsec_old"), opens_with(attempt, "whsec_new")

        assert opened_by() == (True, False)
        outbox.roll("whsec_new", keep_seconds=3600)
        attempt = outbox.attempt(event_id, now=NOW)
        assert attempt.headers["stripe-signature"].count("v1=") == 2
        assert opened_by() == (True, True)
        account.tick(3599)
        assert opened_by() == (True, True)
        account.tick(1)
        assert opened_by() == (False, True)

    def test_a_secret_can_end_at_once_and_lasts_a_day_at_most(self) -> None:
        account = new_account()
        outbox = Outbox(account, Endpoint(url="http://app.test", secret="whsec_old"))
        customer(account)
        outbox.roll("whsec_new", keep_seconds=0)
        attempt = outbox.duplicate(outbox.emitted()[0], now=NOW)
        assert not opens_with(attempt, "whsec_old")
        with pytest.raises(ValueError, match="86400"):
            outbox.roll("whsec_newer", keep_seconds=86_401)

    def test_one_that_was_made_through_the_api_rolls_too(self) -> None:
        account = new_account()
        made = endpoint(account)
        customer(account)
        account.outbox(made["id"]).roll("whsec_new")
        outbox = account.outbox(made["id"])
        attempt = outbox.attempt(outbox.emitted()[0], now=NOW)
        assert opens_with(attempt, made["secret"])
        assert opens_with(attempt, "whsec_new")

    @pytest.mark.fidelity("A signature of a scheme that is none (v0) stands beside the true one")
    def test_no_secret_opens_v0(self) -> None:
        account = new_account()
        outbox = Outbox(account, Endpoint(url="http://app.test", secret="whsec_old"))
        customer(account)
        header = outbox.attempt(outbox.emitted()[0], now=NOW).headers["stripe-signature"]
        kinds = [part.partition("=")[0] for part in header.split(",")]
        assert kinds == ["t", "v1", "v0"]


class TestEvents:
    @pytest.mark.fidelity("Two events for one change")
    def test_two_events_tell_one_change_under_two_ids(self) -> None:
        account = new_account()
        outbox = Outbox(account, Endpoint(url="http://app.test", secret="s"))
        account.ledger.doubles_events = True
        who = customer(account)
        account.ledger.doubles_events = False
        first, second = account.made_since(0).events
        assert first.pop("id") != second.pop("id")
        assert first == second
        assert (first["type"], first["data"]["object"]["id"]) == ("customer.created", who)
        assert len(outbox.emitted()) == 2
        customer(account)
        assert len(account.made_since(0).events) == 3

    @pytest.mark.fidelity("Events tie in one second")
    def test_events_of_one_second_are_told_apart_by_nothing_but_their_order_in_the_list(self) -> None:
        account = new_account()
        mark = account.mark()
        who = customer(account)
        for name in ("a", "b"):
            send(account, "POST", f"/v1/customers/{who}", {"name": name})
        events = account.made_since(mark).events
        assert len({event["created"] for event in events}) == 1
        assert [event["data"]["object"]["name"] for event in events] == [None, "a", "b"]
        account.tick(1)
        send(account, "POST", f"/v1/customers/{who}", {"name": "c"})
        assert account.made_since(mark).events[-1]["created"] == events[0]["created"] + 1

    @pytest.mark.fidelity("request.id and request.idempotency_key name the call that caused it")
    def test_nobody_s_request_caused_what_was_done_at_the_dashboard(self) -> None:
        account = new_account()
        account.make_product("p")
        customer(account)
        send(account, "POST", "/v1/customers", key="k")
        requests = [event["request"] for event in account.made_since(0).events]
        assert requests[0] == {"id": None, "idempotency_key": None}
        assert requests[1]["id"].startswith("req_")
        assert requests[1]["idempotency_key"] is None
        assert requests[2]["idempotency_key"] == "k"
        assert requests[1]["id"] != requests[2]["id"]
