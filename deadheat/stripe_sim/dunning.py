"""The rule for renewals that are not paid. Source: Stripe docs, "Automate payment retries"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Dunning:
    """How often an invoice of a renewal is tried in all, and what its subscription is then."""

    attempts: int = 8
    then: Literal["canceled", "unpaid", "past_due"] = "canceled"
