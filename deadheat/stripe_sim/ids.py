"""Ids in Stripe's shape: a prefix and letters and digits drawn from a seed, never given twice."""

from __future__ import annotations

import random
import string

_ALPHABET = string.ascii_letters + string.digits
_LETTERS = bytes(ord(_ALPHABET[n % 62]) for n in range(256))
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_DRAWN_AT_ONCE = 4096
_TAILS = 62**6
_STRIDE = 35_107_171_717  # shares no factor with 62

_PREFIXES = {
    "account": ("acct_1", 16),
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
    "setup_intent": ("seti_1", 23),
    "charge": ("ch_3", 23),
    "refund": ("re_3", 23),
    "event": ("evt_1", 23),
    "product": ("prod_", 14),
    "price": ("price_1", 23),
    "promotion_code": ("promo_1", 23),
    "discount": ("di_1", 23),
    "invoiceitem": ("ii_1", 23),
    "credit_note": ("cn_1", 23),
    "customer_balance_transaction": ("cbtxn_1", 23),
    "billing_portal.configuration": ("bpc_1", 23),
    "billing_portal.session": ("bps_1", 23),
    "webhook_endpoint": ("we_1", 23),
    "webhook_secret": ("whsec_", 32),
    "request": ("req_", 14),
}


class Ids:
    """Gives ids; the same seed gives the same ids in the same order of asking.

    The last six letters of the ids of a kind are a walk through all that six letters can spell, in
    strides that meet each once: no id comes twice, and none need be remembered.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"deadheat-ids:{seed}")
        self._tails: dict[str, int] = {}
        self._drawn = ""
        self._at = 0

    def new(self, kind: str) -> str:
        """Give a new id for an object of ``kind``."""
        prefix, length = _PREFIXES[kind]
        number = self._tails.get(kind)
        if number is None:
            number = self._random.randrange(_TAILS)
        self._tails[kind] = (number + _STRIDE) % _TAILS
        rest, third = divmod(number, len(_PAIRS))
        first, second = divmod(rest, len(_PAIRS))
        return f"{prefix}{self._draw(length - 6)}{_PAIRS[first]}{_PAIRS[second]}{_PAIRS[third]}"

    def letters(self, length: int) -> str:
        """Give letters and digits that are part of no id (an invoice prefix, a client secret)."""
        return self._draw(length).upper()

    def _draw(self, length: int) -> str:
        """Draw letters and digits; many at once, as most of the time goes into the asking."""
        begin, self._at = self._at, self._at + length
        if self._at > len(self._drawn):
            self._drawn = self._random.randbytes(_DRAWN_AT_ONCE).translate(_LETTERS).decode()
            begin, self._at = 0, length
        return self._drawn[begin : self._at]
