"""A call's three steps: idempotency keys, faults, and who may go when."""

from __future__ import annotations

from typing import Any

import pytest
from sim_client import START, Answer, begin, finish, new_account, request, send

from deadheat.stripe_sim import MONTHLY, Account, ApiRequest

ADA = {"email": "ada@example.test"}


def customers(account: Account) -> int:
    return len(account.made_since(0).customers)


class TestKeys:
    @pytest.mark.fidelity("A key replays status and body")
    def test_a_key_replays_status_and_body(self) -> None:
        account = new_account()
        first = send(account, "POST", "/v1/customers", ADA, key="k")
        again = send(account, "POST", "/v1/customers", ADA, key="k")
        assert again.raw == first.raw
        assert again.status == 200
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["original-request"] == first.headers["request-id"]
        assert again.headers["request-id"] != first.headers["request-id"]
        assert "idempotent-replayed" not in first.headers
        assert customers(account) == 1
        assert again.call.object_ids == ()

    @pytest.mark.fidelity("Every object has a new id; an e-mail is no key")
    def test_without_a_key_there_are_two(self) -> None:
        account = new_account()
        first, second = (send(account, "POST", "/v1/customers", ADA) for _ in range(2))
        assert first.json["id"] != second.json["id"]

    @pytest.mark.fidelity("A key with other parameters: 400 idempotency_error")
    def test_the_same_key_with_other_parameters(self) -> None:
        account = new_account()
        send(account, "POST", "/v1/customers", ADA, key="k")
        other = send(account, "POST", "/v1/customers", {"email": "bob@example.test"}, key="k")
        assert other.status == 400
        assert other.error["type"] == "idempotency_error"
        assert customers(account) == 1

    @pytest.mark.fidelity("A key for another path: 400 idempotency_error")
    def test_the_same_key_for_another_path(self) -> None:
        account = new_account()
        made = send(account, "POST", "/v1/customers", ADA, key="k").json
        other = send(account, "POST", f"/v1/customers/{made['id']}", ADA, key="k")
        assert (other.status, other.error["type"]) == (400, "idempotency_error")
        assert "/v1/customers" in other.error["message"]

    @pytest.mark.fidelity("A key in use: 409 idempotency_key_in_use")
    def test_a_key_is_in_use_from_received_to_effect(self) -> None:
        account = new_account()
        first = begin(account, "POST", "/v1/customers", ADA, key="k")
        second = begin(account, "POST", "/v1/customers", ADA, key="k")
        assert second.decided
        account.effect(first)
        third = begin(account, "POST", "/v1/customers", ADA, key="k")
        refused = finish(account, second)
        assert refused.status == 409
        assert refused.error["code"] == "idempotency_key_in_use"
        assert refused.error["type"] == "invalid_request_error"
        replayed = finish(account, third)
        assert replayed.headers["idempotent-replayed"] == "true"
        assert replayed.raw == account.response(first).body

    @pytest.mark.fidelity("A 409 is not stored")
    def test_a_refused_conflict_is_not_stored(self) -> None:
        account = new_account()
        first = begin(account, "POST", "/v1/customers", ADA, key="k")
        send(account, "POST", "/v1/customers", ADA, key="k")
        made = finish(account, first)
        assert send(account, "POST", "/v1/customers", ADA, key="k").raw == made.raw

    @pytest.mark.fidelity("A validation 400 is not stored")
    @pytest.mark.parametrize(
        ("path", "params", "status"),
        [
            ("/v1/customers", {"nonsense": "1"}, 400),
            ("/v1/refunds", {}, 400),
            ("/v1/nothing", {}, 404),
        ],
    )
    def test_what_never_began_is_not_stored(self, path: str, params: dict[str, Any], status: int) -> None:
        account = new_account()
        assert send(account, "POST", path, params, key="k").status == status
        assert send(account, "POST", "/v1/customers", ADA, key="k").status == 200

    @pytest.mark.fidelity("Idempotency: Once execution has begun a 400 or 404 is stored too")
    @pytest.mark.parametrize(
        ("path", "params", "status"),
        [
            ("/v1/refunds", {"charge": "ch_missing"}, 400),
            ("/v1/customers/cus_missing", {"name": "A"}, 404),
        ],
    )
    def test_what_began_is_stored_if_it_was_refused(
        self, path: str, params: dict[str, Any], status: int
    ) -> None:
        account = new_account()
        first, again = (send(account, "POST", path, params, key="k") for _ in range(2))
        assert (first.status, again.status, again.raw) == (status, status, first.raw)
        assert again.headers["idempotent-replayed"] == "true"
        mended = send(account, "POST", "/v1/customers", ADA, key="k")
        assert (mended.status, mended.error["type"]) == (400, "idempotency_error")

    def test_a_refusal_stays_under_its_key_when_its_cause_is_gone(self) -> None:
        account = new_account()
        customer = send(account, "POST", "/v1/customers", ADA).json["id"]
        asked = {"customer": customer, "items": [{"price": MONTHLY}]}
        without_card = send(account, "POST", "/v1/subscriptions", asked, key="k")
        assert without_card.error["code"] == "resource_missing"
        card = send(account, "POST", "/v1/payment_methods/pm_card_visa/attach", {"customer": customer}).json
        default = {"invoice_settings": {"default_payment_method": card["id"]}}
        send(account, "POST", f"/v1/customers/{customer}", default)
        assert send(account, "POST", "/v1/subscriptions", asked, key="k").raw == without_card.raw
        assert send(account, "POST", "/v1/subscriptions", asked, key="l").json["status"] == "active"

    @pytest.mark.fidelity("A 401 is not stored")
    @pytest.mark.fidelity("A wrong API key, or none: 401")
    def test_a_wrong_api_key_is_not_stored(self) -> None:
        account = new_account()
        refused = send(account, "POST", "/v1/customers", ADA, key="k", secret="sk_test_other")
        assert refused.status == 401
        assert send(account, "POST", "/v1/customers", ADA, key="k").headers.get("idempotent-replayed") is None

    @pytest.mark.fidelity("A key lives for 24 hours")
    @pytest.mark.parametrize(("seconds", "made"), [(86_399, 1), (86_400, 2)])
    def test_a_key_lives_for_24_hours_of_the_run_s_clock(self, seconds: int, made: int) -> None:
        account = new_account()
        send(account, "POST", "/v1/customers", ADA, key="k")
        account.tick(seconds)
        send(account, "POST", "/v1/customers", ADA, key="k")
        assert customers(account) == made

    @pytest.mark.fidelity("Idempotency: GET and DELETE take no key")
    def test_get_and_delete_take_no_key(self) -> None:
        account = new_account()
        made = send(account, "POST", "/v1/customers", ADA).json
        path = f"/v1/customers/{made['id']}"
        assert send(account, "GET", path, key="k").json["email"] == ADA["email"]
        assert send(account, "DELETE", path, key="k").json["deleted"] is True
        assert send(account, "DELETE", path, key="k").status == 404

    def test_an_abandoned_call_frees_its_key(self) -> None:
        account = new_account()
        dropped = begin(account, "POST", "/v1/customers", ADA, key="k")
        account.abandon(dropped)
        assert send(account, "POST", "/v1/customers", ADA, key="k").status == 200

    def test_a_key_of_256_characters(self) -> None:
        assert send(new_account(), "POST", "/v1/customers", ADA, key="k" * 256).status == 400


