"""What people do in a soak, and how often: each visit is a program, as in a scenario.

A visit is one person's: what they do first, and then what several tabs of theirs do at once. To
change the mix, change the weights; to add a visit, write it as you would a scenario. One whose
operations the target lacks is left out. Events need no stream here: under ``deadheat soak`` they are
delivered all the time, doubled and out of order.
"""

from __future__ import annotations

from deadheat import Program, Scenario, World, scenario


@scenario(needs=("sign-up",))
def two_tabs_sign_up(world: World) -> Program:
    """Two tabs sign the same person up at the same moment."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


@scenario(needs=("register", "confirm", "create-customer"))
def link_clicked_twice(world: World) -> Program:
    """The link in the mail is opened twice while the page asks for the customer."""
    ada = world.user()
    return Program(
        before=[ada.do("register")],
        race=[[ada.do("confirm")], [ada.do("confirm")], [ada.do("create-customer")]],
    )


@scenario(needs=("sign-up", "check-out"))
def two_tabs_check_out(world: World) -> Program:
    """Somebody who has signed up checks out in two tabs and pays where they can."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up")],
        race=[[ada.do("check-out"), ada.pay()], [ada.do("check-out"), ada.pay()]],
    )


@scenario(needs=("check-out", "create-customer"))
def straight_to_the_checkout(world: World) -> Program:
    """Somebody nobody knows checks out in two tabs while a third asks for their customer."""
    ada = world.user()
    return Program(
        race=[
            [ada.do("check-out"), ada.pay()],
            [ada.do("check-out"), ada.pay()],
            [ada.do("create-customer")],
        ]
    )


@scenario(needs=("sign-up", "check-out", "create-customer"))
def back_from_the_checkout(world: World) -> Program:
    """The browser returns from the payment while its events arrive, and checks out once more."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[[ada.do("create-customer"), ada.do("create-customer")], [ada.do("check-out")]],
    )


@scenario(needs=("sign-up", "check-out", "create-customer"))
def pays_and_cancels(world: World) -> Program:
    """Somebody pays and cancels at once; the events of both are on their way together."""
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()],
        race=[[ada.cancel()], [ada.do("create-customer")]],
    )


VISITS: dict[Scenario, int] = {
    two_tabs_sign_up: 3,
    link_clicked_twice: 3,
    two_tabs_check_out: 4,
    straight_to_the_checkout: 3,
    back_from_the_checkout: 2,
    pays_and_cancels: 1,
}
