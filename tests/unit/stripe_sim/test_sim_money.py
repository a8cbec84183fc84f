"""Whatever is paid, refused, refunded, credited, voided and renewed in any order: each cent is somewhere."""

from __future__ import annotations

from typing import Any

import pytest
from billing_calls import ACTS, BILLING, MORE, act, billed, named
from hypothesis import given, settings
from hypothesis import strategies as st
from money_adds_up import money_adds_up
from sim_client import begin, new_account


@pytest.mark.fidelity("Any interleaving keeps ids unique, one effect per key, money adding up")
@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(BILLING | MORE | ACTS, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_money_adds_up_after_every_effect(does: list[Any], chance: Any) -> None:
    account = new_account()
    names = billed(account)
    held = []
    for what in does:
        if isinstance(what, str):
            act(account, what, names)
        else:
            method, path, params = what
            held.append(begin(account, method, *named(names, path, params)))
        while held and chance.random() < 0.7:
            account.effect(held.pop(chance.randrange(len(held))))
            money_adds_up(account)
    for call in held:
        account.effect(call)
    money_adds_up(account)
