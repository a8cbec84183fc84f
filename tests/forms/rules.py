"""What must hold of credits, as a function over the settled run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deadheat import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat import Case


def credits_are_paid_for(case: Case) -> Iterator[Evidence]:
    """There are as many credits as paid invoices."""
    given = Counter(effect.source_id for effect in case.settled.before_again.effects or ())
    paid = Counter(
        str(invoice["id"]) for invoice in case.settled.stripe.invoices if invoice["status"] == "paid"
    )
    for invoice in given - paid:
        yield Evidence(says=f"{invoice} gave {given[invoice]} credits and was paid {paid[invoice]} times.")
    for invoice in paid - given:
        yield Evidence(says=f"{invoice} was paid, and gave {given[invoice]} credits.")
