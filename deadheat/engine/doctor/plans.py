"""What the settings say before anything is started: placeholders, invariants, scenarios."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deadheat.bundled import bundled
from deadheat.engine.discover import discover, lacking
from deadheat.engine.levels import reach_of
from deadheat.errors import SetupError
from deadheat.invariants.judge import why_not
from deadheat.invariants.settled import Settled, Tables
from deadheat.settings.operations import OF_THE_USER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.engine.doctor.check import Page
    from deadheat.settings import OperationSettings, Settings, TargetSettings


def examine_plans(page: Page, settings: Settings) -> None:
    """Say which invariants will not be checked, and which scenarios will be skipped, and why."""
    _examine_invariants(page, settings)
    _examine_scenarios(page, settings)


def provided(operation: OperationSettings, operations: Mapping[str, OperationSettings]) -> tuple[str, ...]:
    """Give the operations that one user has to do before this one, so that its placeholders are filled.

    In order, this one left out. SetupError when only the operation itself, or one that waits for it,
    would give the value.
    """
    order: dict[str, None] = {}
    _provide(operation, operations, order, waiting=())
    return tuple(order)


def _provide(
    operation: OperationSettings,
    operations: Mapping[str, OperationSettings],
    order: dict[str, None],
    waiting: tuple[str, ...],
) -> None:
    waiting = (*waiting, operation.name)
    for name in missing(operation):
        givers = [o for o in operations.values() if name in o.gives()]
        free = [giver for giver in givers if giver.name not in waiting]
        if not free:
            raise SetupError(
                f"{{{name}}} is captured only by {operation.name} itself, too late, or by what waits for it"
            )
        if any(giver.name in order for giver in free):
            continue
        _provide(free[0], operations, order, waiting)
        order[free[0].name] = None


def missing(operation: OperationSettings) -> tuple[str, ...]:
    """Give the placeholders of an operation that neither the user nor its own earlier calls fill."""
    return tuple(name for name in operation.wants() if name not in OF_THE_USER)


def unchecked(settings: Settings) -> dict[str, str]:
    """Give the invariants that no run of these settings can check, each with the reason."""
    target = settings.target
    tables = Tables(**dict.fromkeys(target.tables, ()))
    nothing = Settled(
        people=(),
        before_again=tables,
        webhooks=bool(target.webhooks),
        unseen=reach_of(settings).unseen(),
    )
    reasons = {
        invariant.id: why_not(replace(invariant, moot=None), nothing, settings.invariants)
        for invariant in settings.every_invariant
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _examine_invariants(page: Page, settings: Settings) -> None:
    reasons = unchecked(settings)
    every = len(settings.every_invariant)
    page.ok("invariants", f"{every - len(reasons)} of {every} will be checked")
    for name, reason in reasons.items():
        page.warn(f"invariant {name}", f"will not be checked: {reason}", _remedy(reason))


def _remedy(reason: str) -> str:
    if "target.tables" in reason:
        return "Map the relation by a query, if your schema has it."
    if "target.webhook" in reason:
        return "Say where the target takes Stripe's events."
    return ""


def _examine_scenarios(page: Page, settings: Settings) -> None:
    try:
        found = discover(settings.scenarios or [bundled("scenarios")])
    except SetupError as error:
        page.fail("scenarios", str(error))
        return
    reach = reach_of(settings)
    try:
        skipped = {n: lack for n, made in found.items() if (lack := lacking(made, settings.target, reach))}
    except SetupError as error:
        page.fail("scenarios", str(error))
        return
    summary = f"{len(found) - len(skipped)} of {len(found)} can be raced"
    if len(found) == len(skipped):
        page.fail("scenarios", summary, _operations_hint(settings.target))
    else:
        page.ok("scenarios", summary)
    for name, lack in skipped.items():
        page.warn(f"scenario {name}", f"would be skipped: the target does not offer {', '.join(lack)}")


def _operations_hint(target: TargetSettings) -> str:
    offered = ", ".join(target.operations) or "nothing"
    return f"Describe operations in [target.operations]; it offers {offered}."
