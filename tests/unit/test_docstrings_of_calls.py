"""The examples in the docstrings of what fills and names calls are true."""

from __future__ import annotations

import doctest

import pytest

from deadheat.engine import calls, postbag, users_sql, visits
from deadheat.settings import statements


@pytest.mark.parametrize("module", [calls, postbag, users_sql, visits, statements], ids=lambda m: m.__name__)
def test_the_examples_are_true(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert tried > 0
    assert failed == 0
