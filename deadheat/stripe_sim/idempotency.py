"""Idempotency keys of API v1: in use while a call executes, then the answer for 24 hours.

A key is taken on receipt and let go at the effect. From then on it replays status and body if
execution had begun, and is free again otherwise. So what is refused for what the account holds (no such
customer, an invoice that is paid: 400, 404) is kept, and what is wrong with the form is not.

Source: Stripe API reference, "Idempotent requests"; Stripe docs, "Advanced error handling" (content errors).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import invalid, key_in_use, key_reused
from deadheat.stripe_sim.clock import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.stripe_sim.wire import ApiResponse

LENGTH_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a key keeps: the request it was first used for and how that was answered."""

    path: str
    params: Mapping[str, Any]
    response: ApiResponse
    request_id: str
    at: int


class Keys:
    """The idempotency keys of an account."""

    def __init__(self) -> None:
        self._in_use: set[str] = set()
        self._stored: dict[str, Stored] = {}

    def take(self, key: str, path: str, params: Mapping[str, Any], now: int) -> Stored | None:
        """Look a key up and take it if it is new; gives what it keeps.

        ApiError: 409 while another call uses it, 400 for another path or other parameters.
        """
        if len(key) > LENGTH_MAX:
            raise invalid(f"Idempotency keys can have up to {LENGTH_MAX} characters.")
        if key in self._in_use:
            raise key_in_use(key)
        stored = self._stored.get(key)
        if stored is not None and now - stored.at >= DAY:
            del self._stored[key]
            stored = None
        if stored is None:
            self._in_use.add(key)
            return None
        if stored.path != path:
            raise key_reused(key, paths=(path, stored.path))
        if stored.params != params:
            raise key_reused(key)
        return stored

    def release(self, key: str, stored: Stored | None) -> None:
        """Let go of a key; ``stored`` is what it keeps from now on, None for nothing."""
        self._in_use.discard(key)
        if stored is not None:
            self._stored[key] = stored
