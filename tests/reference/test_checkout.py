"""Check-out: one open session for one person, one subscription, whatever tabs and payments do."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import TYPE_CHECKING

import pytest

from deadheat.errors import ActRefused

from .stage import Person, Stage, run, stage
from .stripe_double import OTHER_PRICE, PRICE, Failure

if TYPE_CHECKING:
    import httpx

CREATE = "POST /v1/checkout/sessions"
LIVE = ("active", "trialing", "past_due")


def open_sessions(on: Stage) -> list[str]:
    return [s["id"] for s in on.stripe.living("session") if s["status"] == "open"]


def live_subscriptions(on: Stage) -> list[str]:
    return [s["id"] for s in on.stripe.living("subscription") if s["status"] in LIVE]


def refused_as_subscriber(answer: httpx.Response) -> bool:
    return answer.status_code == 409 and answer.json()["code"] == "already_subscribed"


def test_a_user_never_seen_buys_at_once(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            answer = await on.check_out(ada, fullName="Ada")
            assert answer.status_code == 200, answer.text
            (session,) = on.stripe.living("session")
            customer = answer.json()["stripeCustomerId"]
            assert (answer.json()["sessionId"], answer.json()["url"]) == (session["id"], session["url"])
            assert (session["customer"], session["client_reference_id"]) == (customer, ada.id)
            assert (await on.profile(ada.id))["stripe_customer_id"] == customer
            on.stripe.account.complete_session(session["id"])
            (subscription,) = on.stripe.living("subscription")
            assert subscription["metadata"] == {"user_id": ada.id}

    run(play())


@pytest.mark.parametrize("seed", range(4))
def test_tabs_of_all_processes_get_the_same_session(dsn: str, seed: int) -> None:
    async def play() -> None:
        async with stage(dsn, processes=4, seed=seed, delays=True) as on:
            ada = Person()
            answers = await asyncio.gather(*(on.check_out(ada, n % 4) for n in range(8)))
            assert {a.status_code for a in answers} == {200}
            assert {a.json()["sessionId"] for a in answers} == set(open_sessions(on))
            assert len(open_sessions(on)) == len(on.stripe.living()) == 1

    run(play())


def test_another_price_closes_the_first_session(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            first = (await on.check_out(ada)).json()["sessionId"]
            other = (await on.check_out(ada, price=OTHER_PRICE)).json()["sessionId"]
            back = (await on.check_out(ada)).json()["sessionId"]
            assert len({first, other, back}) == 3
            assert open_sessions(on) == [back]

    run(play())


def test_who_paid_is_refused_before_any_webhook(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            on.stripe.account.complete_session((await on.check_out(ada)).json()["sessionId"])
            for price in (PRICE, OTHER_PRICE):
                assert refused_as_subscriber(await on.check_out(ada, price=price))
            (row,) = await on.rows("subscriptions", ada.id)
            assert (row["stripe_subscription_id"], row["status"]) == (live_subscriptions(on)[0], "active")

    run(play())


def test_paid_just_before_the_other_price_closes_it(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            first = (await on.check_out(ada)).json()["sessionId"]
            hold = on.stripe.hold_next("POST /v1/checkout/sessions/:id/expire")
            other = asyncio.ensure_future(on.check_out(ada, price=OTHER_PRICE))
            await hold.arrived.wait()
            on.stripe.account.complete_session(first)
            hold.released.set()
            assert refused_as_subscriber(await other)
            assert open_sessions(on) == []

    run(play())


def test_cancelled_subscribers_buy_again_and_expired_sessions_are_replaced(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            first = (await on.check_out(ada)).json()["sessionId"]
            on.stripe.account.complete_session(first)
            on.stripe.account.cancel_subscription(live_subscriptions(on)[0])
            second = (await on.check_out(ada)).json()["sessionId"]
            on.stripe.account.tick(25 * 3600)  # it expires
            third = (await on.check_out(ada)).json()["sessionId"]
            assert len({first, second, third}) == 3
            assert open_sessions(on) == [third]

    run(play())


@pytest.mark.parametrize(
    "failures",
    [
        [Failure("lost")],
        [Failure("before", 500)],
        [Failure("after", 500)],
        [Failure("before", 402), Failure("lost")],
        [Failure("before", 429)] * 3,
    ],
    ids=lambda failures: "-".join(f"{f.when}{f.status}" for f in failures),
)
def test_failures_of_stripe_show_one_session_to_all(dsn: str, failures: list[Failure]) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada = Person()
            await on.create_customer(ada)
            on.stripe.fail(CREATE, *failures)
            answers = await asyncio.gather(*(on.check_out(ada, n % 2) for n in range(4)))
            assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
            (shown,) = {a.json()["sessionId"] for a in answers}
            assert shown in open_sessions(on)

    run(play())


def test_a_session_that_comes_too_late_is_closed_and_not_shown(dsn: str) -> None:
    """Its generation was left as spent while the call was under way: three answers of a broken gateway."""

    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada = Person()
            await on.create_customer(ada)
            hold = on.stripe.hold_next(CREATE, at="answer")
            slow = asyncio.ensure_future(on.check_out(ada, 0))
            await hold.arrived.wait()
            await on.db.execute("update checkout_sessions set generation = generation + 1")
            quick = (await on.check_out(ada, 1)).json()["sessionId"]
            hold.released.set()
            assert (await slow).json()["sessionId"] == quick
            assert open_sessions(on) == [quick]

    run(play())


def test_a_price_that_stripe_refuses_blocks_nobody(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            for _ in range(2):
                refused = await on.check_out(ada, price="price_unknown")
                assert (refused.status_code, refused.json()["code"]) == (400, "invalid_price")
            assert (await on.check_out(ada)).status_code == 200
            assert len(open_sessions(on)) == 1

    run(play())


def test_a_price_that_was_refused_sells_again_once_it_is_back(dsn: str) -> None:
    """Stripe keeps the refusal under the key of that checkout: another try needs another key."""

    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            on.stripe.create(f"/v1/prices/{PRICE}", active="false")
            assert (await on.check_out(ada, price=PRICE)).status_code == 400
            on.stripe.create(f"/v1/prices/{PRICE}", active="true")
            assert (await on.check_out(ada, price=PRICE)).status_code == 200

    run(play())


def test_a_customer_deleted_between_two_checkouts_is_replaced(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            first = (await on.check_out(ada)).json()
            on.stripe.delete(f"/v1/customers/{first['stripeCustomerId']}")
            second = (await on.check_out(ada)).json()
            assert second["stripeCustomerId"] != first["stripeCustomerId"]
            (profile,) = await on.rows("profiles", ada.id)
            assert profile["stripe_customer_id"] == second["stripeCustomerId"]

    run(play())


def test_stripe_down_is_503_and_leaves_nothing_open(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            on.stripe.fail(CREATE, *[Failure("before", 500)] * 60)
            answer = await on.check_out(ada)
            assert answer.status_code in (409, 503)
            on.stripe.failures.clear()
            assert (await on.check_out(ada)).status_code == 200
            assert len(open_sessions(on)) == 1

    run(play())


@pytest.mark.parametrize("seed", range(12))
def test_never_two_subscriptions(dsn: str, seed: int) -> None:
    """Tabs ask for both prices and pay what they are shown; webhooks come in any order, and twice."""

    async def play() -> None:
        chance = Random(seed)
        async with stage(dsn, processes=3, seed=seed, delays=True) as on:
            ada = Person()

            async def tab(process: int) -> None:
                for _ in range(4):
                    price = chance.choice((PRICE, OTHER_PRICE))
                    answer = await on.check_out(ada, process, price=price)
                    assert answer.status_code in (200, 409), answer.text
                    await asyncio.sleep(chance.uniform(0, 0.01))
                    if answer.status_code == 200 and chance.random() < 0.6:
                        with contextlib.suppress(ActRefused):
                            on.stripe.account.complete_session(answer.json()["sessionId"])
                    assert len(live_subscriptions(on)) <= 1
                    for event in chance.choices(on.stripe.outbox.emitted(), k=2):
                        assert await on.deliver(event, process) == 200

            await asyncio.gather(*(tab(n) for n in range(3)))
            await on.deliver_all()
            assert len(live_subscriptions(on)) <= 1
            rows = await on.rows("subscriptions", ada.id)
            assert [r["stripe_subscription_id"] for r in rows] == live_subscriptions(on)

    run(play())


def test_stripe_mock_accepts_every_call(dsn: str, stripe_mock: str) -> None:
    """Parameters and shapes are those of the API version that is sent: stripe-mock judges each POST."""

    async def play() -> None:
        async with stage(dsn, stripe_mock=stripe_mock) as on:
            ada = Person()
            _, code = await on.register(ada)
            assert (await on.confirm(code)).status_code == 303
            user = Person(id=str((await on.rows("profiles"))[0]["user_id"]), email=ada.email)
            await on.check_out(user)
            session = (await on.check_out(user, price=OTHER_PRICE)).json()["sessionId"]
            on.stripe.account.complete_session(session)
            await on.deliver_all()
            assert (await on.rows("subscriptions", user.id))[0]["status"] == "active"

    run(play())
