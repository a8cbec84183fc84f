"""The judge: what is asked, what is not and why, and what a crash means."""

from __future__ import annotations

import pytest
from billing_world import BillingWorld

from deadheat.errors import SettingsError, Trouble
from deadheat.invariants import BUILT_IN, Tally, check_settings, judge
from deadheat.invariants.invariant import Invariant
from deadheat.invariants.settled import Evidence, Settled

IDS = (
    "setup-complete",
    "one-customer-per-user",
    "one-profile-per-user",
    "no-orphan-customer",
    "customer-ids-agree",
    "answers-agree",
    "one-live-subscription",
    "paid-is-known",
    "charged-once",
    "subscription-matches-stripe",
    "one-row-per-subscription",
    "no-lost-event",
    "applied-once",
    "no-server-error",
    "bad-webhook-refused",
)


def test_the_built_in_invariants_are_the_fifteen_in_their_order() -> None:
    assert tuple(invariant.id for invariant in BUILT_IN) == IDS


def test_each_is_either_checked_or_says_why_not() -> None:
    world = BillingWorld(profiles=None, rows=None, effects=None)
    judgement = world.judged(charged_once="off")
    assert {*judgement.checked, *judgement.not_checked} == set(IDS)
    assert not {*judgement.checked} & {*judgement.not_checked}
    assert judgement.not_checked["setup-complete"] == "customers is not mapped in [target.tables]"
    assert (
        judgement.not_checked["one-row-per-subscription"] == "subscriptions is not mapped in [target.tables]"
    )
    assert judgement.not_checked["charged-once"] == "switched off in [invariants]"
    assert judgement.checked == ("answers-agree", "no-server-error")


@pytest.mark.parametrize(
    ("unmapped", "unjudged"),
    [
        (
            "profiles",
            {
                "setup-complete",
                "one-customer-per-user",
                "one-profile-per-user",
                "no-orphan-customer",
                "customer-ids-agree",
                "paid-is-known",
            },
        ),
        (
            "rows",
            {
                "customer-ids-agree",
                "one-live-subscription",
                "paid-is-known",
                "subscription-matches-stripe",
                "one-row-per-subscription",
                "no-lost-event",
            },
        ),
        ("effects", set()),
    ],
)
def test_a_relation_that_is_not_mapped_leaves_its_invariants_unjudged(
    unmapped: str, unjudged: set[str]
) -> None:
    world = BillingWorld()
    setattr(world, unmapped, None)
    assert set(world.judged().not_checked) == unjudged | {"bad-webhook-refused"}


def test_a_relation_that_is_mapped_and_empty_is_judged() -> None:
    assert set(BillingWorld().judged().checked) == set(IDS) - {"bad-webhook-refused"}


def test_without_a_webhook_nothing_can_be_said_of_events() -> None:
    judgement = BillingWorld(webhooks=False).judged()
    assert {name for name, why in judgement.not_checked.items() if "[target.webhook]" in why} == {
        "paid-is-known",
        "subscription-matches-stripe",
        "no-lost-event",
        "applied-once",
        "bad-webhook-refused",
    }


def test_what_is_switched_off_trips_nothing() -> None:
    world = BillingWorld()
    world.customer(None)
    assert world.tripped() == {"no-orphan-customer"}
    assert world.tripped(no_orphan_customer="off") == set()
    assert world.tripped(no_orphan_customer="on") == {"no-orphan-customer"}


def _crash(case: object) -> tuple[Evidence, ...]:
    raise ZeroDivisionError("oops")


def _lazily_crash(case: object) -> object:
    yield Evidence(says="so far so good")
    raise ZeroDivisionError("oops")


CRASHING = Invariant(id="crashing", holds_when="never", check=_crash)
LAZY = Invariant(id="lazy", holds_when="never", check=_lazily_crash)  # type: ignore[arg-type]
TRIPPING = Invariant(id="tripping", holds_when="never", check=lambda case: (Evidence(says="broken"),))


@pytest.mark.parametrize("crashing", [CRASHING, LAZY])
def test_a_check_that_crashes_is_inconclusive(crashing: Invariant) -> None:
    with pytest.raises(Trouble, match=rf"the check of {crashing.id} crashed.*ZeroDivisionError\('oops'\)"):
        judge(Settled(people=()), {}, (crashing,))


@pytest.mark.parametrize("order", [(CRASHING, TRIPPING), (TRIPPING, CRASHING)])
def test_a_violation_is_worse_than_a_crash(order: tuple[Invariant, ...]) -> None:
    judgement = judge(Settled(people=()), {}, order)
    assert [violation.invariant for violation in judgement.violations] == ["tripping"]
    assert judgement.checked == ("tripping",)
    assert "crashed" in judgement.not_checked["crashing"]


def test_stripe_objects_that_make_no_sense_do_not_pass_for_clean() -> None:
    world = BillingWorld()
    world.invoices["x"] = {"status": "paid", "customer": world.sign_up(world.person())}
    with pytest.raises(Trouble, match="charged-once"):
        world.judged()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"charged-onse": "off"}, 'no invariant "charged-onse". Did you mean "charged-once"?'),
        ({"charged-once": "of"}, 'charged-once: "of" is none of "on", "off". Did you mean "off"?'),
        ({"one-live-subscription": "per-usr"}, 'Did you mean "per-user"?'),
        ({"charged-once": "per-user"}, "is none of"),
        ({"charged-once": False}, "in quotes"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings(settings)
    assert message in str(caught.value)


def test_settings_that_do() -> None:
    check_settings(
        {
            "one-live-subscription": "per-price",
            "charged-once": "off",
            "no-lost-event": "on",
        }
    )
    check_settings({"subscription-matches-stripe": "off", "one-live-subscription": "per-user"})


def test_a_tally_counts_runs_and_forgets_a_reason_once_a_run_was_judged() -> None:
    tally = Tally()
    forged = BillingWorld()
    forged.deliver("evt_1", 200, forged="stale")
    for world in (BillingWorld(), forged, BillingWorld()):
        tally.add(world.judged(charged_once="off"))
    assert tally.counts()["bad-webhook-refused"] == (1, 1)
    assert tally.counts()["setup-complete"] == (3, 0)
    assert tally.not_checked() == {"charged-once": "switched off in [invariants]"}
