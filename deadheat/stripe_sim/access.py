"""Reading a request as far as it goes without the account's state: key, version, route, parameters.

Whatever is wrong here is an objection that decides the call on receipt, before any idempotency key
is looked at. Source: Stripe API reference, "Authentication", "Versioning", "Errors".
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from deadheat.stripe_sim import expand, form, routes
from deadheat.stripe_sim.api_error import ApiError, Problem, invalid, unauthorized, unrecognized
from deadheat.stripe_sim.api_version import API_VERSION, is_version

if TYPE_CHECKING:
    from deadheat.stripe_sim.wire import ApiRequest, Call

LIVE = ("sk_live_", "rk_live_")


def read(call: Call, secret_key: str) -> None:
    """Fill in route, ids, parameters and key of a call; an objection is noted and not raised."""
    try:
        _identify(call)
        authorize(call.request, secret_key)
        _check_version(call.request)
        if call.matched is None:
            if not call.request.path.startswith("/v1/"):
                raise unrecognized(call.request.method, call.request.path)
            return
        strict = call.api_version == API_VERSION
        call.args = (call.matched.strict if strict else call.matched.lenient)(call.params, "")
        expand.check(call.args.get("expand", ()), call.matched.gives)
    except ApiError as error:
        call.objection = error.problem


def authorize(request: ApiRequest, secret_key: str) -> None:
    """Refuse a request that does not carry the account's key; a live key is refused with its own words."""
    given = api_key(request)
    if given is None:
        raise unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if given.startswith(LIVE):
        raise unauthorized(
            "Deadheat refuses live keys: this is a simulator, and the application under test was started "
            "with a key of a live account. Give it a test key."
        )
    if not hmac.compare_digest(given.encode(), secret_key.encode()):
        masked = f"{given[:8]}***{given[-4:]}" if len(given) > 16 else "***"
        raise unauthorized(f"Invalid API Key provided: {masked}")


def api_key(request: ApiRequest) -> str | None:
    """Give the key that a request carries, by bearer or basic authentication; None without one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _identify(call: Call) -> None:
    """Find the route and read the parameters, as far as they can be read."""
    request = call.request
    found = routes.match(request.method, request.path)
    if found is not None:
        call.matched, ids = found
        call.route = call.matched.template
        call.path_ids = tuple(unquote(object_id) for object_id in ids)
    if request.method == "POST":
        call.key = request.headers.get("idempotency-key") or None
    call.params = _params(request)


def _params(request: ApiRequest) -> dict[str, Any]:
    """Read query and body as one form; ApiError when it makes no sense."""
    content_type = request.headers.get("content-type", "")
    if request.body and content_type.partition(";")[0].strip() == "application/json":
        raise invalid("Requests to API v1 are form-encoded; this one has the Content-Type application/json.")
    if request.body and content_type.startswith("multipart/"):
        return {}
    try:
        if not request.query:
            return form.decode(request.body) if request.body else {}
        return {**form.decode(request.query), **form.decode(request.body)}
    except form.MalformedForm as error:
        raise ApiError(Problem(status=400, message=str(error), param=error.param)) from None


def _check_version(request: ApiRequest) -> None:
    version = request.headers.get("stripe-version")
    if version is not None and not is_version(version):
        raise invalid(f"Invalid Stripe API version: {version[:50]}")
