"""Webhooks: events that come before the row, twice, out of order or forged."""

from deadheat import Program, World, scenario


@scenario(needs=("check-out", "create-customer"))
def before_profile(world: World) -> Program:
    """The payment's events arrive while the profile that they are about is still being written."""
    ada = world.user()
    return Program(
        race=[
            [ada.do("check-out"), ada.pay()],
            [ada.do("create-customer")],
            [world.deliveries(order="any", duplicates=1)],
        ]
    )


@scenario(needs=("sign-up", "check-out"))
def out_of_order(world: World) -> Program:
    """A subscription is paid and cancelled; its events come twice, in any order, at once."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), ada.cancel()],
        race=[[world.deliveries(order="any", duplicates=1)], [world.deliveries(order="reversed")]],
    )


@scenario(needs=("sign-up", "check-out"))
def forged(world: World) -> Program:
    """Unsigned, badly signed and stale deliveries race the true ones."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[
            [world.deliveries()],
            [world.deliveries(forged="unsigned")],
            [world.deliveries(forged="badly-signed")],
            [world.deliveries(forged="stale")],
        ],
    )
