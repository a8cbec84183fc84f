"""What the endpoints take and give: JSON bodies read with care, and refusals as JSON.

A body is checked before anything else happens, so that nothing a stranger sends reaches Postgres or
Stripe in a form that either would choke on (NUL, lone surrogates, endless strings).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

BODY_BYTES_MAX = 64 * 1024
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_STRIPE_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")


class Refusal(Exception):
    """An answer that is not success: a status, a code for machines and a message for people."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after_s: int | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.more = more

    def response(self) -> JSONResponse:
        """Give the refusal as a response."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        body = {"success": False, "code": self.code, "error": str(self), **self.more}
        return JSONResponse(body, self.status, headers)


def unavailable(what: str) -> Refusal:
    """Give the refusal for trouble that is not the caller's: 503, try again in a second."""
    return Refusal(503, "try_again", what, retry_after_s=1)


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Read the raw body; Refusal 413 where it is longer than ``bytes_max``."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise Refusal(413, "too_long", f"a body may have {bytes_max} bytes")
    return bytes(body)


async def read_object(request: Request) -> Mapping[str, Any]:
    """Read a JSON object from the body; Refusal 400 where it is none."""
    try:
        body = json.loads(await read_body(request, BODY_BYTES_MAX))
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid_json", "the body is not JSON") from error
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "the body is not a JSON object")
    return body


def text(body: Mapping[str, Any], name: str, *, length_max: int = 255) -> str:
    """Give a field that must be there: printable text, trimmed; Refusal 400 otherwise."""
    value = optional_text(body, name, length_max=length_max)
    if value is None:
        raise Refusal(400, "missing_field", f"{name} is missing", field=name)
    return value


def optional_text(body: Mapping[str, Any], name: str, *, length_max: int = 255) -> str | None:
    """Give a field that may be missing, null or blank (all None); Refusal 400 where it is no text."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal(400, "invalid_field", f"{name} is not a string", field=name)
    value = value.strip()
    if len(value) > length_max or (value and not value.isprintable()):
        raise Refusal(400, "invalid_field", f"{name} is too long or not printable", field=name)
    return value or None


def user_id_of(body: Mapping[str, Any], name: str = "userId") -> UUID:
    """Give the user's id; Refusal 400 where it is no UUID in its usual form."""
    value = text(body, name)
    if not _UUID.fullmatch(value):
        raise Refusal(400, "invalid_user_id", f"{name} is not a UUID", field=name)
    return UUID(value)


def email_of(body: Mapping[str, Any], name: str) -> str:
    """Give an e-mail address, as it was spelled; Refusal 400 where it cannot be one."""
    value = text(body, name)
    if not _EMAIL.fullmatch(value):
        raise Refusal(400, "invalid_email", f"{name} is not an e-mail address", field=name)
    return value


def session_of(query: Mapping[str, str], name: str = "session_id") -> str:
    """Give the id of a checkout session; Refusal 400 where it cannot be one."""
    value = text(query, name)
    if not _STRIPE_ID.fullmatch(value):
        raise Refusal(400, "invalid_session", f"{name} is not the id of a session", field=name)
    return value


def price_of(body: Mapping[str, Any], name: str = "priceId") -> str:
    """Give the id of a price; Refusal 400 where it cannot be one."""
    value = text(body, name)
    if not _STRIPE_ID.fullmatch(value):
        raise Refusal(400, "invalid_price", f"{name} is not the id of a price", field=name)
    return value