class TestFaults:
    @staticmethod
    def failed(account: Account, **fault: Any) -> Answer:
        call = begin(account, "POST", "/v1/customers", ADA, key="k")
        account.fail(call, **fault)
        return finish(account, call)

    @pytest.mark.fidelity("A 500 is stored")
    @pytest.mark.fidelity("Faults by rule or by step: 5xx before the effect")
    @pytest.mark.fidelity("Faults by rule or by step: 5xx after the effect")
    @pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
    def test_a_500_is_stored_and_replayed(self, when: str, made: int) -> None:
        account = new_account()
        answer = self.failed(account, status=500, when=when)
        assert (answer.status, answer.error["type"]) == (500, "api_error")
        assert answer.headers["stripe-should-retry"] == "false"
        again = send(account, "POST", "/v1/customers", ADA, key="k")
        assert (again.status, again.raw) == (500, answer.raw)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["stripe-should-retry"] == "false"
        assert customers(account) == made

    def test_without_a_key_a_500_leaves_nothing_behind(self) -> None:
        account = new_account()
        call = begin(account, "POST", "/v1/customers", ADA)
        account.fail(call, status=503, when="before")
        answer = finish(account, call)
        assert answer.status == 503
        assert "stripe-should-retry" not in answer.headers
        assert send(account, "POST", "/v1/customers", ADA).status == 200

    @pytest.mark.fidelity("A lost response, then its replay")
    def test_a_lost_answer_is_replayed(self) -> None:
        account = new_account()
        call = begin(account, "POST", "/v1/customers", ADA, key="k")
        account.fail(call, when="lost")
        finish(account, call)
        assert call.lost
        again = send(account, "POST", "/v1/customers", ADA, key="k")
        assert not again.call.lost
        assert again.headers["idempotent-replayed"] == "true"
        assert customers(account) == 1

    @pytest.mark.fidelity("A 402 is stored")
    def test_a_decline_is_stored(self) -> None:
        account = new_account()
        answer = self.failed(account, status=402, when="before")
        assert (answer.error["type"], answer.error["code"]) == ("card_error", "card_declined")
        assert send(account, "POST", "/v1/customers", ADA, key="k").status == 402

    @pytest.mark.fidelity("A 429 is not stored")
    @pytest.mark.fidelity("A rate limit: 429 with its reason")
    @pytest.mark.fidelity("Faults by rule or by step: 429")
    @pytest.mark.parametrize(
        ("code", "header"),
        [
            (None, ("stripe-rate-limited-reason", "global-rate")),
            ("lock_timeout", ("stripe-should-retry", "true")),
        ],
    )
    def test_a_429_is_not_stored(self, code: str | None, header: tuple[str, str]) -> None:
        account = new_account()
        answer = self.failed(account, status=429, when="before", code=code)
        assert answer.error["code"] == (code or "rate_limit")
        assert header in answer.headers.items()
        assert send(account, "POST", "/v1/customers", ADA, key="k").status == 200

    @pytest.mark.parametrize("fault", [{"status": 429, "when": "after"}, {"status": 404, "when": "before"}])
    def test_what_stripe_could_not_do(self, fault: dict[str, Any]) -> None:
        account = new_account()
        call = begin(account, "POST", "/v1/customers", ADA)
        with pytest.raises(ValueError, match=str(fault["status"])):
            account.fail(call, **fault)

    def test_a_replay_can_fail_and_stays_stored(self) -> None:
        account = new_account()
        first = send(account, "POST", "/v1/customers", ADA, key="k")
        assert self.failed(account, status=500, when="before").status == 500
        assert send(account, "POST", "/v1/customers", ADA, key="k").raw == first.raw

    def test_a_fault_comes_between_received_and_effect(self) -> None:
        account = new_account()
        call = account.parse(request("POST", "/v1/customers", ADA))
        with pytest.raises(ValueError, match="between received and effect"):
            account.fail(call, status=500, when="before")
        account.received(call)
        account.effect(call)
        with pytest.raises(ValueError, match="between received and effect"):
            account.fail(call, status=500, when="before")


