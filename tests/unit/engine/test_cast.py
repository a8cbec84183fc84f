"""Whose a Stripe call is: by what it carries, and by what was made before."""

from __future__ import annotations

from deadheat import World
from deadheat.engine.cast import Cast, planted


def test_a_call_belongs_to_the_user_whose_values_it_carries() -> None:
    ada, bob = (world := World("aa")).user(), world.user()
    cast = Cast([ada, bob], "price_1")
    by_mail = cast.whose(planted({"email": ada.email.upper()}, "/v1/customers"))
    by_metadata = cast.whose(planted({"metadata": {"user_id": bob.id}}, "/v1/customers"))
    assert by_mail is cast[ada]
    assert by_metadata is cast[bob]


def test_a_call_that_names_two_users_or_none_is_nobodys() -> None:
    ada, bob = (world := World("aa")).user(), world.user()
    cast = Cast([ada, bob], "price_1")
    assert cast.whose(planted({"a": ada.id, "b": bob.id}, "/")) is None
    assert cast.whose(planted({"a": "somebody"}, "/v1/customers/cus_1")) is None


def test_what_a_call_made_leads_back_to_its_user() -> None:
    ada, bob = (world := World("aa")).user(), world.user()
    cast = Cast([ada, bob], "price_1")
    cast.made(["cus_1"], cast[ada])
    cast.made(["cus_1"], cast[bob])  # whoever made it first keeps it
    assert cast.whose(planted({}, "/v1/customers/cus_1")) is cast[ada]
    assert cast.whose(planted({"customer": "cus_1"}, "/v1/checkout/sessions")) is cast[ada]


def test_an_id_that_the_target_gave_leads_to_the_same_user() -> None:
    ada = World("aa").user()
    cast = Cast([ada], "price_1")
    cast.made(["cus_1"], cast[ada])
    cast[ada].named_by_target("their-id")
    assert cast.whose(["their-id"]) is cast[ada]
    assert cast.whose(["cus_1"]) is cast[ada]
    assert cast.user_ids() == [ada.id, "their-id"]
    assert cast[ada].person().ids[-1] == "their-id"


def test_each_actor_pays_the_session_that_it_was_given() -> None:
    ada = World("aa").user()
    part = Cast([ada], "price_1")[ada]
    assert part.session_for("A") is None
    part.given_session("A", "cs_1")
    part.given_session("B", "cs_2")
    assert part.session_for("A") == "cs_1"
    assert part.session_for("B") == "cs_2"
    assert part.session_for("C") == "cs_2"
