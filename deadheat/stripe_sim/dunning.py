"""The rule for renewals that are not paid. Source: Stripe docs, "Automate payment retries"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

_Then = Literal["canceled", "unpaid", "past_due"]


@dataclass(frozen=True, slots=True)
class Dunning:
    """How often an invoice of a renewal is tried in all, and what its subscription is then.

    ValueError for less than one attempt, and for what a subscription is not left as.
    """

    attempts: int = 8
    then: _Then = "canceled"

    def __post_init__(self) -> None:
        """Refuse a rule that no account has."""
        if self.attempts < 1:
            raise ValueError(f"an invoice is tried once at least, and not {self.attempts} times")
        if self.then not in get_args(_Then):
            raise ValueError(f'a subscription is left {", ".join(get_args(_Then))}, and not "{self.then}"')
