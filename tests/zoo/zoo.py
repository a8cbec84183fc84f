"""The zoo: ten seeded bugs, each with a repaired twin, to see whether Deadheat finds what it must.

A mutant is the reference with one part replaced, in ``apps/``; its twin differs in the one thing that
repairs it. One operation at a time both are right. A mutant is *hard* when plain concurrency shows it
in at most 5% of runs: its windows are within a statement, or far apart. What was measured stands in
``measured.json``, written by ``python -m zoo.measure``.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
MEASURED = HERE / "measured.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A seeded bug: its module and its twin's in ``apps/``, and what a scenario shows broken.

    ``effects`` says that its database has a table of effects, to be mapped; ``faults`` is how many faults
    a schedule must have to show it.
    """

    name: str
    module: str
    twin: str
    scenario: str
    invariant: str
    hard: bool
    about: str
    effects: bool = False
    faults: int = 0


def _mutant(
    name: str, scenario: str, invariant: str, about: str, *, hard: bool = False, faults: int = 0
) -> Mutant:
    module = name.replace("-", "_")
    return Mutant(
        name=name,
        module=module,
        twin=f"{module}_mended",
        scenario=scenario,
        invariant=invariant,
        hard=hard,
        about=about,
        effects=invariant == "applied-once",
        faults=faults,
    )


ZOO = (
    _mutant(
        "two-profiles",
        "signup.confirm-twice",
        "one-profile-per-user",
        "a profile is looked for, then inserted, without a key",
    ),
    _mutant(
        "upsert-by-function",
        "zoo.payment-arrives",
        "one-row-per-subscription",
        "a PL/pgSQL function looks for a row, then inserts it, without a key",
        hard=True,
    ),
    _mutant(
        "where-not-exists",
        "zoo.payment-arrives-twice",
        "applied-once",
        "INSERT … SELECT … WHERE NOT EXISTS, without a key",
        hard=True,
    ),
    _mutant(
        "create-without-key",
        "signup.confirm-twice",
        "one-customer-per-user",
        "customers are listed at Stripe, then one is created, without an idempotency key",
    ),
    _mutant(
        "own-insert",
        "checkout.return-against-webhook",
        "one-row-per-subscription",
        "the webhook inserts a row that the request inserts too",
    ),
    _mutant(
        "payload-wins",
        "webhook.cancel-against-renew",
        "subscription-matches-stripe",
        "a payload is written as it is, so the order of arrival decides",
    ),
    _mutant(
        "one-second-guard",
        "zoo.renewed-then-canceled",
        "subscription-matches-stripe",
        "a payload is written unless the row's is newer, by whole seconds",
        hard=True,
    ),
    _mutant(
        "read-then-ticket",
        "zoo.canceled-while-renewing",
        "subscription-matches-stripe",
        "a subscription is read at Stripe, then written, and an older read overwrites a newer one",
        hard=True,
    ),
    _mutant(
        "ledger-apart",
        "zoo.payment-arrives-twice",
        "applied-once",
        "an event is applied in one transaction and entered in the ledger in another",
    ),
    _mutant(
        "carries-on",
        "signup.confirm-twice",
        "setup-complete",
        "the link in the mail gives a session to somebody whose customer is still being made",
    ),
)

# Not among the ten: no race shows it, only a schedule in which something goes wrong.
FRAIL = _mutant(
    "fresh-key",
    "signup.confirm-twice",
    "one-customer-per-user",
    "each attempt to create a customer has an idempotency key of its own",
    hard=True,
    faults=1,
)

# Nor this one: each event is delivered once, and a retry comes beside it only where Stripe hangs up.
HASTY = _mutant(
    "grants-after-a-look",
    "zoo.payment-arrives",
    "applied-once",
    "credits are looked for, then granted, in one transaction and without a key",
    hard=True,
    faults=1,
)

TYPES = (
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
)
_EFFECTS = "effects = \"select source_id, 'credits' as kind from credits\"\n"


def settings_file(
    mutant: Mutant, folder: Path, *, mended: bool = False, types: Sequence[str] = TYPES
) -> Path:
    """Write the deadheat.toml of a mutant, or of its twin, into a folder of its own below ``folder``.

    It is the reference's, but for what it starts and which events it asks for: those that heal what
    others broke (``customer.created`` adopts a customer that nobody recorded) are left out.
    """
    module = mutant.twin if mended else mutant.module
    python_path = os.pathsep.join((str(HERE.parent), str(TOP)))
    text = (TOP / "reference_impl" / "deadheat.toml").read_text(encoding="utf-8")
    for pattern, new in (
        (r"reference_impl\.app:app --app-dir \.\.", f"zoo.apps.{module}:app"),
        (r"\{python\} migrate\.py", f"{{python}} -m zoo.migrate {module}"),
        (r"\[target\.env\]", f'[target.env]\nPYTHONPATH = "{python_path}"'),
        (r"types = \[[^]]*\]", f"types = {json.dumps(types)}"),
    ):
        before, after = re.split(pattern, text)  # there is one
        text = f"{before}{new}{after}"
    file = folder / module / "deadheat.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    scenarios = f'scenarios = ["{TOP / "scenarios"}", "{HERE / "scenarios"}"]\n'
    file.write_text(scenarios + text + (_EFFECTS if mutant.effects else ""), encoding="utf-8")
    return file
