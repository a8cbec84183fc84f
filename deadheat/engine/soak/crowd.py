"""The crowd of a soak: a cast that grows while it plays, found by index.

A run has a handful of people and looks through them; a soak has thousands and hundreds of Stripe
calls a second, each asking whose it is. What each person asked for and paid is kept here too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deadheat.engine.cast import Cast, Part
from deadheat.program import User

if TYPE_CHECKING:
    from deadheat.engine.soak.wire import Joined
    from deadheat.invariants.settled import Person


class Crowd(Cast):
    """Everybody who came so far, and whose each Stripe object is."""

    def __init__(self, price: str) -> None:
        super().__init__((), price)
        self._price = price
        self._by_value: dict[str, Part] = {}  # any id, and the e-mail case-folded
        self._by_first_id: dict[str, Part] = {}
        self._paid: dict[str, list[str]] = {}
        self._cancelled: Counter[str] = Counter()
        self._lost: set[str] = set()

    def __len__(self) -> int:
        return len(self._parts)

    def join(self, joined: Joined) -> Part:
        """Take in a person."""
        user = User(id=joined.id, email=joined.email, name=joined.name)
        part = Part.of(user, self._price)
        self._parts[user] = part
        self._by_first_id[user.id] = part
        self._by_value[user.id] = part
        self._by_value[user.email.casefold()] = part
        return part

    def person(self, first_id: str) -> Part:
        """Give the person who joined under that id; KeyError for nobody's."""
        return self._by_first_id[first_id]

    def known_as(self, part: Part, user_id: str) -> None:
        """Take the id that the target gave to a person."""
        if part.id != user_id:
            part.named_by_target(user_id)
            self._by_value[user_id] = part

    def paid(self, part: Part, subscription: str | None) -> None:
        """Note the subscription that a person's payment began."""
        if subscription is not None:
            self._paid.setdefault(part.user.id, []).append(subscription)

    def subscriptions_of(self, part: Part) -> tuple[str, ...]:
        """Give the subscriptions that a person's payments began."""
        return tuple(self._paid.get(part.user.id, ()))

    def cancelled(self, part: Part) -> None:
        """Note that a person cancelled, and may ask anew."""
        self._cancelled[part.user.id] += 1

    def lost(self, part: Part) -> None:
        """Note that an operation of a person got no answer: nobody can say what is theirs."""
        self._lost.add(part.user.id)

    def people(self) -> tuple[Person, ...]:
        """Give those whose answers are all known, as the invariants see them."""
        return tuple(part.person() for part in self if part.user.id not in self._lost)

    def user_ids(self) -> list[str]:
        """Give every id that the target knows one of them by."""
        return [user_id for person in self.people() for user_id in person.ids]

    def lost_ids(self) -> frozenset[str]:
        """Give the ids of the others."""
        return frozenset(i for part in self if part.user.id in self._lost for i in part.ids)

    def strangers(self) -> frozenset[str]:
        """Give the customers of the others."""
        lost = self.lost_ids()
        return frozenset(made for made, owner in self.owner.items() if owner in lost)

    def asked_for(self) -> dict[str, int]:
        """Say how many subscriptions each person asked for: one, and one more after each cancellation."""
        return {part.id: 1 + self._cancelled[part.user.id] for part in self}

    def _of_value(self, value: str) -> Part | None:
        owner = self.owner.get(value)
        return (
            self._by_value.get(value)
            or self._by_value.get(value.casefold())
            or (self._by_value.get(owner) if owner else None)
        )
