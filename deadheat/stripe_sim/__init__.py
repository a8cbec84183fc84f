"""A Stripe account in memory, without I/O: what a race can tell about Stripe, it tells the same."""

from deadheat.stripe_sim.account import Account
from deadheat.stripe_sim.api_error import Problem
from deadheat.stripe_sim.api_version import API_VERSION
from deadheat.stripe_sim.cards import DECLINE_CODES
from deadheat.stripe_sim.catalog import MONTHLY, PRODUCT, YEARLY
from deadheat.stripe_sim.dunning import Dunning
from deadheat.stripe_sim.faults import FaultRule, Faults
from deadheat.stripe_sim.made import Made
from deadheat.stripe_sim.outbox import Attempt, Endpoint, Forgery, Outbox
from deadheat.stripe_sim.routes import ROUTES
from deadheat.stripe_sim.wire import ApiRequest, ApiResponse, Call, Route, Stage

__all__ = [
    "API_VERSION",
    "DECLINE_CODES",
    "MONTHLY",
    "PRODUCT",
    "ROUTES",
    "YEARLY",
    "Account",
    "ApiRequest",
    "ApiResponse",
    "Attempt",
    "Call",
    "Dunning",
    "Endpoint",
    "FaultRule",
    "Faults",
    "Forgery",
    "Made",
    "Outbox",
    "Problem",
    "Route",
    "Stage",
]
