"""The log of the application: one line for each thing that matters, with ids and without secrets.

E-mail addresses, links and keys never reach it.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import Any

LOGGER = logging.getLogger("reference_impl")

CUSTOMER_SERVICE = "[CUSTOMER SERVICE]"
CHECKOUT = "[CHECKOUT]"
AUTH_CALLBACK = "[AUTH CALLBACK]"
STRIPE_SYNC = "[STRIPE SYNC]"
DATABASE = "[DATABASE]"
APPLICATION = "[APPLICATION]"


def start_logging() -> None:
    """Send the log to standard output, once for each process."""
    if not LOGGER.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        LOGGER.propagate = False


def info(prefix: str, message: str, **ids: Any) -> None:
    """Write that something happened."""
    LOGGER.info("%s %s%s", prefix, message, _pairs(ids))


def warning(prefix: str, message: str, **ids: Any) -> None:
    """Write that something went wrong and was dealt with, or will be tried again."""
    LOGGER.warning("%s %s%s", prefix, message, _pairs(ids))


def failure(prefix: str, error: Exception, **ids: Any) -> None:
    """Write that something went wrong which nobody foresaw.

    Of the error its type and where it was raised; its message may tell what must not be here.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "reference_impl" in frame.filename] or frames
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(own))
    LOGGER.error("%s failed: %s at %s%s", prefix, type(error).__name__, where, _pairs(ids))


def _pairs(ids: dict[str, Any]) -> str:
    return "".join(f" {name}={value}" for name, value in ids.items())
