"""Answers: the headers that every one carries, refusals, and what a key replays.

Source: Stripe API reference, "Request IDs", "Idempotent requests"; ``Stripe-Should-Retry`` as Stripe's
libraries read it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deadheat.stripe_sim.wire import ApiResponse

if TYPE_CHECKING:
    from deadheat.stripe_sim.api_error import Problem
    from deadheat.stripe_sim.idempotency import Stored
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call


_ENCODER = json.JSONEncoder(check_circular=False)


def success(call: Call, result: Json) -> ApiResponse:
    """Answer 200 with an object."""
    return ApiResponse(status=200, headers=_headers(call), body=_ENCODER.encode(result).encode())


def refusal(call: Call, problem: Problem) -> ApiResponse:
    """Answer with an error; a 5xx under a key is not worth a retry, as the key would replay it.

    A call that did not get its lock was not processed, and has no request id.
    """
    headers = {**_headers(call), **problem.headers}
    if problem.code == "lock_timeout":
        headers = {name: value for name, value in headers.items() if value != call.id}
    if problem.status >= 500 and call.key is not None:
        headers["stripe-should-retry"] = "false"
    return ApiResponse(status=problem.status, headers=headers, body=problem.body())


def replay(call: Call, stored: Stored) -> ApiResponse:
    """Answer with what a key keeps: the same status and body, marked as replayed."""
    headers = _headers(call)
    headers["idempotent-replayed"] = "true"
    headers["original-request"] = stored.request_id
    if "stripe-should-retry" in stored.response.headers:
        headers["stripe-should-retry"] = stored.response.headers["stripe-should-retry"]
    return ApiResponse(status=stored.response.status, headers=headers, body=stored.response.body)


def borrowed(call: Call, response: ApiResponse) -> ApiResponse:
    """Answer with somebody else's status and body under our headers."""
    return ApiResponse(status=response.status, headers=_headers(call), body=response.body)


def _headers(call: Call) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "request-id": call.id,
        "stripe-version": call.api_version,
    }
    if call.key is not None:
        headers["idempotency-key"] = call.key
        headers["original-request"] = call.id
    return headers
