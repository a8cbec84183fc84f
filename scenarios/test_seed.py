"""The four flows that everything else is grown from: right one at a time, then raced."""

from deadheat import Program, World, scenario


@scenario(needs=("register", "confirm", "create-customer"), races=("confirm", "create-customer"))
def new_signup(world: World) -> Program:
    """A new person confirms their mail while the page asks for their customer."""
    ada = world.user()
    return Program(
        before=[ada.do("register")],
        race=[[ada.do("confirm")], [ada.do("create-customer")], [world.deliveries(order="any")]],
    )


@scenario(needs=("sign-up", "check-out"), races=("check-out", "check-out"))
def existing_checkout(world: World) -> Program:
    """Somebody who has a customer checks out twice: no new customer is made."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), world.deliveries()],
        race=[[ada.do("check-out")], [ada.do("check-out")]],
    )


@scenario(needs=("check-out", "create-customer"), races=("check-out", "create-customer"))
def direct_checkout(world: World) -> Program:
    """Somebody without a customer goes straight to checkout while another page asks for theirs."""
    ada = world.user()
    return Program(race=[[ada.do("check-out"), ada.pay()], [ada.do("create-customer")]])


@scenario(needs=("sign-up", "check-out", "create-customer"), races=("deliveries", "create-customer"))
def webhook_after_payment(world: World) -> Program:
    """The events of a payment arrive, twice, while the person comes back to the page."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[[world.deliveries(order="any", duplicates=1)], [ada.do("create-customer")]],
    )
