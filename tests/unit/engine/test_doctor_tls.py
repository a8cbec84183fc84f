"""What the doctor says of TLS between the target and its database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deadheat.engine.doctor.check import Check, Health, Page
from deadheat.engine.doctor.control import _tell_tls
from deadheat.engine.postgres import Dsn
from deadheat.engine.postgres.proxy import OpenGate, PostgresProxy
from deadheat.engine.postgres.tls import own_context

DEMAND = Dsn.parse("postgresql://a@localhost/a?sslmode=require").demand()


@pytest.mark.parametrize(
    ("wires", "health", "says"),
    [
        ({}, Health.WARN, "trustme is not installed"),
        ({"tls": own_context()}, Health.OK, "offered to the target"),
        ({"tls": own_context(), "demand": DEMAND}, Health.OK, "the target has to do without"),
    ],
)
def test_who_speaks_it_is_said_in_a_line(wires: dict[str, Any], health: Health, says: str) -> None:
    made: list[Check] = []
    deployment: Any = SimpleNamespace(proxy=PostgresProxy(("127.0.0.1", 1), OpenGate(), **wires))
    _tell_tls(Page("control", made.append), deployment)
    (check,) = made
    assert check.health is health
    assert says in check.seen
    assert ("deadheat[tls]" in check.remedy) is (health is Health.WARN)
