"""The customer service: one customer for one person, whatever Stripe answers and whoever asks at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from .stage import Person, run, stage
from .stripe_double import Failure

if TYPE_CHECKING:
    import httpx

CREATE = "POST /v1/customers"


def customers_of(answers: list[httpx.Response]) -> set[str]:
    assert [a.status_code for a in answers] == [200] * len(answers), [a.text for a in answers]
    return {a.json()["stripeCustomerId"] for a in answers}


def test_a_customer_is_made_once_and_found_again(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            first, second = await on.create_customer(ada), await on.create_customer(ada)
            (customer,) = customers_of([first, second])
            assert first.json()["isNewCustomer"]
            assert not second.json()["isNewCustomer"]
            (made,) = on.stripe.living()
            assert (made["id"], made["email"], made["name"]) == (customer, ada.email, "Ada")
            assert made["metadata"] == {"user_id": ada.id}
            profile = await on.profile(ada.id)
            assert profile["stripe_customer_id"] == customer
            assert str(profile["id"]) == first.json()["profileId"] == second.json()["profileId"]

    run(play())


@pytest.mark.parametrize("seed", range(6))
def test_many_at_once_in_four_processes_share_one_customer(dsn: str, seed: int) -> None:
    """E-mail addresses differ in case: the idempotency key must see the stored one only."""

    async def play() -> None:
        async with stage(dsn, processes=4, seed=seed, delays=True) as on:
            ada = Person()
            spellings = (ada.email, ada.email.upper(), ada.email.title(), f" {ada.email}")
            answers = await asyncio.gather(
                *(on.create_customer(ada, n % 4, email=spellings[n % 4]) for n in range(12))
            )
            (customer,) = customers_of(list(answers))
            assert [c["id"] for c in on.stripe.living()] == [customer]
            assert sum(a.json()["isNewCustomer"] for a in answers) == 1

    run(play())


@pytest.mark.parametrize(
    "failures",
    [
        [Failure("lost")],
        [Failure("lost")] * 3,
        [Failure("before", 500)],
        [Failure("after", 500)],
        [Failure("before", 500), Failure("after", 503)],
        [Failure("before", 402)],
        [Failure("before", 429)] * 4,
        [Failure("before", 409)] * 4,
    ],
    ids=lambda failures: "-".join(f"{f.when}{f.status}" for f in failures),
)
def test_failures_of_stripe_leave_one_customer(dsn: str, failures: list[Failure]) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada = Person()
            on.stripe.fail(CREATE, *failures)
            answers = await asyncio.gather(*(on.create_customer(ada, n % 2) for n in range(4)))
            (customer,) = customers_of(list(answers))
            assert [c["id"] for c in on.stripe.living()] == [customer]
            assert (await on.profile(ada.id))["stripe_customer_id"] == customer

    run(play())


def test_no_customer_no_session_and_the_link_works_again(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            _, code = await on.register(ada)
            on.stripe.fail(CREATE, *[Failure("before", 500)] * 40)
            failed = await on.confirm(code)
            assert failed.status_code == 503
            assert int(failed.headers["retry-after"]) > 0
            assert "set-cookie" not in failed.headers
            on.stripe.failures.clear()
            worked = await on.confirm(code)
            assert worked.status_code == 303
            assert worked.headers["stripe-customer-id"] == on.stripe.living()[0]["id"]
            assert len(on.stripe.living()) == 1

    run(play())


def test_a_customer_whose_answers_were_all_lost_is_adopted_by_its_webhook(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            on.stripe.fail(CREATE, *[Failure("lost")])
            on.stripe.fail("GET /v1/customers", *[Failure("before", 500)] * 3)
            hold = on.stripe.hold_next(CREATE, at="answer")
            asking = asyncio.ensure_future(on.create_customer(ada))
            await hold.arrived.wait()  # made at Stripe
            asking.cancel()  # and the process dies
            await asyncio.gather(asking, return_exceptions=True)
            hold.released.set()
            (made,) = on.stripe.living()
            assert (await on.profile(ada.id))["stripe_customer_id"] is None
            await on.deliver_all()
            assert (await on.profile(ada.id))["stripe_customer_id"] == made["id"]
            on.stripe.failures.clear()
            assert customers_of([await on.create_customer(ada)]) == {made["id"]}

    run(play())


def test_a_crash_between_stripe_and_the_database_is_picked_up(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada = Person()
            hold = on.stripe.hold_next(CREATE, at="answer")
            asking = asyncio.ensure_future(on.create_customer(ada))
            await hold.arrived.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            hold.released.set()
            on.stripe.account.tick(25 * 3600)  # Stripe has forgotten the key
            answer = await on.create_customer(ada, 1)
            assert [c["id"] for c in on.stripe.living()] == [answer.json()["stripeCustomerId"]]

    run(play())


def test_a_key_in_use_is_waited_for(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada = Person()
            hold = on.stripe.hold_next(CREATE)
            first = asyncio.ensure_future(on.create_customer(ada, 0))
            await hold.arrived.wait()
            second = asyncio.ensure_future(on.create_customer(ada, 1))
            await on.stripe.until_called(CREATE, 3)  # the second was told 409 and came again
            hold.released.set()
            assert len(customers_of([await first, await second])) == 1
            assert len(on.stripe.living()) == 1

    run(play())


@pytest.mark.parametrize("webhook_first", [False, True])
def test_a_customer_deleted_at_stripe_is_replaced_once(dsn: str, webhook_first: bool) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada = Person()
            (old,) = customers_of([await on.create_customer(ada)])
            on.stripe.delete(f"/v1/customers/{old}")
            if webhook_first:
                await on.deliver_all()
                assert (await on.profile(ada.id))["stripe_customer_id"] is None
            answers = await asyncio.gather(*(on.create_customer(ada, n % 2) for n in range(4)))
            (new,) = customers_of(list(answers))
            assert new != old
            assert [c["id"] for c in on.stripe.living()] == [new]
            await on.deliver_all()  # the old one's webhooks change nothing
            assert (await on.profile(ada.id))["stripe_customer_id"] == new

    run(play())


def test_the_cache_never_serves_what_another_process_replaced(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada = Person()
            (old,) = customers_of([await on.create_customer(ada, 0)])
            here, there = (app.customers for app in on.apps)
            found = await here.get_customer_by_user_id(ada.id)
            again = await here.get_customer_by_user_id(ada.id)
            assert found is not None
            assert found.stripe_customer_id == old
            assert again is found  # served from the cache
            on.stripe.delete(f"/v1/customers/{old}")
            new = (await there.ensure_customer_exists(ada.id, ada.email)).stripe_customer_id
            now = await here.get_customer_by_user_id(ada.id)
            assert now is not None
            assert now.stripe_customer_id == new != old
            await on.db.execute("delete from profiles")
            assert await here.get_customer_by_user_id(ada.id) is None
            await on.db.execute(
                "insert into profiles (user_id, stripe_customer_id) values ($1, 'cus_else')", found.user_id
            )
            now = await here.get_customer_by_user_id(ada.id)
            assert now is not None
            assert now.stripe_customer_id == "cus_else"

    run(play())


def test_the_loser_is_deleted_at_stripe_unless_it_is_paid_for(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, service = Person(), on.apps[0].customers
            (kept,) = customers_of([await on.create_customer(ada)])
            loser = on.stripe.create("/v1/customers", email=ada.email)["id"]
            result = await service.create_customer_and_profile(ada.id, ada.email, loser)
            assert (result.success, result.stripe_customer_id, result.is_new_customer) == (True, kept, False)
            assert [c["id"] for c in on.stripe.living()] == [kept]
            payer = on.stripe.create("/v1/customers", email=ada.email)["id"]
            await on.subscribe(payer)
            await service.create_customer_and_profile(ada.id, ada.email, payer)
            assert {c["id"] for c in on.stripe.living()} == {kept, payer}
            on.stripe.delete(f"/v1/customers/{payer}")
            same = await service.create_customer_and_profile(ada.id, ada.email, kept)
            assert same.stripe_customer_id == kept
            assert [c["id"] for c in on.stripe.living()] == [kept]

    run(play())


def test_somebody_elses_customer_is_never_taken_nor_deleted(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, bob, service = Person(), Person(), on.apps[0].customers
            (adas,) = customers_of([await on.create_customer(ada)])
            fresh = await service.create_customer_and_profile(bob.id, bob.email, adas)
            assert not fresh.success
            (bobs,) = customers_of([await on.create_customer(bob)])
            await service.create_customer_and_profile(bob.id, bob.email, adas)
            assert {c["id"] for c in on.stripe.living()} == {adas, bobs}
            assert (await on.profile(ada.id))["stripe_customer_id"] == adas

    run(play())


def test_stripe_down_a_known_customer_still_signs_in(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            _, code = await on.register(ada)
            assert (await on.confirm(code)).status_code == 303
            on.stripe.fail("GET /v1/customers/:id", *[Failure("before", 500)] * 20)
            assert (await on.confirm(code)).status_code == 303

    run(play())
