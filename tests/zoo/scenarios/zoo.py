"""Zoo: programs that show one seeded bug each, and little else."""

from deadheat import Program, World, scenario


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def payment_arrives(world: World) -> Program:
    """The events of one payment arrive together, each of them once."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[[world.deliveries(order="any")]],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def payment_arrives_twice(world: World) -> Program:
    """The events of one payment arrive together, each of them twice."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[[world.deliveries(order="any", duplicates=1)]],
    )


@scenario(needs=("sign-up", "check-out", "create-customer"), races=("create-customer", "deliveries"))
def renewed_then_canceled(world: World) -> Program:
    """A subscription is renewed; its owner looks at the page, and cancels within the same second."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), world.deliveries()],
        race=[[ada.renew(), ada.do("create-customer"), ada.cancel()], [world.deliveries(order="any")]],
    )


@scenario(needs=("sign-up", "check-out"), races=("cancel", "deliveries"))
def canceled_while_renewing(world: World) -> Program:
    """A subscription is renewed and at once canceled, while the event of its renewal arrives."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), world.deliveries()],
        race=[[ada.renew(), ada.cancel()], [world.deliveries(order="any")]],
    )
