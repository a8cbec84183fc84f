"""Where the tests find stripe-mock."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def mock_binary() -> str:
    """Give the path of a stripe-mock; skip the test, by name, or fail it where there must be one."""
    given = os.environ.get("DEADHEAT_STRIPE_MOCK", "")
    checkout = Path(__file__).parents[1] / ".tools" / "stripe-mock"
    found = shutil.which(given) or shutil.which(str(checkout))
    if found:
        return found
    reason = "no stripe-mock binary: set DEADHEAT_STRIPE_MOCK or run `make test`, which puts one into .tools/"
    if os.environ.get("CI") == "true" and shutil.which("go"):
        pytest.fail(reason)
    pytest.skip(reason)
