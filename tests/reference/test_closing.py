"""Deleting an account, whatever is under way; and the browser that comes back from a payment."""

from __future__ import annotations

import asyncio

import pytest

from deadheat.errors import ActRefused

from .stage import Person, Stage, run, stage
from .stripe_double import Failure

LIVE = ("active", "trialing", "past_due")


async def delete(on: Stage, person: Person, process: int = 0) -> int:
    body = {"userId": person.id, "email": person.email}
    return (await on.clients[process].post("/api/auth/delete-account", json=body)).status_code


async def come_back(on: Stage, session: str, process: int = 0) -> int:
    path = f"/checkout/done?session_id={session}"
    return (await on.clients[process].get(path)).status_code


def nothing_is_left(on: Stage) -> bool:
    live = [s for s in on.stripe.living("subscription") if s["status"] in LIVE]
    return not on.stripe.living() and not live


class TestDeleting:
    def test_ends_the_subscription_and_the_customer_for_good(self, dsn: str) -> None:
        async def play() -> None:
            async with stage(dsn) as on:
                ada = Person()
                session = (await on.check_out(ada)).json()["sessionId"]
                on.stripe.account.complete_session(session)
                await on.deliver_all()
                assert await delete(on, ada) == 200
                assert nothing_is_left(on)
                await on.deliver_all()
                (row,) = await on.rows("subscriptions", ada.id)
                assert row["status"] == "canceled"
                assert (await on.profile(ada.id))["stripe_customer_id"] is None
                for again in (await on.create_customer(ada), await on.check_out(ada)):
                    assert (again.status_code, again.json()["code"]) == (410, "account_closed")
                assert await delete(on, ada) == 200
                assert nothing_is_left(on)

        run(play())

    def test_the_link_in_the_mail_leads_nowhere_then(self, dsn: str) -> None:
        async def play() -> None:
            async with stage(dsn) as on:
                ada = Person()
                user, code = await on.register(ada)
                assert await delete(on, Person(id=user, email=ada.email)) == 200
                answer = await on.confirm(code)
                assert answer.status_code == 410
                assert "set-cookie" not in answer.headers
                assert nothing_is_left(on)

        run(play())

    def test_an_open_session_can_not_be_paid_any_more(self, dsn: str) -> None:
        async def play() -> None:
            async with stage(dsn) as on:
                ada = Person()
                session = (await on.check_out(ada)).json()["sessionId"]
                assert await delete(on, ada) == 200
                with pytest.raises(ActRefused, match="is expired"):
                    on.stripe.account.complete_session(session)

        run(play())

    @pytest.mark.parametrize("at", ["effect", "answer"])
    def test_a_customer_that_is_just_being_made_is_removed(self, dsn: str, at: str) -> None:
        async def play() -> None:
            async with stage(dsn, processes=2) as on:
                ada = Person()
                hold = on.stripe.hold_next("POST /v1/customers", "effect" if at == "effect" else "answer")
                making = asyncio.ensure_future(on.create_customer(ada))
                await hold.arrived.wait()
                assert await delete(on, ada, 1) == 200
                hold.released.set()
                assert (await making).status_code == 410
                assert nothing_is_left(on)
                assert (await on.profile(ada.id))["stripe_customer_id"] is None

        run(play())

    @pytest.mark.parametrize("at", ["effect", "answer"])
    def test_a_session_that_is_just_being_made_is_expired(self, dsn: str, at: str) -> None:
        async def play() -> None:
            async with stage(dsn, processes=2) as on:
                ada = Person()
                await on.create_customer(ada)
                route = "POST /v1/checkout/sessions"
                hold = on.stripe.hold_next(route, "effect" if at == "effect" else "answer")
                opening = asyncio.ensure_future(on.check_out(ada))
                await hold.arrived.wait()
                assert await delete(on, ada, 1) == 200
                hold.released.set()
                assert (await opening).status_code == 410
                assert [s["status"] for s in on.stripe.living("session")] in ([], ["expired"])
                assert nothing_is_left(on)

        run(play())

    @pytest.mark.parametrize("seed", range(3))
    def test_with_everything_at_once(self, dsn: str, seed: int) -> None:
        async def play() -> None:
            async with stage(dsn, processes=3, seed=seed, delays=True) as on:
                ada = Person()
                await on.check_out(ada)
                await asyncio.gather(
                    *(on.check_out(ada, n) for n in range(3)),
                    *(on.create_customer(ada, n) for n in range(3)),
                    delete(on, ada, seed),
                )
                assert nothing_is_left(on)
                assert not [s for s in on.stripe.living("session") if s["status"] == "open"]

        run(play())

    def test_while_stripe_is_down_it_is_to_be_done_again(self, dsn: str) -> None:
        async def play() -> None:
            async with stage(dsn) as on:
                ada = Person()
                await on.create_customer(ada)
                on.stripe.fail("DELETE /v1/customers/:id", *[Failure(status=503)] * 5)
                assert await delete(on, ada) == 503
                assert (await on.create_customer(ada)).status_code == 410
                assert await delete(on, ada) == 200
                assert nothing_is_left(on)

        run(play())


class TestComingBack:
    def test_the_row_is_there_before_any_webhook(self, dsn: str) -> None:
        async def play() -> None:
            async with stage(dsn) as on:
                ada = Person()
                session = (await on.check_out(ada)).json()["sessionId"]
                assert await come_back(on, session) == 409
                paid = on.stripe.account.complete_session(session)
                assert await come_back(on, session) == 200
                (row,) = await on.rows("subscriptions", ada.id)
                assert (row["stripe_subscription_id"], row["status"]) == (paid["subscription"], "active")
                await on.deliver_all()
                assert [r["id"] for r in await on.rows("subscriptions", ada.id)] == [row["id"]]

        run(play())

    def test_an_older_look_does_not_undo_a_newer_event(self, dsn: str) -> None:
        async def play() -> None:
            async with stage(dsn, processes=2) as on:
                ada = Person()
                session = (await on.check_out(ada)).json()["sessionId"]
                paid = on.stripe.account.complete_session(session)
                hold = on.stripe.hold_next("GET /v1/subscriptions/:id", "answer")
                coming = asyncio.ensure_future(come_back(on, session))
                await hold.arrived.wait()
                on.stripe.account.cancel_subscription(paid["subscription"])
                (canceled,) = on.events("customer.subscription.deleted")
                assert await on.deliver(canceled, 1) == 200
                hold.released.set()
                assert await coming == 200
                (row,) = await on.rows("subscriptions", ada.id)
                assert row["status"] == "canceled"

        run(play())

    @pytest.mark.parametrize(("session", "status"), [("cs_nowhere", 404), ("", 400), ("a/b", 400)])
    def test_what_is_no_session_is_refused(self, dsn: str, session: str, status: int) -> None:
        async def play() -> None:
            async with stage(dsn) as on:
                assert await come_back(on, session) == status

        run(play())

    def test_somebody_elses_session_is_refused(self, dsn: str) -> None:
        async def play() -> None:
            async with stage(dsn) as on:
                ada = Person()
                session = (await on.check_out(ada)).json()["sessionId"]
                on.stripe.account.complete_session(session)
                _, code = await on.register(Person())
                await on.confirm(code)  # Bob's browser from here on
                assert await come_back(on, session) == 403
                assert await on.rows("subscriptions", ada.id) == []

        run(play())
