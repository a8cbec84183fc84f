"""Calls as they go out: a `Request` of deadheat.toml filled for one person, and where redirects lead.

Nothing here does I/O: the caller of a run and the load of a soak make the same calls. What stands for a
placeholder in a path is percent-encoded (RFC 3986, 2.1); a path that is nothing but one placeholder is
a URL that an answer gave, and is called at the target whatever host it names.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from deadheat.errors import Trouble
from deadheat.settings.model import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.adapter import HttpAnswer
    from deadheat.engine.places import Values
    from deadheat.settings import Request

HOPS_MAX = 10
FORM = "application/x-www-form-urlencoded"
_KEEP_METHOD = (307, 308)  # RFC 9110, 15.4.8 and 15.4.9; after any other a browser sends a GET
_REDIRECTS = (301, 302, 303, *_KEEP_METHOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One HTTP call to make. ``form`` is encoded already; of ``json`` and ``form`` at most one is there."""

    method: str
    path: str
    json: Any = None
    form: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        """What the history shows of the body."""
        return self.json if self.form is None else self.form

    def with_cookies(self, cookies: Mapping[str, str]) -> Outgoing:
        """Give the call with what a browser keeps."""
        if not cookies:
            return self
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return replace(self, headers={**self.headers, "cookie": sent})


def outgoing(call: Request, values: Values) -> Outgoing:
    """Fill a call; NothingCaptured for a placeholder without a value."""
    headers = {name.lower(): values.fill(value) for name, value in call.headers.items()}
    form = None
    if call.form is not None:
        form = encoded(values.fill(call.form))
        headers.setdefault("content-type", FORM)
    return Outgoing(
        method=call.method,
        path=_path(call.path, values),
        json=values.fill(call.json) if call.json is not None else None,
        form=form,
        headers=headers,
    )


def encoded(form: Mapping[str, Any]) -> str:
    """Encode a form; a list gives its name several times, true and false stand as words.

    >>> encoded({"email": "a@b.test", "tag": ["x", "y"], "agree": True})
    'email=a%40b.test&tag=x&tag=y&agree=true'
    """
    return urlencode(
        [
            (name, str(item).lower() if isinstance(item, bool) else str(item))
            for name, value in form.items()
            for item in (value if isinstance(value, list | tuple) else (value,))
        ]
    )


def redirected(sent: Outgoing, answer: HttpAnswer, base_url: str) -> Outgoing | None:
    """Give the call that a browser makes next; None where nothing redirects it, or away from the target."""
    location = answer.header("location")
    if answer.status not in _REDIRECTS or not location:
        return None
    there = urlsplit(urljoin(urljoin(base_url, sent.path), location))
    here = urlsplit(base_url)
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        return None
    path = _path_and_query(there.geturl())
    if answer.status in _KEEP_METHOD:
        return replace(sent, path=path)
    kept = {name: value for name, value in sent.headers.items() if name not in ("content-type", "cookie")}
    return Outgoing(method="GET", path=path, headers=kept)


def _path(template: str, values: Values) -> str:
    whole = PLACEHOLDER.fullmatch(template)
    if whole is None:
        return PLACEHOLDER.sub(lambda found: quote(values.fill(found[0]), safe=""), template)
    url = values.fill(template)
    path = _path_and_query(url)
    if not path.startswith("/"):
        raise Trouble(f"{template} should be a URL or a path to call, and is {url!r}")
    return path


def _path_and_query(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path or ("/" if parts.netloc else "")
    return f"{path}?{parts.query}" if parts.query else path