class TestOrder:
    def test_steps_come_in_their_order_and_once(self) -> None:
        account = new_account()
        call = account.parse(request("POST", "/v1/customers", ADA))
        with pytest.raises(ValueError, match="parsed cannot be effected"):
            account.effect(call)
        account.received(call)
        account.effect(call)
        with pytest.raises(ValueError, match="effected cannot be effected"):
            account.effect(call)
        account.response(call)
        with pytest.raises(ValueError, match="answered cannot be answered"):
            account.response(call)

    @pytest.mark.fidelity("An effect and its event come before the response")
    @pytest.mark.fidelity("request.id and request.idempotency_key name the call that caused it")
    def test_the_effect_and_its_event_come_before_the_answer(self) -> None:
        account = new_account()
        call = begin(account, "POST", "/v1/customers", ADA, key="k")
        assert account.made_since(0).events == ()
        account.effect(call)
        (event,) = account.made_since(0).events
        assert event["data"]["object"]["id"] == call.object_ids[0]
        assert event["request"] == {"id": call.id, "idempotency_key": "k"}
        listed = send(account, "GET", "/v1/customers", {"email": ADA["email"]}).json["data"]
        assert [customer["id"] for customer in listed] == list(call.object_ids)

    @pytest.mark.fidelity("Concurrency: a GET answers with what was there at its effect")
    def test_a_get_answers_with_the_time_of_its_effect(self) -> None:
        account = new_account()
        made = send(account, "POST", "/v1/customers", ADA).json
        path = f"/v1/customers/{made['id']}"
        early, late = begin(account, "GET", path), begin(account, "GET", path)
        account.effect(early)
        send(account, "POST", path, {"name": "Ada"})
        account.effect(late)
        assert Answer(early, account.response(early)).json["name"] is None
        assert Answer(late, account.response(late)).json["name"] == "Ada"

    @pytest.mark.fidelity("The clock is the run's")
    @pytest.mark.fidelity("Events tie in one second")
    def test_the_clock_is_the_run_s(self) -> None:
        account = new_account()
        first, second = (send(account, "POST", "/v1/customers", ADA).json for _ in range(2))
        account.tick(1)
        third = send(account, "POST", "/v1/customers", ADA).json
        assert [c["created"] for c in (first, second, third)] == [START, START, START + 1]
        account.begin_run(START + 500)
        assert send(account, "POST", "/v1/customers", ADA).json["created"] == START + 500


