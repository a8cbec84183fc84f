"""One person in two tabs: all that a hostile target is asked for."""

from __future__ import annotations

from deadheat import Program, World, scenario


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def twice(world: World) -> Program:
    """One user signs up in two tabs."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])
