"""``deadheat serve`` as a developer uses it: with Stripe's own library, a browser's requests, and Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest
import stripe
from conftest import deadheat
from serving import DEADLINE_S, Receiver, Serving, eventually, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serve")
    with serving("--stripe-port", "0", "--forward-to", receiver.url, folder=folder) as up:
        yield up


@pytest.fixture
def client(served: Serving) -> Iterator[stripe.StripeClient]:
    """Stripe's library, told nothing but what the environment block says."""
    http = stripe.RequestsClient()
    yield stripe.StripeClient(
        served.env["STRIPE_SECRET_KEY"],
        base_addresses={"api": served.env["STRIPE_API_BASE"]},
        http_client=http,
    )
    http.close()  # type: ignore[no-untyped-call]


def next_event(receiver: Receiver, served: Serving, wanted: str, **about: str) -> stripe.Event:
    """Wait for an event of a type about an object, its signature verified as an application does it."""
    while True:
        body, signature = receiver.got.get(timeout=DEADLINE_S)
        event: stripe.Event = stripe.Webhook.construct_event(
            body, signature, served.env["STRIPE_WEBHOOK_SECRET"]
        )
        if event.type == wanted and about.items() <= event.data.object.to_dict().items():
            return event


def session_params(**more: Any) -> Any:
    return {
        "mode": "subscription",
        "success_url": "http://127.0.0.1:9/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/<back>?a=1&b=2",
        "line_items": [{"price": "price_deadheat_monthly", "quantity": 1}],
        **more,
    }


def test_the_database_of_the_block_takes_connections(served: Serving) -> None:
    async def ask() -> int:
        connection = await asyncpg.connect(served.env["DATABASE_URL"])
        try:
            await connection.execute("create table mine (id int)")
            return int(await connection.fetchval("select count(*) from mine"))
        finally:
            await connection.close()

    assert asyncio.run(ask()) == 0


def test_a_customer_made_with_the_library_is_told_to_the_webhook(
    served: Serving, receiver: Receiver, client: stripe.StripeClient
) -> None:
    made = client.v1.customers.create({"email": "ada@example.test"})
    event = next_event(receiver, served, "customer.created", id=made.id)
    eventually(lambda: served.says("-->", event.id), "an arrow for the event")
    eventually(lambda: served.says("<--", "[200] POST", event.id), "an arrow for its answer")


def test_a_refused_event_comes_again(
    served: Serving, receiver: Receiver, client: stripe.StripeClient
) -> None:
    receiver.refuse.append(b"bob@example.test")
    made = client.v1.customers.create({"email": "bob@example.test"})
    first = next_event(receiver, served, "customer.created", id=made.id)
    second = next_event(receiver, served, "customer.created", id=made.id)
    assert second.id == first.id
    eventually(lambda: served.says("<--", "[500] POST", first.id, "again in 1 s"), "a line for the refusal")
    eventually(lambda: served.says("-->", first.id, "(attempt 2)"), "a line for the second attempt")
    eventually(lambda: served.says("<--", "[200] POST", first.id), "a line for the success")


def test_a_session_is_paid_at_its_url(
    served: Serving, receiver: Receiver, client: stripe.StripeClient
) -> None:
    customer = client.v1.customers.create({"email": "cleo@example.test"})
    session = client.v1.checkout.sessions.create(session_params(customer=customer.id))
    assert session.url is not None
    assert session.url.startswith(served.env["STRIPE_API_BASE"] + "/c/pay/cs_test_")
    page = httpx.get(session.url, trust_env=False)
    assert page.status_code == 200
    assert "20.00 USD" in page.text
    assert "http://127.0.0.1:9/&lt;back&gt;?a=1&amp;b=2" in page.text
    paid = httpx.post(session.url, data={"act": "pay"}, trust_env=False)
    assert paid.status_code == 303
    assert paid.headers["location"] == f"http://127.0.0.1:9/done?session={session.id}"
    event = next_event(receiver, served, "checkout.session.completed", id=session.id)
    assert event.data.object["customer"] == customer.id
    again = httpx.post(session.url, data={"act": "pay"}, trust_env=False)
    assert again.status_code == 409
    assert client.v1.checkout.sessions.retrieve(session.id).status == "complete"


def test_a_session_without_a_customer_asks_for_an_address(
    served: Serving, receiver: Receiver, client: stripe.StripeClient
) -> None:
    session = client.v1.checkout.sessions.create(session_params())
    assert session.url is not None
    assert 'name="email"' in httpx.get(session.url, trust_env=False).text
    httpx.post(session.url, data={"act": "pay", "email": "dan@example.test"}, trust_env=False)
    next_event(receiver, served, "customer.created", email="dan@example.test")
    next_event(receiver, served, "checkout.session.completed", id=session.id)


