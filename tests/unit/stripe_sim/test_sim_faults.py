"""Faults by rule: which calls a rule strikes, what it does to them, and locks on objects."""

from __future__ import annotations

from typing import Any

import pytest
from sim_client import Answer, begin, finish, new_account, send

from deadheat.stripe_sim import Account, FaultRule

CREATE = "POST /v1/customers"
UPDATE = "POST /v1/customers/:id"
ADA = {"email": "ada@example.test"}


def armed(*rules: FaultRule) -> Account:
    account = new_account()
    account.faults.arm(*rules)
    return account


def customers(account: Account) -> int:
    return len(account.made_since(0).customers)


class TestWhichCalls:
    @pytest.mark.fidelity("Faults by rule or by step: at the n-th call")
    @pytest.mark.parametrize(
        ("nth", "times", "statuses"),
        [
            (1, 1, [503, 200, 200, 200]),
            (2, 1, [200, 503, 200, 200]),
            (2, 2, [200, 503, 503, 200]),
            (4, 9, [200, 200, 200, 503]),
        ],
    )
    def test_the_nth_call_and_those_behind_it(self, nth: int, times: int, statuses: list[int]) -> None:
        account = armed(FaultRule(route=CREATE, nth=nth, times=times, status=503))
        assert [send(account, "POST", "/v1/customers", ADA).status for _ in range(4)] == statuses

    @pytest.mark.fidelity("Faults by rule or by step: per route")
    def test_only_calls_of_its_route_are_struck_and_counted(self) -> None:
        account = armed(FaultRule(route=UPDATE, nth=2))
        made = send(account, "POST", "/v1/customers", ADA).json["id"]
        path = f"/v1/customers/{made}"
        assert [send(account, "POST", path, {"name": "A"}).status for _ in range(2)] == [200, 500]

    def test_a_rule_without_a_route_strikes_any_call(self) -> None:
        account = armed(FaultRule(status=502))
        assert [send(account, "GET", "/v1/customers").status for _ in range(2)] == [502, 200]

    @pytest.mark.fidelity("Faults by rule or by step: per object")
    def test_an_object_is_named_by_the_path_or_by_a_parameter(self) -> None:
        account = new_account()
        ada, bob = (send(account, "POST", "/v1/customers", ADA).json["id"] for _ in range(2))
        account.faults.arm(FaultRule(object_id=ada, times=9))
        asked = (f"/v1/customers/{ada}", f"/v1/customers/{bob}")
        assert [send(account, "GET", path).status for path in asked] == [500, 200]
        listed = [send(account, "GET", "/v1/subscriptions", {"customer": who}).status for who in (ada, bob)]
        assert listed == [500, 200]

    def test_a_rule_for_a_user_waits_for_somebody_who_knows_whose_a_call_is(self) -> None:
        account = armed(FaultRule(user="ada"))
        call = begin(account, "POST", "/v1/customers", ADA)
        assert call.fault is None
        assert account.faults.strike(call, account.locked, user="bob") is None
        assert account.faults.strike(call, account.locked, user="ada") == FaultRule(user="ada")

    def test_the_first_rule_that_is_due_strikes_and_the_next_waits(self) -> None:
        account = armed(FaultRule(route=CREATE, status=500), FaultRule(route=CREATE, status=503))
        assert [send(account, "POST", "/v1/customers").status for _ in range(3)] == [500, 503, 200]

    def test_what_was_decided_on_receipt_is_not_counted(self) -> None:
        account = armed(FaultRule(route=CREATE, nth=2))
        answers = [send(account, "POST", "/v1/customers", ADA, key="k") for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert send(account, "POST", "/v1/customers", {"nonsense": "1"}).status == 400
        assert send(account, "POST", "/v1/customers", ADA).status == 500

    def test_disarmed_nothing_strikes(self) -> None:
        account = armed(FaultRule())
        account.faults.disarm()
        assert send(account, "GET", "/v1/customers").status == 200

    @pytest.mark.parametrize(
        ("rule", "says"),
        [
            ({"when": "never"}, "never"),
            ({"status": 404}, "404"),
            ({"status": 429, "when": "after"}, "429 after"),
            ({"times": 0}, "at least once"),
            ({"nth": 0}, "counted from 1"),
            ({"reason": "bad-luck"}, "bad-luck"),
            ({"wait_ms": 5}, "before"),
            ({"when": "slow", "wait_ms": -1}, "-1"),
        ],
    )
    def test_what_stripe_could_not_do(self, rule: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            FaultRule(**rule)


class TestWhatHappens:
    @pytest.mark.fidelity("A rate limit: 429 with its reason")
    @pytest.mark.parametrize("reason", ["global-rate", "endpoint-concurrency", "resource-specific"])
    def test_a_rate_limit_says_which_limit(self, reason: str) -> None:
        account = armed(FaultRule(status=429, reason=reason))
        answer = send(account, "POST", "/v1/customers", ADA)
        assert (answer.status, answer.error["code"]) == (429, "rate_limit")
        assert answer.headers["stripe-rate-limited-reason"] == reason
        assert "stripe-should-retry" not in answer.headers
        assert customers(account) == 0

    @pytest.mark.fidelity("A 409 is not stored")
    def test_a_conflict_leaves_its_key_free(self) -> None:
        account = armed(FaultRule(status=409))
        answers = [send(account, "POST", "/v1/customers", ADA, key="k") for _ in range(2)]
        assert [answer.status for answer in answers] == [409, 200]
        assert "idempotent-replayed" not in answers[1].headers

    @pytest.mark.fidelity("Faults by rule or by step: reset")
    def test_a_reset_has_no_effect_and_its_key_stays_free(self) -> None:
        account = armed(FaultRule(when="reset"))
        call = begin(account, "POST", "/v1/customers", ADA, key="k")
        finish(account, call)
        assert (call.lost, customers(account)) == (True, 0)
        again = send(account, "POST", "/v1/customers", ADA, key="k")
        assert (again.status, customers(account)) == (200, 1)
        assert "idempotent-replayed" not in again.headers

    @pytest.mark.fidelity("Faults by rule or by step: time-out")
    def test_after_a_time_out_the_key_replays_what_was_done(self) -> None:
        account = armed(FaultRule(when="timeout"))
        call = begin(account, "POST", "/v1/customers", ADA, key="k")
        finish(account, call)
        assert (call.lost, customers(account)) == (True, 1)
        again = send(account, "POST", "/v1/customers", ADA, key="k")
        assert (again.headers["idempotent-replayed"], customers(account)) == ("true", 1)

    @pytest.mark.fidelity("Faults by rule or by step: slow")
    def test_a_slow_call_is_answered_as_ever(self) -> None:
        account = armed(FaultRule(when="slow", wait_ms=70))
        call = begin(account, "POST", "/v1/customers", ADA)
        assert finish(account, call).json["email"] == ADA["email"]
        assert call.fault is not None
        assert (call.lost, call.fault.delay_ms) == (False, 70)


class TestLocks:
    """The second call that writes an object while the first is between received and effect."""

    @staticmethod
    def two_updates(*rules: FaultRule) -> tuple[Account, Answer, Answer]:
        account = new_account()
        path = f"/v1/customers/{send(account, 'POST', '/v1/customers', ADA).json['id']}"
        account.faults.arm(*rules)
        first = begin(account, "POST", path, {"name": "first"}, key="1")
        second = finish(account, begin(account, "POST", path, {"name": "second"}, key="2"))
        return account, finish(account, first), second

    def test_without_a_rule_the_second_waits_for_its_lock_and_gets_it(self) -> None:
        _, first, second = self.two_updates()
        assert (first.status, second.status) == (200, 200)

    @pytest.mark.fidelity("Concurrent writes to one object: 429 lock_timeout")
    def test_by_a_rule_the_second_does_not_get_it_in_time(self) -> None:
        account, first, second = self.two_updates(FaultRule(when="locked"))
        assert (first.status, first.json["name"]) == (200, "first")
        assert (second.status, second.error["code"]) == (429, "lock_timeout")
        assert second.error["type"] == "invalid_request_error"
        assert second.headers["stripe-should-retry"] == "true"
        assert "stripe-rate-limited-reason" not in second.headers
        assert "request-id" not in second.headers, "Stripe does not process it"
        again = send(account, "POST", f"/v1/customers/{first.json['id']}", {"name": "second"}, key="2")
        assert (again.status, again.json["name"]) == (200, "second")

    def test_who_is_alone_has_the_lock(self) -> None:
        account = armed(FaultRule(when="locked", times=9))
        path = f"/v1/customers/{send(account, 'POST', '/v1/customers', ADA).json['id']}"
        assert [send(account, "POST", path, {"name": n}).status for n in "ab"] == [200, 200]
        begin(account, "GET", path)
        assert send(account, "POST", path, {"name": "c"}).status == 200, "who reads holds no lock"
        writing = begin(account, "POST", path, {"name": "d"})
        assert send(account, "GET", path).status == 200, "who reads needs none"
        account.abandon(writing)
        assert send(account, "DELETE", path).status == 200

    def test_who_was_refused_holds_nothing(self) -> None:
        account = armed(FaultRule(when="locked"))
        path = f"/v1/customers/{send(account, 'POST', '/v1/customers', ADA).json['id']}"
        first = begin(account, "POST", path, {"name": "first"})
        begin(account, "POST", path, {"name": "second"})
        finish(account, first)
        third = begin(account, "POST", path, {"name": "third"})
        assert not account.locked(third)

    def test_a_call_that_names_the_object_in_a_parameter_needs_its_lock_too(self) -> None:
        account = new_account()
        ada, bob = (send(account, "POST", "/v1/customers", ADA).json["id"] for _ in range(2))
        begin(account, "POST", f"/v1/customers/{ada}", {"name": "held"})
        for customer, locked in ((ada, True), (bob, False)):
            asked = {"mode": "setup", "currency": "usd", "customer": customer}
            call = begin(
                account, "POST", "/v1/checkout/sessions", {**asked, "success_url": "https://app.test/done"}
            )
            assert account.locked(call) == locked
