"""Generated: programs that Hypothesis draws, each raced once. Run by pytest only.

DEADHEAT_EXAMPLES says how many (default 10). A run under barrage is a sample, so Hypothesis only
draws: it neither shrinks nor remembers. Under CI it draws the same programs every time.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import deadheat

EXAMPLES = int(os.environ.get("DEADHEAT_EXAMPLES", "10"))


@pytest.mark.slow
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
    race(program, schedules=1, strategy="barrage")
