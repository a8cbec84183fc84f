"""What the ``[invariants]`` table may say, invariant by invariant.

Every invariant takes "on" and "off". ``one-live-subscription`` takes "per-user" (the default) or
"per-price". ``subscription-matches-stripe`` takes a mapping of the target's names of a status to
Stripe's: "paid=active|trialing, ended=canceled". "cancelled" is understood as it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.errors import SettingsError, closest
from deadheat.invariants.stripe_json import STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

SWITCHES = ("on", "off")

NAMES_ALIKE: Mapping[str, frozenset[str]] = {"cancelled": frozenset({"canceled"})}


def status_names(setting: str) -> dict[str, frozenset[str]]:
    """Read a mapping of status names; SettingsError for one that cannot be read.

    >>> sorted(status_names("paid=active|trialing")["paid"])
    ['active', 'trialing']
    """
    if setting in SWITCHES:
        return {}
    names: dict[str, frozenset[str]] = {}
    for pair in setting.split(","):
        local, equals, stripe = (part.strip() for part in pair.partition("="))
        if not (local and equals and stripe):
            raise SettingsError(
                f'[invariants] subscription-matches-stripe: "{pair.strip()}" is not a pair. Write '
                '"on", "off", or your names and Stripe\'s: "paid=active|trialing, ended=canceled".'
            )
        meant = frozenset(name.strip() for name in stripe.split("|"))
        for unknown in sorted(meant - STATUSES):
            raise SettingsError(
                f'[invariants] subscription-matches-stripe: Stripe has no status "{unknown}".'
                f"{closest(unknown, sorted(STATUSES))}"
            )
        names[local.casefold()] = meant
    return names


def check_policy(invariant: str, value: object, policies: tuple[str, ...]) -> None:
    """Raise SettingsError unless the invariant takes that value; ``policies`` are beside on and off."""
    if not isinstance(value, str):
        raise SettingsError(f'[invariants] {invariant}: write "on" or "off" in quotes, not {value!r}.')
    if invariant == "subscription-matches-stripe":
        status_names(value)
    elif value not in (known := (*SWITCHES, *policies)):
        choices = ", ".join(f'"{choice}"' for choice in known)
        raise SettingsError(
            f'[invariants] {invariant}: "{value}" is none of {choices}.{closest(value, known)}'
        )
