"""What the site is raced with: two tabs that check out and pay, and the events of a payment, twice."""

from __future__ import annotations

from deadheat import Program, World, scenario


@scenario(needs=("check-out",), races=("check-out", "check-out"))
def two_tabs(world: World) -> Program:
    """One person checks out in two tabs and pays in both."""
    ada = world.user()
    return Program(race=[[ada.do("check-out"), ada.pay()], [ada.do("check-out"), ada.pay()]])


@scenario(needs=("check-out",), races=("deliveries", "deliveries"))
def each_event_twice(world: World) -> Program:
    """Each event of a payment, and of its cancellation, comes twice and in any order."""
    ada = world.user()
    return Program(
        before=[ada.do("check-out"), ada.pay(), ada.cancel()],
        race=[[world.deliveries(order="any", duplicates=1)]],
    )
