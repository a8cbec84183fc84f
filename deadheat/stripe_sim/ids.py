"""Ids in Stripe's shape: a prefix and letters and digits drawn from a seed, never given twice."""

from __future__ import annotations

import random
import string

_ALPHABET = string.ascii_letters + string.digits

_PREFIXES = {
    "customer": ("cus_", 14),
    "subscription": ("sub_1", 23),
    "subscription_item": ("si_", 14),
    "checkout.session": ("cs_test_", 58),
    "invoice": ("in_1", 23),
    "invoice_payment": ("inpay_1", 23),
    "line_item": ("il_1", 23),
    "session_item": ("li_1", 23),
    "payment_intent": ("pi_3", 23),
    "payment_method": ("pm_1", 23),
    "charge": ("ch_3", 23),
    "refund": ("re_3", 23),
    "event": ("evt_1", 23),
    "product": ("prod_", 14),
    "price": ("price_1", 23),
    "request": ("req_", 14),
}


class Ids:
    """Gives ids; the same seed gives the same ids in the same order of asking."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"deadheat-ids:{seed}")
        self._given: set[str] = set()

    def new(self, kind: str) -> str:
        """Give a new id for an object of ``kind``."""
        prefix, length = _PREFIXES[kind]
        while True:
            made = prefix + "".join(self._random.choices(_ALPHABET, k=length))
            if made not in self._given:
                break
        if kind != "request":
            self._given.add(made)
        return made

    def letters(self, length: int) -> str:
        """Give letters and digits that are part of no id (an invoice prefix, a client secret)."""
        return "".join(self._random.choices(string.ascii_uppercase + string.digits, k=length))
