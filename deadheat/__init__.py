"""Deadheat races a Stripe billing integration and asserts that nothing happens twice or is lost."""

from deadheat.adapter import BlockingVisit, HttpAnswer, Outcome, Visit
from deadheat.errors import DeadheatError, Inconclusive, Violated
from deadheat.invariants.case import Case
from deadheat.invariants.settled import Evidence
from deadheat.program import Program, Scenario, User, World, scenario
from deadheat.programs import programs
from deadheat.stripe_sim import Dunning

__all__ = [
    "BlockingVisit",
    "Case",
    "DeadheatError",
    "Dunning",
    "Evidence",
    "HttpAnswer",
    "Inconclusive",
    "Outcome",
    "Program",
    "Scenario",
    "User",
    "Violated",
    "Visit",
    "World",
    "programs",
    "scenario",
]
__version__ = "0.1.0"
