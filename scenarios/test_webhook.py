"""Webhooks: events that come before the row, twice, out of order, forged, unknown, or once more."""

from deadheat import Program, World, scenario


@scenario(needs=("check-out", "create-customer"), races=("create-customer", "check-out"))
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


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def out_of_order(world: World) -> Program:
    """A subscription is paid, renewed and canceled; its events come twice, in any order, at once."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), ada.renew(), ada.cancel()],
        race=[[world.deliveries(order="any", duplicates=1)], [world.deliveries(order="reversed")]],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def cancel_against_renew(world: World) -> Program:
    """A subscription is renewed and canceled in the same second; the events of both arrive together."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), world.deliveries()],
        race=[[ada.renew()], [ada.cancel()], [world.deliveries(order="any", duplicates=1)]],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def same_second(world: World) -> Program:
    """Two renewals and a refund within one second: nothing but what Stripe says now tells them apart."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[
            [ada.renew(), ada.renew(), ada.refund()],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def answer_lost(world: World) -> Program:
    """Every event is taken, the answer gets lost on its way back, and Stripe brings it again."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[[world.deliveries(order="any", lost=1, duplicates=1)], [ada.renew(), ada.cancel()]],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def refused_and_sent_again(world: World) -> Program:
    """Stripe's API is down while its events come; what is refused for that comes again, and then counts."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[[world.deliveries(order="any")], [ada.renew()]],
        # A target that takes the event for the state never asks, and refuses nothing.
        faults=[world.stripe_fails(ada, "GET /v1/subscriptions/:id", status=503, times=1000, may_miss=True)],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def unknown_type(world: World) -> Program:
    """The endpoint is subscribed to everything: types come that nobody wrote a handler for."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out")],
        race=[
            [ada.pay(), ada.renew()],
            [world.at_stripe("product")],
            [world.deliveries(order="any", duplicates=1, every_type=True)],
        ],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def unknown_customer(world: World) -> Program:
    """Events come for customers of the same Stripe account that this application has never heard of."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), world.at_stripe("subscription")],
        race=[
            [world.at_stripe("customer"), world.at_stripe("subscription")],
            [ada.pay()],
            [world.deliveries(order="any", duplicates=1)],
        ],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
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
