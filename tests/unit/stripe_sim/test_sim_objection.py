"""stripe-mock's words, said as Stripe says them."""

from __future__ import annotations

from typing import Any

import pytest

from deadheat.stripe_sim.objection import objection

PREFIX = "Request validation error: validator 0x123501fdaba0 failed: "


def way(*steps: str) -> str:
    return PREFIX + "".join(f"object property '{step}' validation failed: " for step in steps)


@pytest.mark.fidelity("It validates what we model, its objections in Stripe's shape")
@pytest.mark.parametrize(
    ("message", "params", "code", "param"),
    [
        (way("mode") + "value is not in enumeration", {"mode": "x"}, None, "mode"),
        (
            way("line_items", "quantity") + "value is not numeric",
            {"line_items": [{"quantity": "abc"}]},
            "parameter_invalid_integer",
            "line_items[0][quantity]",
        ),
        (
            way("line_items", "quantity") + "value is not numeric",
            {"line_items": [{"price": "p"}, {"quantity": "abc"}]},
            "parameter_invalid_integer",
            "line_items[1][quantity]",
        ),
        (
            way("line_items", "quantity") + "value is not numeric",
            {"line_items": [{"quantity": "1"}, {"quantity": "abc"}]},
            "parameter_invalid_integer",
            "line_items",
        ),
        (
            way("line_items", "price_data") + "object property 'currency' is required",
            {"line_items": [{"price_data": {"unit_amount": "1"}}]},
            "parameter_missing",
            "line_items[0][price_data][currency]",
        ),
        (PREFIX + "object property 'currency' is required", {}, "parameter_missing", "currency"),
        (PREFIX + "additional properties are not allowed", {"foo": "1"}, "parameter_unknown", None),
        (
            way("address") + "could not validate against any of the constraints",
            {"address": "1"},
            None,
            "address",
        ),
    ],
)
def test_code_and_param(message: str, params: dict[str, Any], code: str | None, param: str | None) -> None:
    found = objection(message, params)
    assert (found.problem.status, found.problem.code, found.problem.param) == (400, code, param)
    assert found.unknown == (code == "parameter_unknown" or "enumeration" in message)
    assert "0x" not in found.problem.message
