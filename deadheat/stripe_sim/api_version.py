"""Stripe's API versions: which one is spoken, and the eras that tell objects apart.

A version is its date, then a release name. What differs here is what races can see: from
2025-03-31.basil on a subscription of a checkout exists only once it is paid, periods stand on the
items, and an invoice names its subscription under ``parent``; from 2025-09-30.clover on new
subscriptions are billed in the flexible mode; from 2026-03-25.dahlia on the ``ui_mode`` of a checkout
session has other words.

Source: Stripe docs, "API changelog", entries 2025-03-31.basil, 2025-09-30.clover, 2026-03-25.dahlia.
"""

from __future__ import annotations

import re
from typing import Final

API_VERSION: Final = "2025-09-30.clover"
"""The version of stripe-mock v0.197.0's specification: what a request without a version speaks."""

_SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z_]+)?")


def is_version(text: str) -> bool:
    """Say whether ``text`` has the shape of a version; betas (``; feature=v1``) count."""
    return _SHAPE.fullmatch(text.partition(";")[0].strip()) is not None


def since_basil(version: str) -> bool:
    """Say whether the version is 2025-03-31.basil or later."""
    return version[:10] >= "2025-03-31"


def since_clover(version: str) -> bool:
    """Say whether the version is 2025-09-30.clover or later."""
    return version[:10] >= "2025-09-30"


def ui_modes(version: str) -> dict[str, str]:
    """Give the words of ``ui_mode`` in a version, each for the word of `API_VERSION`."""
    if version[:10] >= "2026-03-25":
        return {"custom": "elements", "embedded": "embedded_page", "form": "form", "hosted": "hosted_page"}
    return {"custom": "custom", "embedded": "embedded", "hosted": "hosted"}
