"""Real third-party packages, raced: what is found in them is found again, and what is right is clean.

`make examples` runs these, in minutes; they need what PyPI and npm give. docs/examples.md tells what
came of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from examples_stage import deadheat, installed, raced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DEADHEAT_EXAMPLES" not in os.environ, reason="it takes minutes: make examples"),
]

ONE_WORKER = ("--workers", "1", "--seed", "1")


def test_a_naive_site_on_node_is_found_out(tmp_path: Path) -> None:
    site = installed("node_billing")
    naive = raced(site, "--schedules", "24", *ONE_WORKER, folder=tmp_path)
    assert naive.code == 1, naive.said
    tabs = naive.findings("node-billing.two-tabs")
    assert {"one-customer-per-user", "one-live-subscription", "charged-once"} <= tabs.keys()
    assert int(tabs["one-live-subscription"]["replays"].removesuffix("/20")) > 10
    assert {"applied-once"} <= naive.findings("node-billing.each-event-twice").keys()
    token = tabs["one-live-subscription"]["token"]
    assert deadheat("replay", token, "--target", str(site), folder=tmp_path)[0] == 1


def test_its_mended_twin_is_clean(tmp_path: Path) -> None:
    mended = raced(installed("node_billing"), "--schedules", "24", *ONE_WORKER, folder=tmp_path, WAY="mended")
    assert mended.code == 0, mended.said


def test_dj_stripe_takes_one_event_once_and_makes_one_customer(tmp_path: Path) -> None:
    """What it is right about: an event that comes three times at once, and Customer.get_or_create."""
    clean = raced(
        installed("dj_stripe"), "dj-stripe.one-event-three-times", "dj-stripe.two-sign-ups",
        "--schedules", "10", *ONE_WORKER, folder=tmp_path,
    )  # fmt: skip
    assert clean.code == 0, clean.said


# Each was replayed 15 to 20 times of 20 when it was measured.
@pytest.mark.parametrize("scenario", ["events-of-a-renewal", "an-invoice-without-an-intent"])
def test_dj_stripe_deadlocks_on_the_events_of_a_new_invoice(scenario: str, tmp_path: Path) -> None:
    """Which webhook dies is chance, and so is what the retry meets; that one dies replays."""
    site = installed("dj_stripe")
    found = raced(
        site, f"dj-stripe.{scenario}", "--strategy", "random-walk", "--schedules", "8", *ONE_WORKER,
        folder=tmp_path,
    )  # fmt: skip
    assert found.code == 1, found.said
    finding = found.findings(f"dj-stripe.{scenario}")["no-deadlock"]
    shown, of = map(int, finding["replays"].split("/"))
    assert (of, shown > of // 2) == (20, True), finding
    assert "deadlock detected" in found.said
    assert deadheat("replay", finding["token"], "--target", str(site), folder=tmp_path)[0] == 1
