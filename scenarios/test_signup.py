"""Sign-up: the link in the mail is clicked twice, tabs sign up at once, Stripe is down meanwhile."""

from deadheat import Program, World, scenario


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def two_at_once(world: World) -> Program:
    """Two tabs sign the same person up at the same moment."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")], [world.deliveries(order="any")]])


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def eight_at_once(world: World) -> Program:
    """A form that is sent eight times over: an impatient finger, or a proxy that retries."""
    ada = world.user()
    return Program(race=[*([ada.do("sign-up")] for _ in range(8)), [world.deliveries(order="any")]])


@scenario(needs=("register", "confirm"), races=("confirm", "confirm"))
def confirm_twice(world: World) -> Program:
    """The link in the mail is clicked twice, or a mail scanner opens it beside the person."""
    ada = world.user()
    return Program(before=[ada.do("register")], race=[[ada.do("confirm")], [ada.do("confirm")]])


@scenario(needs=("register", "confirm", "check-out"), races=("confirm", "check-out"))
def with_check_out(world: World) -> Program:
    """The link in the mail opens in one tab while the other one, still open, goes to checkout and pays."""
    ada = world.user()
    return Program(
        before=[ada.do("register")],
        race=[
            [ada.do("confirm")],
            [ada.do("check-out"), ada.pay()],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )


@scenario(needs=("register", "confirm", "create-customer"), races=("confirm", "create-customer"))
def stripe_fails_once(world: World) -> Program:
    """Stripe answers the first attempt to make the customer with a 500, which its key remembers."""
    ada = world.user()
    return Program(
        before=[ada.do("register")],
        race=[[ada.do("confirm")], [ada.do("create-customer")]],
        faults=[world.stripe_fails(ada, "POST /v1/customers")],
    )


@scenario(needs=("register", "confirm"), races=("confirm", "confirm"))
def stripe_fails_after_the_effect(world: World) -> Program:
    """Stripe makes the customer and answers 500 all the same; the person clicks again."""
    ada = world.user()
    return Program(
        before=[ada.do("register")],
        race=[[ada.do("confirm"), ada.do("confirm")], [ada.do("confirm")]],
        faults=[world.stripe_fails(ada, "POST /v1/customers", when="after")],
    )


@scenario(needs=("register", "confirm"), races=("confirm", "confirm"))
def stripe_answer_lost(world: World) -> Program:
    """Stripe makes the customer and its answer never arrives."""
    ada = world.user()
    return Program(
        before=[ada.do("register")],
        race=[[ada.do("confirm"), ada.do("confirm")], [ada.do("confirm")]],
        faults=[world.stripe_fails(ada, "POST /v1/customers", when="lost")],
    )


@scenario(needs=("register", "confirm"), races=("confirm", "confirm"))
def stripe_down_then_back(world: World) -> Program:
    """Stripe is down for longer than anybody retries; the same link works once it is back."""
    ada = world.user()
    return Program(
        before=[ada.do("register")],
        race=[[ada.do("confirm")] * 4, [ada.do("confirm")] * 4],
        faults=[world.stripe_fails(ada, "POST /v1/customers", status=503, times=10)],
    )
