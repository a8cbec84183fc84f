"""Checkout: two tabs, each with a session of its own, and one person who should pay once."""

from deadheat import Program, World, scenario


@scenario(needs=("check-out",))
def two_tabs_new_user(world: World) -> Program:
    """Somebody without a customer checks out in two tabs, and pays in both where both can be paid."""
    ada = world.user()
    return Program(
        race=[
            [ada.do("check-out"), ada.pay()],
            [ada.do("check-out"), ada.pay()],
            [world.deliveries(order="any", duplicates=1)],
        ]
    )


@scenario(needs=("sign-up", "check-out"))
def two_tabs(world: World) -> Program:
    """Somebody who has signed up checks out in two tabs, and pays in both where both can be paid."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up")],
        race=[
            [ada.do("check-out"), ada.pay()],
            [ada.do("check-out"), ada.pay()],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )
