"""Customers that lost the race: none stays at Stripe for good, and none that pays is forgotten."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from reference_impl.stripe_calls import TRIES_WITHOUT_ANSWER_MAX

from .stage import Person, Stage, run, stage
from .stripe_double import OTHER_PRICE, PRICE, Failure

DELETE = "DELETE /v1/customers/:id"


async def kept_customer(on: Stage, ada: Person) -> str:
    return str((await on.create_customer(ada)).json()["stripeCustomerId"])


def made_outside(on: Stage, person: Person, **metadata: str) -> str:
    """A customer that somebody made past the application."""
    params = {f"metadata[{name}]": value for name, value in metadata.items()}
    return str(on.stripe.create("/v1/customers", email=person.email, **params)["id"])


def living(on: Stage) -> set[str]:
    return {customer["id"] for customer in on.stripe.living()}


async def refused_as_subscriber(on: Stage, person: Person, price: str = PRICE) -> bool:
    answer = await on.check_out(person, price=price)
    return answer.status_code == 409 and answer.json()["code"] == "already_subscribed"


@pytest.mark.parametrize("way", ["lost", "deleted"])
def test_a_payer_who_lost_is_known_and_cannot_subscribe_again(dsn: str, way: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, service = Person(), on.apps[0].customers
            kept, payer = await kept_customer(on, ada), made_outside(on, Person())
            subscription = await on.subscribe(payer)
            await on.deliver_all()
            (row,) = await on.rows("subscriptions")
            assert row["user_id"] is None
            if way == "lost":
                await service.create_customer_and_profile(ada.id, ada.email, payer)
            else:
                await on.db.execute("select retire_customer($1, $2)", payer, UUID(ada.id))
            (row,) = await on.rows("subscriptions", ada.id)
            assert (row["stripe_subscription_id"], row["status"]) == (subscription, "active")
            assert (row["stripe_customer_id"], row["billed_customer_id"]) == (kept, payer)
            assert {e["outcome"] for e in await on.rows("stripe_events")} == {"applied", "ignored"}
            assert living(on) == {kept, payer}
            for price in (PRICE, OTHER_PRICE):
                assert await refused_as_subscriber(on, ada, price)

    run(play())


def test_a_customer_retired_for_nobody_gets_its_user_when_it_loses(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            await kept_customer(on, ada)
            await on.db.execute("select retire_customer('cus_gone', null)")
            await on.db.fetchval(
                "select apply_subscription(1, 'sub_1', 'cus_gone', 'canceled', 'price_1', null, null)"
            )
            await on.db.execute("select drop_loser('cus_gone', $1)", UUID(ada.id))
            (row,) = await on.rows("retired_customers")
            assert str(row["user_id"]) == ada.id
            assert len(await on.rows("subscriptions", ada.id)) == 1

    run(play())


def test_a_loser_that_could_not_be_deleted_is_deleted_by_a_later_call(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            kept, loser = await kept_customer(on, ada), made_outside(on, ada)
            on.stripe.fail(DELETE, *[Failure("before", 500)] * 5)
            await on.apps[0].customers.create_customer_and_profile(ada.id, ada.email, loser)
            assert living(on) == {kept, loser}
            on.stripe.failures.clear()
            assert await kept_customer(on, ada) == kept
            assert living(on) == {kept}
            called = [call.route for call in on.stripe.calls].count(DELETE)
            await kept_customer(on, ada)
            assert [call.route for call in on.stripe.calls].count(DELETE) == called  # once and for all

    run(play())


def test_trying_again_has_an_end_and_never_spoils_the_call(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            kept, loser = await kept_customer(on, ada), made_outside(on, ada)
            on.stripe.fail(DELETE, *[Failure("before", 500)] * 100)
            await on.apps[0].customers.create_customer_and_profile(ada.id, ada.email, loser)
            for _ in range(15):
                assert await kept_customer(on, ada) == kept
            assert [call.route for call in on.stripe.calls].count(DELETE) == TRIES_WITHOUT_ANSWER_MAX * (
                1 + 12
            )

    run(play())


def test_a_loser_that_subscribed_meanwhile_is_left_alone(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            kept, loser = await kept_customer(on, ada), made_outside(on, ada)
            on.stripe.fail(DELETE, *[Failure("before", 500)] * 5)
            await on.apps[0].customers.create_customer_and_profile(ada.id, ada.email, loser)
            on.stripe.failures.clear()
            await on.subscribe(loser)
            await kept_customer(on, ada)
            assert living(on) == {kept, loser}
            assert await refused_as_subscriber(on, ada) is False  # nobody told us of it yet
            await on.deliver_all()
            assert await refused_as_subscriber(on, ada)

    run(play())


@pytest.mark.parametrize("trouble", [False, True])
def test_a_creation_that_took_effect_late_is_undone_by_its_webhook(dsn: str, trouble: bool) -> None:
    """What an attempt that was given up makes in the end: nobody but Stripe knows of it."""

    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            kept = await kept_customer(on, ada)
            late = made_outside(on, ada, user_id=ada.id)
            (*_, created) = on.events("customer.created")
            if trouble:
                on.stripe.fail(DELETE, *[Failure("before", 500)] * 50)
                on.apps[0].sync._patience_s = 0.2
                assert await on.deliver(created) == 503  # so Stripe sends it again
                on.stripe.failures.clear()
            assert await on.deliver(created) == 200
            assert living(on) == {kept}
            await on.deliver_all()
            assert late not in living(on)
            assert (await on.profile(ada.id))["stripe_customer_id"] == kept

    run(play())


def test_a_creation_that_took_effect_after_the_account_was_closed_is_undone(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            await kept_customer(on, ada)
            body = {"userId": ada.id, "email": ada.email}
            assert (await on.clients[0].post("/api/auth/delete-account", json=body)).status_code == 200
            made_outside(on, ada, user_id=ada.id)
            await on.deliver_all()
            assert living(on) == set()

    run(play())


def test_closing_the_account_removes_what_is_pending(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            await kept_customer(on, ada)
            loser = made_outside(on, ada)
            on.stripe.fail(DELETE, *[Failure("before", 500)] * 5)
            await on.apps[0].customers.create_customer_and_profile(ada.id, ada.email, loser)
            on.stripe.failures.clear()
            body = {"userId": ada.id, "email": ada.email}
            assert (await on.clients[0].post("/api/auth/delete-account", json=body)).status_code == 200
            assert living(on) == set()

    run(play())


def test_the_webhook_never_removes_what_another_profile_names(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, bob = Person(), Person()
            adas = await kept_customer(on, ada)
            bobs = made_outside(on, bob, user_id=ada.id)  # its metadata is wrong
            await on.apps[0].customers.create_customer_and_profile(bob.id, bob.email, bobs)
            await on.deliver_all()
            assert living(on) == {adas, bobs}
            await on.db.execute(
                "update profiles set stripe_customer_id = null where user_id = $1", UUID(ada.id)
            )
            await on.db.execute("delete from stripe_events")
            await on.deliver_all()
            assert (await on.profile(bob.id))["stripe_customer_id"] == bobs

    run(play())


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("order", ["customer first", "subscription first"])
def test_a_customer_made_outside_with_a_subscription_becomes_the_users(
    dsn: str, registered: bool, order: str
) -> None:
    """Only the customer's metadata names the user; the address at Stripe is another one."""

    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            user, code = await on.register(ada) if registered else (ada.id, "")
            customer = made_outside(on, Person(), user_id=user)
            await on.subscribe(customer)
            events = on.stripe.outbox.emitted()
            for event in events if order == "customer first" else reversed(list(events)):
                assert await on.deliver(event) == 200
            if registered:
                assert (await on.confirm(code)).headers["stripe-customer-id"] == customer
            else:
                assert {e["outcome"] for e in await on.rows("stripe_events")} >= {"kept"}
                assert await on.rows("profiles") == []
                assert await kept_customer(on, ada) == customer
            (row,) = await on.rows("subscriptions", user)
            assert (row["status"], row["stripe_customer_id"]) == ("active", customer)
            assert "kept" not in {e["outcome"] for e in await on.rows("stripe_events")}
            assert living(on) == {customer}
            assert await refused_as_subscriber(on, Person(id=user, email=ada.email))

    run(play())


def test_many_callers_remove_a_pending_loser_once(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=3, delays=True) as on:
            ada = Person()
            kept, loser = await kept_customer(on, ada), made_outside(on, ada)
            on.stripe.fail(DELETE, *[Failure("before", 500)] * 5)
            await on.apps[0].customers.create_customer_and_profile(ada.id, ada.email, loser)
            on.stripe.failures.clear()
            answers = await asyncio.gather(*(on.create_customer(ada, n % 3) for n in range(9)))
            assert {a.json()["stripeCustomerId"] for a in answers} == {kept}
            assert living(on) == {kept}

    run(play())
