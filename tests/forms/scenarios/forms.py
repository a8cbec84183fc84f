"""What people do at the forms."""

from __future__ import annotations

from deadheat import Program, World, scenario


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def two_tabs(world: World) -> Program:
    """Somebody sends the form from two tabs."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


@scenario(needs=("sign-up", "subscribe"), races=("deliveries", "deliveries"))
def credit(world: World) -> Program:
    """A payment is told to both endpoints, twice."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("subscribe"), ada.pay()],
        race=[[world.deliveries(order="any", duplicates=1)]],
    )


@scenario(needs=("sign-up", "subscribe", "leave"))
def leaving(world: World) -> Program:
    """Somebody cancels in Stripe's portal while their payment is still being told."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("subscribe"), ada.pay()],
        race=[[ada.do("leave")], [world.deliveries(order="any")]],
    )