class TestAccess:
    @pytest.mark.fidelity("A wrong API key, or none: 401")
    def test_a_request_without_a_key(self) -> None:
        account = new_account()
        call = account.received(account.parse(ApiRequest(method="GET", path="/v1/customers")))
        assert finish(account, call).status == 401

    def test_basic_authentication(self) -> None:
        account = new_account()
        headers = {"authorization": "Basic c2tfdGVzdF9zaW06"}
        call = account.received(
            account.parse(ApiRequest(method="GET", path="/v1/customers", headers=headers))
        )
        assert finish(account, call).status == 200

    def test_a_live_key_is_refused_in_words_of_ours(self) -> None:
        answer = send(new_account(), "GET", "/v1/customers", secret="sk_live_abc")
        assert answer.status == 401
        assert "live" in answer.error["message"]
        assert "sk_live_abc" not in answer.error["message"]

    def test_an_unknown_route(self) -> None:
        answer = send(new_account(), "GET", "/v1/nothing")
        assert (answer.status, answer.error["type"]) == (404, "invalid_request_error")
        assert answer.call.route is None

    @pytest.mark.parametrize("version", ["latest", "2025-9-30", "2025-09-30.clover\x00"])
    def test_an_invalid_version(self, version: str) -> None:
        assert send(new_account(), "GET", "/v1/customers", version=version).status == 400

    def test_json_is_not_understood(self) -> None:
        account = new_account()
        headers = {"authorization": "Bearer sk_test_sim", "content-type": "application/json"}
        asked = ApiRequest(method="POST", path="/v1/customers", headers=headers, body=b"{}")
        assert finish(account, account.received(account.parse(asked))).status == 400

    def test_a_seed_gives_the_same_ids(self) -> None:
        ids = [send(new_account(seed), "POST", "/v1/customers", ADA).json["id"] for seed in (1, 1, 2)]
        assert ids[0] == ids[1] != ids[2]

    def test_searching_what_is_not_modelled_names_no_object(self) -> None:
        assert send(new_account(), "GET", "/v1/refunds/search", {"query": "a"}).call.route is None
