"""The built-in invariants in the order of the design, and the judge that asks each of them.

An invariant that cannot be asked is *not checked*, with the reason; it never counts as clean. One
whose check crashes leaves the run inconclusive, unless another was violated: the worst verdict wins.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deadheat.errors import DeadheatError, SettingsError, Trouble, closest
from deadheat.invariants import answers, customers, events, payments, subscriptions
from deadheat.invariants.case import Case
from deadheat.invariants.policies import check_policy
from deadheat.invariants.settled import Judgement, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.invariants.invariant import Invariant
    from deadheat.invariants.settled import Settled

_ORDER = (
    "setup-complete",
    "one-customer-per-user",
    "one-profile-per-user",
    "no-orphan-customer",
    "customer-ids-agree",
    "answers-agree",
    "one-live-subscription",
    "paid-is-known",
    "charged-once",
    "subscription-matches-stripe",
    "one-row-per-subscription",
    "no-lost-event",
    "applied-once",
    "no-server-error",
    "bad-webhook-refused",
)

BUILT_IN: tuple[Invariant, ...] = tuple(
    sorted(
        (
            *answers.INVARIANTS,
            *customers.INVARIANTS,
            *events.INVARIANTS,
            *payments.INVARIANTS,
            *subscriptions.INVARIANTS,
        ),
        key=lambda invariant: _ORDER.index(invariant.id),
    )
)


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise SettingsError for an unknown invariant or a value it does not take, naming the closest."""
    known = {invariant.id: invariant for invariant in BUILT_IN}
    for name, value in settings.items():
        if name not in known:
            raise SettingsError(f'[invariants]: there is no invariant "{name}".{closest(name, known)}')
        check_policy(name, value, known[name].policies)


def judge(
    settled: Settled, settings: Mapping[str, str], invariants: tuple[Invariant, ...] = BUILT_IN
) -> Judgement:
    """Ask every invariant; Trouble when a check crashed and no other one was violated."""
    case = Case(settled, settings)
    violations: list[Violation] = []
    checked: list[str] = []
    not_checked: dict[str, str] = {}
    crashed: dict[str, Exception] = {}
    for invariant in invariants:
        reason = why_not(invariant, settled, settings)
        if reason is not None:
            not_checked[invariant.id] = reason
            continue
        try:
            evidence = tuple(invariant.check(case))
        except Exception as error:  # whatever it is, the invariant was not judged
            crashed[invariant.id] = error
            not_checked[invariant.id] = f"its check crashed: {_said(error)}"
            continue
        checked.append(invariant.id)
        if evidence:
            violations.append(
                Violation(invariant=invariant.id, evidence=evidence, holds_when=invariant.holds_when)
            )
    if crashed and not violations:
        name, cause = next(iter(crashed.items()))
        raise Trouble(f"the check of {name} crashed, so nothing is known of it: {_said(cause)}") from cause
    return Judgement(violations=tuple(violations), checked=tuple(checked), not_checked=not_checked)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, DeadheatError) else repr(error)


def why_not(invariant: Invariant, settled: Settled, settings: Mapping[str, str]) -> str | None:
    """Give the reason why an invariant is not judged in a run; None when it is."""
    if settings.get(invariant.id) == "off":
        return "switched off in [invariants]"
    for need in invariant.needs:
        if need in settled.unseen:
            return settled.unseen[need]
        if need in ("stripe", "database"):
            continue
        if need == "webhook":
            if not settled.webhooks:
                return "there is no [target.webhook]"
        elif getattr(settled.before_again, need) is None:
            return f"{need} is not mapped in [target.tables]"
    return invariant.moot(settled) if invariant.moot is not None else None


class Tally:
    """Counts, over many runs, what each invariant said.

    One that was judged in some runs was checked; only one that was judged in none is *not checked*,
    with the reason last given.
    """

    def __init__(self) -> None:
        self._checked: Counter[str] = Counter()
        self._violated: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}

    def add(self, judgement: Judgement) -> None:
        """Count one run."""
        self._checked.update(judgement.checked)
        self._violated.update(violation.invariant for violation in judgement.violations)
        self._reasons.update(judgement.not_checked)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Give runs checked and runs violated, by invariant, for those judged at least once."""
        return {name: (runs, self._violated[name]) for name, runs in self._checked.items()}

    def not_checked(self) -> dict[str, str]:
        """Give the invariants judged in no run, each with its reason."""
        return {name: reason for name, reason in self._reasons.items() if not self._checked[name]}
