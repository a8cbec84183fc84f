"""Operations as the load does them: two ends of a generator, no socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat import World
from deadheat.adapter import HttpAnswer
from deadheat.engine.cast import Part
from deadheat.engine.soak.visit import Exchange, perform
from deadheat.engine.soak.wire import Acted, Answered, Joined, Left, Named, Said, Stage
from deadheat.errors import SettingsError
from deadheat.loadtest import Street
from deadheat.settings import OperationSettings, Request

if TYPE_CHECKING:
    from collections.abc import Generator

SIGN_UP = OperationSettings(
    name="sign-up",
    calls=(
        Request(
            method="POST",
            path="/sign-up",
            json={"email": "{user.email}"},
            success=(202,),
            capture={"user.id": "$.userId", "code": "$.code"},
        ),
        Request(method="GET", path="/callback?code={code}", success=(303,)),
    ),
    customer="header:Stripe-Customer-Id",
    session="cookie:session",
)
CHECK_OUT = OperationSettings(
    name="check-out",
    calls=(Request(method="POST", path="/checkout", json={"user": "{user.id}"}),),
    customer="$.customer",
    checkout_session="$.session",
    refusals=(409,),
)
REGISTERED = HttpAnswer(202, (), b'{"userId": "u-7", "code": "c-1"}')
CONFIRMED = HttpAnswer(
    303, (("stripe-customer-id", "cus_1"), ("set-cookie", "session=s1; Path=/"), ("set-cookie", "theme=x"))
)


def ada() -> Part:
    return Part.of(World("m").user(), "price_1")


def drive(
    calls: Generator[Exchange, HttpAnswer | None, Answered], *answers: HttpAnswer | None
) -> tuple[list[Exchange], Answered]:
    """Give these answers, one after the other; gives the calls made and what is told."""
    made, left, answer = [], list(answers), None
    try:
        while True:
            made.append(calls.send(answer))
            answer = left.pop(0)
    except StopIteration as over:
        assert not left, "an answer was not asked for"
        return made, over.value


def test_an_operation_is_done_call_by_call() -> None:
    part = ada()
    made, told = drive(perform(SIGN_UP, part, "A", in_race=True), REGISTERED, CONFIRMED)
    assert [call.path for call in made] == ["/sign-up", "/callback?code=c-1"]
    assert made[0].json == {"email": part.user.email}
    assert (told.status, told.success, told.customer, told.session) == (303, True, "cus_1", True)
    assert (told.person, told.user_id) == (part.user.id, "u-7")
    assert part.cookies == {"session": "s1", "theme": "x"}


def test_cookies_are_sent_from_every_tab() -> None:
    part = ada()
    drive(perform(SIGN_UP, part, "A", in_race=True), REGISTERED, CONFIRMED)
    made, _ = drive(perform(CHECK_OUT, part, "B", in_race=True), HttpAnswer(200, (), b"{}"))
    assert made[0].headers == {"cookie": "session=s1; theme=x"}
    assert made[0].json == {"user": "u-7"}


def test_it_ends_with_the_first_call_that_is_no_success() -> None:
    made, told = drive(perform(SIGN_UP, ada(), "A", in_race=True), HttpAnswer(500, (), b"oh no"))
    assert len(made) == 1
    assert (told.status, told.success, told.refused, told.body) == (500, False, False, "oh no")
    assert told.customer is None


def test_no_answer_is_told_as_such() -> None:
    _, told = drive(perform(SIGN_UP, ada(), "A", in_race=True), REGISTERED, None)
    assert (told.status, told.success, told.user_id) == (None, False, "u-7")


def test_a_refusal_is_expected_and_no_success() -> None:
    made, told = drive(perform(CHECK_OUT, ada(), "A", in_race=True), HttpAnswer(409, (), b"{}"))
    assert made[0].expected == {200, 409}
    assert (told.success, told.refused) == (False, True)


def test_the_session_to_pay_is_the_tabs_own() -> None:
    part = ada()
    for tab in "AB":
        drive(
            perform(CHECK_OUT, part, tab, in_race=True),
            HttpAnswer(200, (), f'{{"session": "cs_{tab}"}}'.encode()),
        )
    assert (part.session_for("A"), part.session_for("B")) == ("cs_A", "cs_B")


def test_a_link_that_was_never_sent_cannot_be_clicked() -> None:
    confirm = OperationSettings(name="confirm", calls=(Request(method="GET", path="/callback?code={code}"),))
    with pytest.raises(SettingsError, match="code"):
        drive(perform(confirm, ada(), "A", in_race=True))


class FakeDesk:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Said] = []

    def tell(self, said: Said) -> None:
        self.told.append(said)


@pytest.fixture
def street() -> Street:
    stage = Stage(
        marker="m1-", price="p", people_max=2, operations={"sign-up": SIGN_UP, "check-out": CHECK_OUT}
    )
    return Street(stage, FakeDesk())  # type: ignore[arg-type]


def told(street: Street) -> list[Said]:
    assert isinstance(street.desk, FakeDesk)
    return street.desk.told


def test_a_person_joins_before_anything_is_done_for_them(street: Street) -> None:
    user = street.world().user()
    part = street.enter(user.do("sign-up"))
    assert part is not None
    assert street.enter(user.pay()) is part
    assert told(street) == [Joined(id=user.id, email=user.email, name=user.name)]


def test_the_targets_id_is_told_before_the_operation_is_over(street: Street) -> None:
    user = street.world().user()
    part = street.enter(user.do("sign-up"))
    assert part is not None
    calls = street.do(user.do("sign-up"), part, "A", in_race=True)
    next(calls)
    calls.send(REGISTERED)
    assert told(street)[-1] == Named(person=user.id, user_id="u-7")
    street.leave()
    assert told(street)[-1] == Left(cut=(user.id,))
    calls.close()
    street.leave()
    assert told(street)[-1] == Left()


def test_paying_names_the_session(street: Street) -> None:
    user = street.world().user()
    part = street.enter(user.pay())
    assert part is not None
    part.given_session("A", "cs_1")
    street.act("pay", part, "A")
    assert told(street)[-1] == Acted(person=user.id, tab="A", act="pay", session="cs_1")


def test_a_street_is_full_at_its_bound_and_no_two_people_are_alike(street: Street) -> None:
    first, second = street.world().user(), street.world().user()
    assert street.full
    assert len({first.id, second.id}) == len({first.email, second.email}) == 2


def test_a_form_is_sent_and_redirects_within_the_target_are_followed() -> None:
    part = Part.of(World("m").user(), "price_1", "http://t")
    call = Request(method="POST", path="/sign-up", form={"id": "{user.id}"}, follow=True)
    asked = OperationSettings(name="sign-up", calls=(call,), session="cookie:s")
    hop = HttpAnswer(303, (("location", "/welcome"), ("set-cookie", "s=1")))
    made, told = drive(perform(asked, part, "A", in_race=True), hop, HttpAnswer(200))
    assert (made[0].form, made[0].json) == (f"id={part.user.id}", None)
    assert (made[1].method, made[1].path, made[1].form) == ("GET", "/welcome", None)
    assert [call.label for call in made] == ["sign-up: POST /sign-up", "sign-up: POST /sign-up (redirect 1)"]
    assert made[1].headers == {"cookie": "s=1"}
    assert (told.success, told.session) == (True, True)
