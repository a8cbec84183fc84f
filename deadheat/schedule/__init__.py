"""Schedules, the strategies that make them, and the shrinker that makes them small."""

from deadheat.schedule.barrage import CALL_MS, Barrage, Latency
from deadheat.schedule.delay_bounded import DelayBounded
from deadheat.schedule.exhaustive import PREEMPTIONS, Exhaustive, Frontier
from deadheat.schedule.faulty import FAULTABLE, Faultable, Faulty, with_faults
from deadheat.schedule.names import StepName, strand_key
from deadheat.schedule.overlap import Overlap
from deadheat.schedule.pct import PCT
from deadheat.schedule.portfolio import BY_NAME, PORTFOLIO, STRATEGIES, make_strategy, shares
from deadheat.schedule.random_walk import RandomWalk
from deadheat.schedule.replay import Replay
from deadheat.schedule.schedule import Schedule, fingerprint_of
from deadheat.schedule.serial import Serial
from deadheat.schedule.shrink import Outcome, Shrunk, Strand, shrink
from deadheat.schedule.strategy import Held, Strategy, default_choice, fault_name
from deadheat.schedule.token import TOKEN_MAX
from deadheat.schedule.trace import (
    Released,
    Switch,
    conflicts_of,
    context_switches,
    faults_in,
    pairs_in_both_orders,
    steps_of,
    switches_of,
)
from deadheat.schedule.yield_points import Yield

__all__ = [
    "BY_NAME",
    "CALL_MS",
    "FAULTABLE",
    "PCT",
    "PORTFOLIO",
    "PREEMPTIONS",
    "STRATEGIES",
    "TOKEN_MAX",
    "Barrage",
    "DelayBounded",
    "Exhaustive",
    "Faultable",
    "Faulty",
    "Frontier",
    "Held",
    "Latency",
    "Outcome",
    "Overlap",
    "RandomWalk",
    "Released",
    "Replay",
    "Schedule",
    "Serial",
    "Shrunk",
    "StepName",
    "Strand",
    "Strategy",
    "Switch",
    "Yield",
    "conflicts_of",
    "context_switches",
    "default_choice",
    "fault_name",
    "faults_in",
    "fingerprint_of",
    "make_strategy",
    "pairs_in_both_orders",
    "shares",
    "shrink",
    "steps_of",
    "strand_key",
    "switches_of",
    "with_faults",
]
