"""What crosses the Stripe plane: a request, its answer, and the call of a route that ties them together."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deadheat.stripe_sim.api_error import Problem
    from deadheat.stripe_sim.faults import FaultRule
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.params import Check
    from deadheat.stripe_sim.shelf import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """An HTTP request to the API. Header names are lower-case; ``query`` has no question mark."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """The answer to one. Header names are lower-case; the length is for whoever sends it to say."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stage(IntEnum):
    """How far a call has come. The order is the only one there is."""

    PARSED = 0
    RECEIVED = 1
    EFFECTED = 2
    ANSWERED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One modelled route. ``strict`` refuses unknown parameters, ``lenient`` passes them over."""

    template: str
    act: Callable[[Ledger, Call], Json]
    gives: str
    strict: Check
    lenient: Check

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.template.partition(" ")[0]


@dataclass(slots=True, eq=False)
class Call:
    """One API call on its way through received, effect and response.

    ``route`` is a template such as ``POST /v1/customers/:id``, None where we model none. ``params``
    are the parameters as sent, nested; ``object_ids`` what the effect made or touched, in order.
    ``decided`` says that the answer was known on receipt (an error or a replay): the effect does
    nothing. ``begun`` says that it was executed, whatever came of it, so that its key keeps the answer.
    ``fault`` is how it was made to fail. ``response`` is there from the effect on.
    """

    request: ApiRequest
    id: str
    api_version: str
    route: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    object_ids: tuple[str, ...] = ()
    decided: bool = False
    begun: bool = False
    response: ApiResponse | None = None
    stage: Stage = Stage.PARSED
    args: dict[str, Any] = field(default_factory=dict)
    path_ids: tuple[str, ...] = ()
    matched: Route | None = None
    objection: Problem | None = None
    borrowed: ApiResponse | None = None
    fault: FaultRule | None = None
    holds_key: bool = False
    locks: tuple[str, ...] = ()

    @property
    def path_id(self) -> str:
        """Give the id that the path names."""
        return self.path_ids[0]

    @property
    def lost(self) -> bool:
        """Say whether the answer will not arrive."""
        return self.fault is not None and self.fault.keeps_answer
