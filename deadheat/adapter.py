"""Operations in Python, where deadheat.toml is not enough: what a team's adapter is given and gives back.

An adapter is a class that ``[target] adapter = "module:Class"`` names. It is made once, without
arguments. Each of its public methods is an operation, by its name in kebab-case (``sign_up`` does
``sign-up``), for those that the file does not describe itself:

    class Shop:
        keeps = ("token",)  # what its operations keep for those of the file

        async def sign_up(self, visit: Visit) -> Outcome:
            answer = await visit.request("POST", "/sign-up", json={"email": visit.user.email})
            visit.keep("token", answer.json()["token"])
            return Outcome(status=answer.status, success=answer.status == 201)

A method that is no coroutine runs in a thread of its own and is given a `BlockingVisit`, whose
``request`` answers at once. Whatever it sends to the target has to go through ``request``: only there
can it be held, and told to be this person's.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.program import User


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer: its status, header pairs (names in lower case) and body."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Give the first header of that name, in any case."""
        return next((v for k, v in self.headers if k == name.lower()), None)

    def cookies(self) -> dict[str, str]:
        """Give the cookies that the answer sets; a deleted one has an empty value."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            if name != "set-cookie":
                continue
            try:
                found.update({k: "" if _deleted(m) else m.value for k, m in SimpleCookie(value).items()})
            except CookieError:
                continue
        return found

    def json(self) -> Any:
        """Give the JSON body; None when there is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def _deleted(cookie: Morsel[str]) -> bool:
    """Say whether a cookie is set to be gone at once; Max-Age goes before Expires (RFC 6265, 5.3)."""
    age: str = cookie["max-age"]
    if age.removeprefix("-").isdigit():
        return age.startswith("-") or not age.strip("0")
    expires = parsedate_tz(cookie["expires"])
    try:
        return expires is not None and mktime_tz(expires) <= time.time()
    except (ValueError, OverflowError):
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an operation, as a file's ``success``, ``customer`` and so on would say it.

    ``customer`` and ``checkout_session`` are what the answer named; ``promises_customer``: a success has
    to name one. ``session``: the person is logged in by it. ``refusal``: neither success nor failure.
    ``user_id`` is the id that the target gave the person, where it was told.
    """

    status: int
    success: bool
    customer: str | None = None
    promises_customer: bool = False
    checkout_session: str | None = None
    session: bool = False
    refusal: bool = False
    user_id: str | None = None


class _Person(Protocol):
    """Who does an operation, at which target, and what is known of them."""

    @property
    def user(self) -> User: ...

    @property
    def url(self) -> str: ...

    @property
    def price(self) -> str: ...

    @property
    def values(self) -> Mapping[str, str]: ...

    def keep(self, name: str, value: str) -> None: ...


class Visit(_Person, Protocol):
    """A person at the target: ``user``, its ``url``, a ``price`` to buy, and ``values`` kept so far.

    ``values`` holds ``user.id`` and what captures and ``keep`` gave. Cookies are kept per person.
    """

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Make a call to the target, when it may go; redirects are answers."""


class BlockingVisit(_Person, Protocol):
    """A `Visit` for a method that is no coroutine."""

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Make a call to the target, when it may go, and wait for its answer; redirects are answers."""
