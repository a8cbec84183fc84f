"""Generated: programs that Hypothesis draws, each raced once. Run by pytest only.

DEADHEAT_EXAMPLES says how many (default 10). A run under barrage is a sample, and Hypothesis wants a
test that says the same twice: so it only draws, without its shrink phase and its database, and a
program that was not clean is not raced again but remembered. Under CI the draws are always the same.
"""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, settings

import deadheat

EXAMPLES = int(os.environ.get("DEADHEAT_EXAMPLES", "10"))
NOT_CLEAN: dict[deadheat.Program, Exception] = {}


@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate),
    database=None,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(program=deadheat.programs())
def test_drawn_programs(race: Callable[..., object], program: deadheat.Program) -> None:
    """Nothing is done twice or lost, whoever does what at once."""
    if program in NOT_CLEAN:
        raise NOT_CLEAN[program]
    try:
        race(program, schedules=1, strategy="barrage")
    except (deadheat.Violated, deadheat.Inconclusive) as verdict:
        NOT_CLEAN[program] = verdict
        raise
