"""Drawn programs: a Hypothesis strategy for what nobody thought of writing a scenario for.

A drawn program has a few people, each of whom has come a certain way before the race (a prefix of
the operations, in their order); tabs that race, each one person's and beginning with an operation of
the target, so that something is in the air from the start; and at most one stream of deliveries, in
some order, with duplicates and lost answers. It shrinks towards two tabs of one person with one
operation each, nobody having done anything before.

Hypothesis is imported by the first call: who only writes scenarios does not need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from deadheat.errors import ProgramError
from deadheat.program import (
    ACTS,
    DELIVERIES,
    Cancel,
    Deliveries,
    Do,
    Order,
    Pay,
    Program,
    Refund,
    Renew,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from deadheat.program import User

Personal = Do | Pay | Cancel | Refund | Renew
_AT_STRIPE: Mapping[str, type[Pay | Cancel | Refund | Renew]] = {
    "pay": Pay,
    "cancel": Cancel,
    "refund": Refund,
    "renew": Renew,
}

LIFE = ("sign-up", "create-customer", "check-out", "pay", "renew", "cancel")


def programs(
    operations: Sequence[str] = LIFE,
    *,
    users: int = 2,
    actors: int = 3,
    steps: int = 3,
    duplicates: int = 1,
    lost: int = 1,
) -> SearchStrategy[Program]:
    """Give a strategy that draws programs from these operations, named as in ``deadheat.toml``.

    The order of ``operations`` is that of a life: before the race a person has done the first few.
    What happens at Stripe is called "pay", "renew", "cancel" and "refund". Draws up to ``users``
    people, two to ``actors`` tabs of up to ``steps`` operations, and up to ``duplicates`` more
    deliveries and ``lost`` lost answers of each event. Raises ProgramError for what draws nothing.

    Under barrage a verdict is a sample: run Hypothesis without its shrink phase.
    """
    from hypothesis import strategies as st

    own = _targets_own(operations)
    if users < 1 or actors < 2 or steps < 1:
        raise ProgramError(
            f"programs() needs a person, two actors and a step at least, not {users=}, {actors=}, {steps=}"
        )
    crowd = World("drawn")
    people = [crowd.user() for _ in range(users)]
    tab = st.builds(
        _tab,
        st.sampled_from(people),
        st.sampled_from(own),
        st.lists(st.sampled_from(list(operations)), max_size=steps - 1),
    )
    stream = st.builds(
        Deliveries,
        order=st.sampled_from(get_args(Order)),
        duplicates=st.integers(0, duplicates),
        lost=st.integers(0, lost),
    )
    return st.builds(
        _program,
        st.lists(st.integers(0, len(operations)), min_size=users, max_size=users).map(
            lambda lengths: [
                _made(user, name)
                for user, length in zip(people, lengths, strict=True)
                for name in operations[:length]
            ]
        ),
        st.lists(tab, min_size=2, max_size=actors),
        st.none() | stream,
    )


def _targets_own(operations: Sequence[str]) -> list[str]:
    """Give the operations that are the target's; ProgramError where there are none, or what is neither."""
    if isinstance(operations, str):
        raise ProgramError(f'programs() takes names in a list: ["{operations}"]')
    for name in operations:
        if name == DELIVERIES or name in ACTS.keys() - _AT_STRIPE.keys():
            raise ProgramError(f"programs() draws operations of people; {name} is none")
    own = [name for name in operations if name not in ACTS]
    if not own:
        raise ProgramError(
            "programs() needs an operation of the target: what happens at Stripe alone races nothing"
        )
    return own


def _made(user: User, name: str) -> Personal:
    act = _AT_STRIPE.get(name)
    return Do(user, name) if act is None else act(user)


def _tab(user: User, first: str, others: list[str]) -> list[Personal]:
    return [_made(user, name) for name in (first, *others)]


def _program(before: list[Personal], tabs: list[list[Personal]], stream: Deliveries | None) -> Program:
    """Put a program together, without what people do before who have no part in the race."""
    racing = {operation.user for tab in tabs for operation in tab}
    return Program(
        before=[operation for operation in before if operation.user in racing],
        race=[*tabs, *([[stream]] if stream else [])],
    )
