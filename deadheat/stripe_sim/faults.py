"""Faults: how a call to the API fails, as values, and which calls that befalls.

A `FaultRule` says both. `Faults` counts the calls that its rules wait for and says which one strikes;
whoever armed it then makes the call fail (`Account.fail_by`). An account has faults of its own, which
strike whoever calls; a run has some that know whose a call is.

Source: Stripe docs, "Rate limits" and "Low-level error handling"; API reference, "Errors".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from deadheat.stripe_sim.api_error import REASONS, failure
from deadheat.stripe_sim.locks import objects_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.stripe_sim.api_error import Problem
    from deadheat.stripe_sim.wire import Call

When = Literal["before", "after", "lost", "reset", "timeout", "slow", "locked"]
WAIT_MS = {"slow": 1_000, "timeout": 20_000}
WAIT_MS_MAX = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """Which calls fail, and how. ValueError for what Stripe could not do.

    Which: those of ``route`` (a template such as ``POST /v1/customers/:id``; None for any) that name
    ``object_id`` in their path or as a parameter, and are ``user``'s, where those are given; of them
    the ``nth`` and those behind it, ``times`` in all.

    How, by ``when``; the effect of the call is what it does at Stripe:

    - ``before``: it is answered ``status`` (402, 409, 429, 5xx) and has no effect
    - ``after``: it is answered ``status`` (5xx) although it had its effect
    - ``lost``: it has its effect, and the connection closes without an answer
    - ``reset``: the connection is reset before the call has begun
    - ``timeout``: it has its effect, and nothing comes; after ``wait_ms`` the connection closes
    - ``slow``: it has its effect, and its own answer comes ``wait_ms`` late
    - ``locked``: it is answered 429 ``lock_timeout``, provided that another call that writes the same
      object is between received and effect; only calls of which that is so are counted

    ``code`` goes into the answer; a 429 without ``lock_timeout`` says ``reason`` in its header.
    """

    when: When = "before"
    route: str | None = None
    object_id: str | None = None
    user: str | None = None
    nth: int = 1
    times: int = 1
    status: int = 500
    code: str | None = None
    reason: str = "global-rate"
    wait_ms: int | None = None

    def __post_init__(self) -> None:
        """Refuse what Stripe could not do."""
        if self.when not in get_args(When):
            raise ValueError(f"a fault is {', '.join(get_args(When))}, and not {self.when!r}")
        if self.times < 1:
            raise ValueError(f"a fault strikes at least once, not {self.times} times")
        if self.nth < 1:
            raise ValueError(f"calls are counted from 1: there is no call {self.nth} to strike")
        allowed = (402, 409, 429) if self.when == "before" else ()
        if self.when in ("before", "after") and self.status not in allowed and not 500 <= self.status <= 599:
            raise ValueError(
                f"Stripe does not fail a call with {self.status} {self.when} its effect: "
                "use 402, 409, 429 (before only) or 5xx"
            )
        if self.reason not in REASONS:
            raise ValueError(f"a rate limit is {', '.join(REASONS)}, and not {self.reason!r}")
        if self.wait_ms is not None and self.when not in WAIT_MS:
            raise ValueError(f"wait_ms goes with {' and '.join(WAIT_MS)}, and not with {self.when}")
        if self.wait_ms is not None and not 0 <= self.wait_ms <= WAIT_MS_MAX:
            raise ValueError(f"wait_ms is from 0 to {WAIT_MS_MAX}, and not {self.wait_ms}")

    @property
    def has_effect(self) -> bool:
        """Whether the call does what it asks for."""
        return self.when in ("after", "lost", "timeout", "slow")

    @property
    def keeps_answer(self) -> bool:
        """Whether the client gets no answer at all."""
        return self.when in ("lost", "reset", "timeout")

    @property
    def delay_ms(self) -> int:
        """How long the answer, or the end of the connection, is in coming."""
        return WAIT_MS.get(self.when, 0) if self.wait_ms is None else self.wait_ms

    @property
    def problem(self) -> Problem | None:
        """What the call is answered; None where its own answer stands."""
        if self.when == "locked":
            return failure(429, "lock_timeout")
        if self.when == "reset":
            return failure(503)  # nobody gets to see it
        return failure(self.status, self.code, self.reason) if self.when in ("before", "after") else None

    def waits_for(self, call: Call, user: str | None, is_locked: Callable[[Call], bool]) -> bool:
        """Say whether a call of ``user`` is one that this rule counts."""
        return (
            (self.route is None or self.route == call.route)
            and (self.user is None or self.user == user)
            and (self.object_id is None or self.object_id in objects_of(call))
            and (self.when != "locked" or is_locked(call))
        )

    def __str__(self) -> str:
        told = self.when in ("before", "after", "lost")
        return f"{self.when} {self.status if told else ''} {self.route or ''}".replace("  ", " ").strip()


@dataclass(slots=True)
class _Waiting:
    """A rule and how many of its calls it has seen."""

    rule: FaultRule
    seen: int = 0


class Faults:
    """Rules that wait for their calls. The first that is due strikes; those behind it do not see the call."""

    def __init__(self, *rules: FaultRule) -> None:
        self._waiting: list[_Waiting] = []
        self.arm(*rules)

    def arm(self, *rules: FaultRule) -> None:
        """Let these rules wait too."""
        self._waiting += [_Waiting(rule) for rule in rules]

    def disarm(self) -> None:
        """Let nothing strike any more."""
        self._waiting.clear()

    def strike(
        self, call: Call, is_locked: Callable[[Call], bool], *, user: str | None = None
    ) -> FaultRule | None:
        """Count a call of ``user``, and give the rule that strikes it.

        ``is_locked`` says whether another call is writing what this one would write.
        """
        for waiting in self._waiting:
            rule = waiting.rule
            if waiting.seen < rule.nth + rule.times - 1 and rule.waits_for(call, user, is_locked):
                waiting.seen += 1
                if waiting.seen >= rule.nth:
                    return rule
        return None
