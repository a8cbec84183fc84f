"""The Postgres protocol as it passes by, without I/O: flights, answers, and what statements touch."""

from deadheat.errors import ProtocolError
from deadheat.pgwire.describe import Described, describe
from deadheat.pgwire.events import (
    Cancel,
    Flight,
    Forward,
    Refuse,
    Reply,
    Result,
    Secure,
    Statement,
    Transaction,
)
from deadheat.pgwire.lexical import normalized
from deadheat.pgwire.session import Session

__all__ = [
    "Cancel",
    "Described",
    "Flight",
    "Forward",
    "ProtocolError",
    "Refuse",
    "Reply",
    "Result",
    "Secure",
    "Session",
    "Statement",
    "Transaction",
    "describe",
    "normalized",
]
