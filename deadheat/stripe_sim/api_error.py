"""Stripe's errors as values: status, type, code, param, message, and the shape they are sent in.

`ApiError` is raised anywhere inside the account and becomes the answer of the call. The functions
below make the ones that several parts need, with Stripe's own codes.

Source: Stripe API reference, "Errors" and "Error codes"; Stripe docs, "Idempotent requests" and
"Rate limits".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

INVALID_REQUEST = "invalid_request_error"
REASONS = ("global-rate", "global-concurrency", "endpoint-rate", "endpoint-concurrency", "resource-specific")
"""What the header Stripe-Rate-Limited-Reason may say. Source: Stripe docs, "Rate limited requests"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a call, as Stripe says it. ``headers`` are sent besides the usual ones."""

    status: int
    message: str
    type: str = INVALID_REQUEST
    code: str | None = None
    param: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Give the JSON body: ``{"error": {code, doc_url, message, param, type}}``."""
        error: dict[str, Any] = dict(self.extra)
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        error["message"] = self.message
        if self.param:
            error["param"] = self.param
        error["type"] = self.type
        return json.dumps({"error": error}).encode()

    @property
    def of_form(self) -> bool:
        """Say whether it is about the form of the parameters, which is judged before anything executes."""
        return self.code is not None and self.code.startswith("parameter_")


class ApiError(Exception):
    """A call that Stripe refuses; carries the `Problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """Refuse a request as it stands: 400."""
    return ApiError(Problem(status=400, message=message, code=code, param=param))


def unknown_parameter(name: str) -> ApiError:
    """Refuse a parameter that the route does not have."""
    return invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


def missing(name: str) -> ApiError:
    """Refuse a request that lacks a parameter."""
    return invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")


def no_such(noun: str, object_id: str, *, param: str = "id") -> ApiError:
    """Say that an object does not exist: 404 when the path names it, 400 when a parameter does."""
    return ApiError(
        Problem(
            status=404 if param == "id" else 400,
            message=f"No such {noun}: '{object_id}'",
            code="resource_missing",
            param=param,
        )
    )


def unrecognized(method: str, path: str) -> ApiError:
    """Say that there is no such route."""
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/."
    )
    return ApiError(Problem(status=404, message=message))


def not_modelled(method: str, path: str) -> ApiError:
    """Say that there is no such route here: Deadheat models none, and no stripe-mock has answered."""
    known = unrecognized(method, path).problem
    why = (
        " If Stripe has this route: Deadheat does not model it, and leaves it to stripe-mock, which is off "
        "or did not answer."
    )
    return ApiError(replace(known, message=known.message + why))


def unauthorized(message: str) -> ApiError:
    """Refuse the key, or its absence: 401."""
    headers = {"www-authenticate": 'Basic realm="Stripe"'}
    return ApiError(Problem(status=401, message=message, headers=headers))


def key_in_use(key: str) -> ApiError:
    """Refuse a call whose idempotency key another call is using right now: 409."""
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably "
        f"means you submitted twice, and the other request is still going through): {key}. Please try "
        "again later."
    )
    return ApiError(Problem(status=409, message=message, code="idempotency_key_in_use"))


def key_reused(key: str, *, paths: tuple[str, str] | None = None) -> ApiError:
    """Refuse a key that was first used with other parameters, or for another path (``paths``): 400."""
    how = (
        f"for the same endpoint they were first used for ('{paths[0]}' vs '{paths[1]}')"
        if paths
        else "with the same parameters they were first used with"
    )
    message = (
        f"Keys for idempotent requests can only be used {how}. Try using a key other than '{key}' if you "
        "meant to execute a different request."
    )
    return ApiError(Problem(status=400, message=message, type="idempotency_error"))


def failure(status: int, code: str | None = None, reason: str = "global-rate") -> Problem:
    """Give the answer of a call that was made to fail with ``status`` (402, 409, 429 or 5xx).

    ``reason`` is which limit a 429 exceeded (one of `REASONS`); with the code ``lock_timeout`` none was.
    """
    if status == 429 and code == "lock_timeout":
        message = "This object cannot be accessed right now because another API request is accessing it."
        headers = {"stripe-should-retry": "true"}
        return Problem(status=429, message=message, code=code, headers=headers)
    if status == 429:
        headers = {"stripe-rate-limited-reason": reason}
        return Problem(status=429, message="Request rate limit exceeded.", code="rate_limit", headers=headers)
    if status == 402:
        message = "Your card was declined."
        extra = {"decline_code": "generic_decline"}
        return Problem(
            status=402, message=message, type="card_error", code=code or "card_declined", extra=extra
        )
    if status >= 500:
        message = "Sorry, there was a problem on Stripe's end. (Deadheat made this call fail.)"
        return Problem(status=status, message=message, type="api_error", code=code)
    return Problem(status=status, message="Deadheat made this call fail.", code=code)
