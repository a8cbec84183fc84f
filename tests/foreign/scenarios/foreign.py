"""What the three foreign stacks are raced with: the one operation that they have."""

from __future__ import annotations

from deadheat import Program, World, scenario


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def twice(world: World) -> Program:
    """One user signs up in two tabs."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def two_people(world: World) -> Program:
    """Two users, each in two tabs."""
    ada, bob = world.user(), world.user()
    return Program(race=[[person.do("sign-up")] for person in (ada, bob, ada, bob)])
