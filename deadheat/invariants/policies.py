"""What the ``[invariants]`` table may say of those that are built in.

Each takes "on" and "off"; ``one-live-subscription`` takes "per-user" (the default) or "per-price".
"""

from __future__ import annotations

from deadheat.errors import SettingsError, closest

SWITCHES = ("on", "off")


def check_policy(invariant: str, value: object, policies: tuple[str, ...]) -> None:
    """Raise SettingsError unless the invariant takes that value; ``policies`` are beside on and off."""
    if not isinstance(value, str):
        raise SettingsError(f'[invariants] {invariant}: write "on" or "off" in quotes, not {value!r}.')
    if value not in (known := (*SWITCHES, *policies)):
        choices = ", ".join(f'"{choice}"' for choice in known)
        raise SettingsError(
            f'[invariants] {invariant}: "{value}" is none of {choices}.{closest(value, known)}'
        )
