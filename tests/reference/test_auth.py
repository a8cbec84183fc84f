"""Sign-up, the link in the mail, and who may call for whom."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie

import pytest

from .stage import Person, run, stage


def test_two_clicks_at_once_sign_in_twice_with_one_customer(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=3, delays=True) as on:
            _, code = await on.register(Person())
            answers = await asyncio.gather(*(on.confirm(code, n) for n in range(3)))
            assert [a.status_code for a in answers] == [303] * 3
            assert len({a.headers["stripe-customer-id"] for a in answers}) == 1
            assert len(on.stripe.living()) == 1
            cookie = SimpleCookie(answers[0].headers["set-cookie"])["session"]
            assert cookie["httponly"]
            assert cookie["samesite"] == "lax"
            (link,) = await on.rows("confirmations")
            assert link["used_at"] is not None

    run(play())


def test_two_sign_ups_of_one_address_are_one_user(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2, delays=True) as on:
            ada = Person()
            shouted = Person(email=ada.email.upper())
            (one, first), (other, second) = await asyncio.gather(on.register(ada, 0), on.register(shouted, 1))
            assert one == other
            assert first != second
            answers = await asyncio.gather(on.confirm(first, 0), on.confirm(second, 1))
            assert {a.status_code for a in answers} == {303}
            assert len({a.headers["stripe-customer-id"] for a in answers}) == 1
            assert len(await on.rows("profiles", one)) == len(on.stripe.living()) == 1

    run(play())


@pytest.mark.parametrize(
    ("signed_up", "typed"),
    [("ÉVA@example.test", "ÉVA@example.test"), ("éva@example.test", "E\u0301VA@Example.TEST")],
)
def test_an_address_of_other_letters_opens_its_own_account(dsn: str, signed_up: str, typed: str) -> None:
    """The server's locale is C, whose `lower()` knows no É."""

    async def play() -> None:
        async with stage(dsn) as on:
            user, code = await on.register(Person(email=signed_up))
            again, _ = await on.register(Person(email=typed))
            assert again == user
            person = Person(id=user, email=typed)
            made = await on.create_customer(person)
            assert made.status_code == 200, made.text
            assert (await on.check_out(person)).status_code == 200
            assert (await on.confirm(code)).headers["stripe-customer-id"] == made.json()["stripeCustomerId"]
            stolen = await on.create_customer(Person(email=typed))
            assert stolen.status_code == 403

    run(play())


@pytest.mark.parametrize("seed", range(4))
def test_buying_and_signing_up_at_once_is_one_person_or_a_refusal(dsn: str, seed: int) -> None:
    """The page chose an id before there was an account: sign-up takes it over, or check-out is refused."""

    async def play() -> None:
        async with stage(dsn, processes=2, seed=seed, delays=True) as on:
            ada = Person()
            bought, (user, _) = await asyncio.gather(on.check_out(ada, 0), on.register(ada, 1))
            if bought.status_code == 200:
                assert user == ada.id
            else:
                assert bought.status_code == 403
                assert user != ada.id
                assert await on.rows("profiles", ada.id) == []

    run(play())


@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("?code=", 400), ("?code=%00", 400), ("?code=none", 404)]
)
def test_a_link_that_is_none(dsn: str, query: str, status: int) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            answer = await on.clients[0].get(f"/auth/callback{query}")
            assert answer.status_code == status
            assert "set-cookie" not in answer.headers

    run(play())


def test_a_link_is_good_for_a_day(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            _, code = await on.register(Person())
            await on.db.execute("update confirmations set created_at = now() - interval '25 hours'")
            answer = await on.confirm(code)
            assert answer.status_code == 410
            assert on.stripe.living() == []

    run(play())


def test_a_session_acts_for_its_own_user_only(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, bob = Person(), Person()
            user, code = await on.register(ada)
            await on.confirm(code)  # the client keeps the cookie
            own = Person(id=user, email=ada.email)
            assert (await on.create_customer(own)).status_code == 200
            for answer in (await on.create_customer(bob), await on.check_out(bob)):
                assert answer.status_code == 403
            on.clients[0].cookies.set("session", f"{bob.id}.9999999999.{'0' * 64}", domain="app")
            on.clients[0].cookies.delete("session", domain="app.local")
            forged = await on.clients[0].post(
                "/api/auth/create-customer",
                json={"userId": bob.id, "email": bob.email},
                headers={"cookie": f"session={bob.id}.9999999999.{'0' * 64}"},
            )
            assert forged.status_code == 403
            assert len(on.stripe.living()) == 1

    run(play())


def test_a_known_user_is_known_by_the_stored_address(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, eve = Person(), Person()
            assert (await on.create_customer(ada)).status_code == 200
            assert (await on.check_out(ada, userEmail=ada.email.upper())).status_code == 200
            assert (await on.check_out(ada, userEmail=eve.email)).status_code == 403
            bob_id, _ = await on.register(eve)
            assert bob_id != eve.id
            stolen = await on.create_customer(Person(email=eve.email))
            assert stolen.status_code == 403  # that address is the account of another user

    run(play())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 50_000, "invalid_json"),
        (b'{"email": "ada@example.test"}', "missing_field"),
        (b'{"userId": 7, "email": "ada@example.test"}', "invalid_field"),
        (b'{"userId": "7", "email": "ada@example.test"}', "invalid_user_id"),
        (b'{"userId": "00000000-0000-4000-8000-00000000000g", "email": "a@b"}', "invalid_user_id"),
        (b'{"userId": "00000000-0000-4000-8000-000000000000"}', "missing_field"),
        (b'{"userId": "00000000-0000-4000-8000-000000000000", "email": "ada"}', "invalid_email"),
        (b'{"userId": "00000000-0000-4000-8000-000000000000", "email": "a\\u0000@b"}', "invalid_field"),
        (b'{"userId": "00000000-0000-4000-8000-000000000000", "email": "a\\ud800@b"}', "invalid_field"),
    ],
)
def test_bodies_that_are_refused(dsn: str, body: bytes, code: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            answer = await on.clients[0].post("/api/auth/create-customer", content=body)
            assert (answer.status_code, answer.json()["code"]) == (400, code)
            assert await on.rows("profiles") == []

    run(play())


def test_health_and_metrics(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            assert (await on.clients[0].get("/healthz")).status_code == 200
            await on.create_customer(Person())
            text = (await on.clients[0].get("/metrics")).text
            assert 'reference_stripe_calls_total{call="customers.create",outcome="ok",pid="' in text
            assert 'route="/api/auth/create-customer",status="200"' in text

    run(play())
