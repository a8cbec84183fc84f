"""What dj-stripe is raced with: events at the same moment, and what people do."""

from __future__ import annotations

from deadheat import Program, World, scenario


@scenario(needs=("sign-up",), races=("deliveries", "deliveries"))
def one_event_three_times(world: World) -> Program:
    """Stripe brings the event of a new customer three times at once."""
    ada = world.user()
    return Program(before=[ada.do("sign-up")], race=[[world.deliveries(order="any", duplicates=2)]])


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def events_of_a_payment(world: World) -> Program:
    """Somebody pays, and the events of that payment come all at once."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()], race=[[world.deliveries(order="any")]]
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def events_of_a_renewal(world: World) -> Program:
    """All that was there before is known, and the events of one new invoice come all at once."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), world.deliveries(), ada.renew()],
        race=[[world.deliveries(order="any")]],
    )


@scenario(needs=("sign-up", "check-out"), races=("deliveries", "deliveries"))
def an_invoice_without_an_intent(world: World) -> Program:
    """A charge and its new invoice, each of which names the other, and no payment intent before both.

    Stripe finalized such invoices until 15 March 2019: its clock is set to the first of that month.
    """
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay(), world.deliveries(), ada.renew()],
        race=[[world.deliveries(order="any")]],
        frozen_time=1_551_398_400,
    )


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def two_sign_ups(world: World) -> Program:
    """One person signs up in two tabs: dj-stripe's Customer.get_or_create, twice."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])
