"""Checkout: two tabs, each with a session of its own, and one person who should pay once."""

from deadheat import Program, World, scenario


@scenario(needs=("check-out",), races=("check-out", "check-out"))
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


@scenario(needs=("sign-up", "check-out"), races=("check-out", "check-out"))
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


@scenario(needs=("sign-up", "check-out"), races=("check-out", "pay"))
def pays_while_the_other_opens(world: World) -> Program:
    """One tab has a session open already and pays it, while the other tab is asking for one."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out")],
        race=[
            [ada.pay(), ada.do("check-out"), ada.pay()],
            [ada.do("check-out"), ada.pay()],
            [world.deliveries(order="any")],
        ],
    )


@scenario(needs=("sign-up", "check-out", "return"), races=("return", "deliveries"))
def return_against_webhook(world: World) -> Program:
    """The browser comes back from Stripe at the moment in which the payment's events arrive."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out")],
        race=[
            [ada.pay(), ada.do("return"), ada.do("return")],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )


@scenario(needs=("check-out", "return"), races=("return", "deliveries"))
def return_of_a_new_user(world: World) -> Program:
    """Somebody without a customer pays and is back at once, in a page that was loaded twice."""
    ada = world.user()
    return Program(
        race=[
            [ada.do("check-out"), ada.pay(), ada.do("return"), ada.do("return")],
            [ada.do("check-out"), ada.do("return"), ada.do("return")],
            [world.deliveries(order="any", duplicates=1)],
        ]
    )


@scenario(needs=("sign-up", "check-out"), races=("check-out", "check-out"))
def again_after_cancelling(world: World) -> Program:
    """Somebody whose subscription was canceled subscribes again, in two tabs: once more, not twice."""
    ada = world.user()
    return Program(
        before=[
            ada.do("sign-up"),
            ada.do("check-out"),
            ada.pay(),
            world.deliveries(),
            ada.cancel(),
            world.deliveries(),
        ],
        race=[
            [ada.do("check-out"), ada.pay()],
            [ada.do("check-out"), ada.pay()],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )


@scenario(needs=("sign-up", "check-out"), races=("check-out", "deliveries"))
def again_while_cancelling(world: World) -> Program:
    """A subscription is canceled and its owner subscribes again before the application has heard of it."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), world.deliveries()],
        race=[
            [ada.cancel(), ada.do("check-out"), ada.pay(), ada.do("check-out"), ada.pay()],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )


@scenario(needs=("sign-up", "check-out", "delete-account"), races=("check-out", "delete-account"))
def account_deleted_meanwhile(world: World) -> Program:
    """The account is deleted in one tab while the other one is at checkout, and pays if it can."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out")],
        race=[
            [ada.do("check-out"), ada.pay()],
            [ada.do("delete-account")],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )


@scenario(needs=("sign-up", "check-out", "delete-account"), races=("pay", "delete-account"))
def account_deleted_while_paying(world: World) -> Program:
    """A payment goes through while the account is being deleted: nobody may be left subscribed."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out")],
        race=[[ada.pay()], [ada.do("delete-account")], [world.deliveries(order="any", duplicates=1)]],
    )
