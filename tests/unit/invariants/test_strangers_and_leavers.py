"""Whom the target owes nothing: customers of the dashboard, and people who deleted their account."""

from __future__ import annotations

import pytest
from billing_world import BillingWorld


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def violated(world: BillingWorld) -> set[str]:
    return {violation.invariant for violation in world.judged().violations}


class TestStrangers:
    def stranger(self, world: BillingWorld) -> str:
        customer = world.customer(None, email="stranger@example.test")
        world.strangers.add(customer)
        world.subscribe(world.person(), customer, row=False)
        return customer

    def test_a_target_owes_them_nothing(self, world: BillingWorld) -> None:
        self.stranger(world)
        assert violated(world) == set()

    def test_a_customer_that_nobody_made_at_the_dashboard_is_an_orphan(self, world: BillingWorld) -> None:
        customer = self.stranger(world)
        world.strangers.discard(customer)
        assert "no-orphan-customer" in violated(world)

    def test_a_profile_that_names_one_is_wrong(self, world: BillingWorld) -> None:
        customer = self.stranger(world)
        ada = world.person()
        world.profile(ada, customer)
        (proof,) = world.evidence("one-customer-per-user")
        assert "which nothing says is theirs" in proof.says


class TestLeavers:
    def test_who_left_is_owed_no_row(self, world: BillingWorld) -> None:
        ada = world.person()
        customer = world.sign_up(ada)
        name = world.subscribe(ada, customer)
        world.subscriptions[name]["status"] = "canceled"
        world.delete(customer)
        world.answer(ada, "delete-account", promises_customer=False)
        assert world.profiles is not None
        assert world.rows is not None
        world.profiles.clear()
        world.rows.clear()
        assert violated(world) == set()

    @pytest.mark.parametrize("success", [True, False])
    def test_who_was_not_told_so_is_still_owed_all(self, world: BillingWorld, success: bool) -> None:
        ada = world.person()
        customer = world.sign_up(ada)
        world.delete(customer)
        world.answer(ada, "delete-account", promises_customer=False, success=success)
        assert world.profiles is not None
        world.profiles.clear()
        assert ("setup-complete" in violated(world)) is not success

    def test_nothing_of_theirs_may_stay_live(self, world: BillingWorld) -> None:
        ada = world.person()
        name = world.subscribe(ada, customer := world.sign_up(ada))
        answer = world.answer(ada, "delete-account", promises_customer=False)
        (proof,) = world.evidence("setup-complete")
        assert f"Stripe still holds customer {customer} and live subscription {name}" in proof.says
        assert answer.seq in proof.steps

    def test_a_row_that_comes_back_is_seen(self, world: BillingWorld) -> None:
        ada = world.person()
        world.delete(world.sign_up(ada))
        world.answer(ada, "delete-account", promises_customer=False)
        assert violated(world) == {"one-customer-per-user"}

    def test_others_are_judged_as_ever(self, world: BillingWorld) -> None:
        ada, bob = world.person(), world.person()
        customer = world.sign_up(ada)
        world.delete(customer)
        assert world.profiles is not None
        world.profiles.clear()
        world.answer(bob, "delete-account", promises_customer=False)
        assert "setup-complete" in violated(world)