def test_a_session_is_expired_at_its_url(
    served: Serving, receiver: Receiver, client: stripe.StripeClient
) -> None:
    session = client.v1.checkout.sessions.create(session_params())
    assert session.url is not None
    left = httpx.post(session.url, data={"act": "expire"}, trust_env=False)
    assert (left.status_code, left.headers["location"]) == (303, "http://127.0.0.1:9/%3Cback%3E?a=1&b=2")
    next_event(receiver, served, "checkout.session.expired", id=session.id)
    assert "is expired" in httpx.get(session.url, trust_env=False).text


def test_a_page_of_no_session_is_a_404_and_escaped(served: Serving) -> None:
    page = httpx.get(served.env["STRIPE_API_BASE"] + "/c/pay/<script>", trust_env=False)
    assert page.status_code == 404
    assert "<script>" not in page.text


def test_a_dsn_is_taken_as_it_is_and_only_the_types_asked_for_go_out(served: Serving, tmp_path: Path) -> None:
    dsn, own = served.env["DATABASE_URL"], Receiver()
    given = ("--postgres", dsn, "--stripe-mock", "off", "--stripe-port", "0")
    wanted = ("--forward-to", own.url, "--events", "customer.deleted", "--env-file", "here.env")
    try:
        with serving(*given, *wanted, folder=tmp_path) as second:
            assert second.env["DATABASE_URL"] == dsn
            written = tmp_path / "here.env"
            eventually(lambda: written.is_file() and "STRIPE_WEBHOOK" in written.read_text(), "env file")
            assert f"export STRIPE_SECRET_KEY={second.env['STRIPE_SECRET_KEY']}\n" in written.read_text()
            assert written.stat().st_mode & 0o777 == 0o600
            headers = {"authorization": f"Bearer {second.env['STRIPE_SECRET_KEY']}"}
            with httpx.Client(
                base_url=second.env["STRIPE_API_BASE"], headers=headers, trust_env=False
            ) as api:
                made = api.post("/v1/customers").json()["id"]
                assert api.delete(f"/v1/customers/{made}").json()["deleted"] is True
            next_event(own, second, "customer.deleted", id=made)
            assert not second.says("customer.created")
    finally:
        own.close()


def test_a_port_that_is_taken_is_named(served: Serving, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = deadheat("serve", "--stripe-port", port, "--stripe-mock", "off", folder=tmp_path)
    assert ended.code == 2, ended.out + ended.err
    assert f"127.0.0.1:{port}" in ended.err
    assert "Traceback" not in ended.err


WRONG = [
    (["--forward-to", "http://app.example.com/hook"], "app.example.com"),
    (["--forward-to", "127.0.0.1:8000/hook"], "not the URL of a webhook endpoint"),
    (["--postgres", "postgresql://nobody@127.0.0.1:1/none", "--stripe-port", "0"], "127.0.0.1:1"),
    (["--stripe-mock", "/nowhere/stripe-mock"], "/nowhere/stripe-mock"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said(arguments: list[str], message: str, tmp_path: Path) -> None:
    ended = deadheat("serve", *arguments, folder=tmp_path)
    assert ended.code == 2, ended.out + ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err + ended.out


def test_a_file_of_somebody_elses_is_not_written_over(tmp_path: Path) -> None:
    mine = tmp_path / ".env"
    mine.write_text("PORT=8000\n")
    ended = deadheat("serve", "--env-file", ".env", "--stripe-port", "0", folder=tmp_path)
    assert ended.code == 2, ended.out + ended.err
    assert mine.read_text() == "PORT=8000\n"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for what is left")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_and_leaves_nothing(ending: signal.Signals, tmp_path: Path) -> None:
    with serving("--stripe-port", "0", folder=tmp_path) as up:
        children = _descendants(up.process.pid)
        folders = {Path(f"/proc/{pid}/cwd").resolve() for pid in children}
        clusters = [folder for folder in folders if "deadheat-pg-" in str(folder)]
        assert len(children) >= 4, "Postgres, stripe-mock and their watchers should be running"
        assert clusters, "Postgres should be running in a folder of its own"
        os.kill(up.process.pid, ending)
        assert up.process.wait(DEADLINE_S) == 0
    assert up.says("stopped")
    assert not up.says("Traceback")
    eventually(lambda: not any(map(_runs, children)), "no process is left")
    assert [folder for folder in clusters if folder.exists()] == []


def _descendants(pid: int) -> list[int]:
    parents = {
        int(entry.name): parent for entry in Path("/proc").glob("[0-9]*") if (parent := _parent(entry))
    }
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return found


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def _runs(pid: int) -> bool:
    try:
        return (Path(f"/proc/{pid}") / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
