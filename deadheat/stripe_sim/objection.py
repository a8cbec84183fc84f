"""stripe-mock's objections, said as Stripe says them.

stripe-mock validates against Stripe's specification and names what is wrong by the way to it
(``object property 'line_items' validation failed: object property 'quantity' validation failed:
value is not numeric``), without indices, code or param. Where the way and the parameters sent leave
one place only, that place becomes ``param``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PREFIX = re.compile(r"^Request validation error: (validator \S+ failed: )?")
_STEP = re.compile(r"object property '([^']+)' validation failed: ")
_REQUIRED = re.compile(r"object property '([^']+)' is required")
_UNKNOWN = "additional properties are not allowed"
_UNLISTED = "value is not in enumeration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """What stripe-mock has against a request.

    ``unknown``: a parameter, or a word of an enumeration, that its specification does not know; another
    version of the API may have it.
    """

    problem: Problem
    unknown: bool


def objection(message: str, params: Mapping[str, Any]) -> Objection:
    """Rewrite the message of a 400 of stripe-mock."""
    text = _PREFIX.sub("", message)
    steps = _STEP.findall(text)
    reason = _STEP.sub("", text)
    lacks = _REQUIRED.search(reason)
    if lacks:
        steps = [*steps, lacks[1]]
    param = _place(steps, params)
    code = None
    if lacks:
        code, said = "parameter_missing", f"Missing required param: {param or lacks[1]}."
    elif _UNKNOWN in reason:
        code = "parameter_unknown"
        said = f"Received unknown parameter in {param}" if param else "Received unknown parameter"
    elif "not numeric" in reason:
        code, said = "parameter_invalid_integer", f"Invalid integer: {param}"
    else:
        said = f"Invalid {param}" if param else "Invalid request"
    problem = Problem(status=400, message=f"{said} (stripe-mock: {reason})", code=code, param=param)
    return Objection(problem=problem, unknown=_UNKNOWN in reason or _UNLISTED in reason)


def _place(steps: Sequence[str], params: Mapping[str, Any]) -> str | None:
    """Name the parameter that the steps lead to, as far as it is certain which one is meant."""
    name = ""
    here: Any = params
    for n, step in enumerate(steps):
        name = f"{name}[{step}]" if name else step
        here = here.get(step) if isinstance(here, dict) else None
        following = steps[n + 1] if n + 1 < len(steps) else None
        if isinstance(here, list) and following is not None:
            having = [i for i, part in enumerate(here) if isinstance(part, dict) and following in part]
            if len(having) != 1 and len(here) != 1:
                return name
            at = having[0] if len(having) == 1 else 0
            name, here = f"{name}[{at}]", here[at]
    return name or None
