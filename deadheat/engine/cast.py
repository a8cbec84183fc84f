"""The cast of a run: the people in it and what each has come to hold.

A `Part` is a user as one run knows them: every id that the target gave them, their cookies (shared
by all their tabs), what was captured, the checkout sessions they were given, the Stripe customers
that were made for them. A `Cast` finds the part that a Stripe call belongs to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.places import Values
from deadheat.invariants.settled import Person, StripeObjects
from deadheat.safety import check_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deadheat.program import User
    from deadheat.stripe_sim import Made

USER_ID = "user.id"
_CHECKOUT_SESSION = re.compile(r"cs_(?:test|live)_\w+")


@dataclass(slots=True)
class Part:
    """One user in one run."""

    user: User
    ids: list[str]
    shared: dict[str, str]
    cookies: dict[str, str] = field(default_factory=dict)
    actors: dict[str, Values] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    last_session: str | None = None

    @classmethod
    def of(cls, user: User, price: str, url: str = "") -> Part:
        """Give a user's part at the beginning of a run; ``url`` is where the target listens."""
        shared = {"user.id": user.id, "user.email": user.email, "user.name": user.name, "price": price}
        shared["target.url"] = url.rstrip("/")
        return cls(user=user, ids=[user.id], shared=shared)

    @property
    def id(self) -> str:
        """The id that the target knows the user by now."""
        return self.ids[-1]

    def values(self, actor: str) -> Values:
        """Give what placeholders stand for when this actor speaks for the user."""
        return self.actors.setdefault(actor, Values(shared=self.shared))

    def named_by_target(self, user_id: str) -> None:
        """Take the id that the target gave; older ids stay known."""
        if user_id in self.ids:
            self.ids.remove(user_id)
        self.ids.append(user_id)

    def capture(self, actor: str, name: str, value: str) -> None:
        """Keep what an answer to an actor held; ``user.id`` is the id that the target gave the user."""
        if name == USER_ID:
            self.named_by_target(value)
            self.shared[name] = value
        else:
            self.values(actor).capture(name, value)

    def keep(self, cookies: Mapping[str, str]) -> None:
        """Keep the cookies that an answer sets; one without a value was deleted."""
        self.cookies = {name: value for name, value in {**self.cookies, **cookies}.items() if value}

    def session_for(self, actor: str) -> str | None:
        """Give the checkout session to pay: the actor's own, else the user's last."""
        return self.sessions.get(actor, self.last_session)

    def given_session(self, actor: str, session: str) -> None:
        """Remember the checkout session that an answer gave to an actor: its id, or the URL to pay it at.

        Refused for one of a live account.
        """
        named = _CHECKOUT_SESSION.search(session)
        session = named[0] if named else session
        check_session(session)
        self.sessions[actor] = session
        self.last_session = session

    def person(self) -> Person:
        """Give the user as the invariants see them."""
        return Person(ids=tuple(self.ids), email=self.user.email, name=self.user.name)


class Cast:
    """The people of one run, and whose each Stripe object is."""

    def __init__(self, users: Iterable[User], price: str, url: str = "") -> None:
        self._parts = {user: Part.of(user, price, url) for user in users}
        self.owner: dict[str, str] = {}  # Stripe object id -> user id, as learned from steps

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts.values())

    def __getitem__(self, user: User) -> Part:
        return self._parts[user]

    def people(self) -> tuple[Person, ...]:
        """Give everybody as the invariants see them."""
        return tuple(part.person() for part in self)

    def user_ids(self) -> list[str]:
        """Give every id that the target knows one of them by."""
        return [user_id for part in self for user_id in part.ids]

    def whose(self, values: Iterable[str]) -> Part | None:
        """Give the one part that these planted values speak of; None for nobody, or for several."""
        found = {id(part): part for value in values if (part := self._of_value(value)) is not None}
        return next(iter(found.values())) if len(found) == 1 else None

    def made(self, object_ids: Iterable[str], part: Part) -> None:
        """Note whose the objects are that a step made."""
        for object_id in object_ids:
            self.owner.setdefault(object_id, part.id)

    def _of_value(self, value: str) -> Part | None:
        owner = self.owner.get(value)
        folded = value.casefold()
        for part in self:
            if value in part.ids or folded == part.user.email.casefold() or (owner and owner in part.ids):
                return part
        return None


def stripe_objects(made: Made, owner: Mapping[str, str], strangers: Iterable[str]) -> StripeObjects:
    """Give what was made at Stripe as the invariants see it, with whose it is."""
    return StripeObjects(
        customers=made.customers,
        subscriptions=made.subscriptions,
        sessions=made.sessions,
        invoices=made.invoices,
        refunds=made.refunds,
        events=made.events,
        owner=dict(owner),
        strangers=frozenset(strangers),
    )


def planted(params: Mapping[str, Any], path: str) -> Iterator[str]:
    """Give every text that a call carries in its parameters and its path."""
    yield from (piece for piece in path.split("/") if piece)
    yield from _texts(params)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
