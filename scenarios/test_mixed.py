"""Mixed: many people at once, each with a race of their own, and Stripe's events all over."""

from deadheat import Program, World, scenario


@scenario(
    needs=("register", "confirm", "sign-up", "create-customer", "check-out"),
    races=("check-out", "deliveries"),
)
def everybody(world: World) -> Program:
    """Five people sign up, check out in two tabs, pay, renew and cancel while all events come twice."""
    ada, bob, cleo, dan, eve = (world.user() for _ in range(5))
    return Program(
        before=[
            ada.do("register"),
            cleo.do("sign-up"),
            dan.do("sign-up"),
            dan.do("check-out"),
            dan.pay(),
        ],
        race=[
            [ada.do("confirm"), ada.do("check-out"), ada.pay()],
            [ada.do("confirm"), ada.do("create-customer")],
            [bob.do("check-out"), bob.pay()],
            [bob.do("create-customer"), bob.do("check-out"), bob.pay()],
            [cleo.do("check-out"), cleo.pay(), cleo.renew()],
            [cleo.do("create-customer"), cleo.do("check-out"), cleo.pay()],
            [dan.renew(), dan.do("check-out"), dan.pay()],
            [dan.cancel(), dan.do("create-customer")],
            [eve.do("sign-up")],
            [eve.do("sign-up"), eve.do("check-out"), eve.pay()],
            [world.deliveries(order="any", duplicates=1)],
            [world.at_stripe("subscription")],
        ],
    )
