"""``deadheat stripe`` against a ``deadheat serve`` that runs, and where none does."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import stripe
from click.testing import CliRunner, Result
from conftest import CHECKOUT, deadheat, environment
from documented import BY_HAND, COMMANDS
from serving import DEADLINE_S, Receiver, Serving, serving

from deadheat.cli import main
from deadheat.cli.running import Running, noted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

NEW = ("--stripe-port", "0", "--stripe-mock", "off")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("by-hand")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(receiver: Receiver, folder: Path) -> Iterator[Serving]:
    with serving(*NEW, "--forward-to", receiver.url, folder=folder) as up:
        yield up


@pytest.fixture
def here(served: Serving, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """The serve that runs, in whose folder the test works."""
    monkeypatch.chdir(folder)
    return served


def by_hand(*arguments: str, code: int = 0, **env: str) -> Result:
    """Run ``deadheat stripe`` in this process."""
    ended = CliRunner().invoke(main, ["stripe", *arguments], env={"STRIPE_SECRET_KEY": None, **env})
    assert ended.exit_code == code, ended.output
    return ended


def api(served: Serving, method: str, path: str, **params: Any) -> dict[str, Any]:
    """Make a call of Stripe's API, as an application would."""
    headers = {"authorization": f"Bearer {served.env['STRIPE_SECRET_KEY']}"}
    base = served.env["STRIPE_API_BASE"]
    answer = httpx.request(method, f"{base}/v1/{path}", headers=headers, trust_env=False, **params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def customer_of(served: Serving) -> str:
    return str(api(served, "POST", "customers", data={"email": "ada@example.test"})["id"])


def session_of(served: Serving) -> str:
    lines = {"line_items[0][price]": "price_deadheat_monthly", "line_items[0][quantity]": "1"}
    wanted = {"mode": "subscription", "success_url": "http://127.0.0.1:9/done", **lines}
    made = api(served, "POST", "checkout/sessions", data={**wanted, "customer": customer_of(served)})
    return str(made["id"])


def subscription_of(served: Serving) -> str:
    session = session_of(served)
    by_hand("pay", session)
    return str(api(served, "GET", f"checkout/sessions/{session}")["subscription"])


def intent_of(served: Serving) -> str:
    card = {"payment_method": "pm_card_authenticationRequired", "confirm": "true"}
    made = api(served, "POST", "payment_intents", data={"amount": "500", "currency": "usd", **card})
    assert made["status"] == "requires_action"
    return str(made["id"])


def event_of(served: Serving) -> str:
    made = customer_of(served)
    events = api(served, "GET", "events", params={"type": "customer.created"})["data"]
    return str(next(event["id"] for event in events if event["data"]["object"]["id"] == made))


def told(output: str, sign: str, *pieces: str) -> list[str]:
    """The lines with this arrow that hold all these pieces."""
    return [line for line in output.splitlines() if sign in line and all(piece in line for piece in pieces)]


def received(receiver: Receiver, event_id: str, secret: str) -> stripe.Event:
    """Take the delivery of an event, its signature verified."""
    while True:
        body, signature = receiver.got.get(timeout=DEADLINE_S)
        event: stripe.Event = stripe.Webhook.construct_event(body, signature, secret)
        if event.id == event_id:
            return event


@pytest.mark.parametrize(
    ("command", "code"), sorted({(c, n) for _, c, n in COMMANDS if c.startswith(BY_HAND)})
)
def test_the_documented_command_runs(command: str, code: int, here: Serving) -> None:
    makers = {
        "cus": customer_of,
        "cs_test": session_of,
        "evt": event_of,
        "pi": intent_of,
        "sub": subscription_of,
    }
    words = [
        makers[found[1]](here) if (found := re.fullmatch(rf"({'|'.join(makers)})_\w+", word)) else word
        for word in shlex.split(command)[2:]
    ]
    done = subprocess.run(
        [sys.executable, "-m", "deadheat", "stripe", *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_every_option_is_documented() -> None:
    text = (CHECKOUT / "docs/cli.md").read_text()
    group = main.commands["stripe"]
    commands = [group, *group.commands.values()]  # type: ignore[attr-defined]
    options = {option for command in commands for each in command.params for option in each.opts}
    assert {option for option in options if option.startswith("--") and option not in text} == set()


def test_an_event_is_triggered_and_its_answer_told(here: Serving, receiver: Receiver) -> None:
    ada = customer_of(here)
    output = by_hand("trigger", "customer.updated", "--customer", ada).output
    assert output.splitlines()[0] == f"customer {ada}"
    (going,) = told(output, " --> customer.updated [evt_")
    event_id = going.partition("[")[2].rstrip("]")
    (_,) = told(output, "<--  [200] POST", receiver.url, event_id)
    event = received(receiver, event_id, here.env["STRIPE_WEBHOOK_SECRET"])
    assert event.data.object["id"] == ada
    assert here.says("<--  [200] POST", event_id)


def test_a_refusal_of_the_application_is_told(here: Serving, receiver: Receiver) -> None:
    ada = customer_of(here)
    receiver.refuse.append(b'"type": "customer.deleted"')
    output = by_hand("trigger", "customer.deleted", "--customer", ada).output
    (_,) = told(output, "<--  [500] POST", "; again in 1 s")


def test_a_session_of_the_application_is_paid_once(here: Serving) -> None:
    session = session_of(here)
    output = by_hand("pay", session).output
    assert output.splitlines()[0] == f"checkout.session {session} complete"
    (_,) = told(output, " --> checkout.session.completed ")
    assert len(told(output, " --> ")) == len(told(output, "<--  [200]"))
    again = by_hand("pay", session, code=1)
    assert again.output == (
        f"deadheat: Checkout session {session} is complete: only an open one can be paid.\n"
    )


def test_a_subscription_is_renewed_then_canceled(here: Serving) -> None:
    subscription = subscription_of(here)
    assert told(by_hand("renew", subscription).output, "<--  [200] POST")
    latest = api(here, "GET", f"subscriptions/{subscription}")["latest_invoice"]
    assert api(here, "GET", f"invoices/{latest}")["billing_reason"] == "subscription_cycle"
    output = by_hand("cancel", subscription).output
    assert output.splitlines()[0] == f"subscription {subscription} canceled"
    assert told(output, " --> customer.subscription.deleted ")
    by_hand("renew", subscription, code=1)


def test_what_is_said_of_a_card_is_handed_on(here: Serving) -> None:
    subscription = subscription_of(here)
    output = by_hand("renew", subscription, "--decline", "insufficient_funds").output
    assert told(output, " --> invoice.payment_failed ")
    assert output.splitlines()[0] == f"subscription {subscription} past_due"
    session = session_of(here)
    refused = by_hand("pay", session, "--card", "pm_card_chargeDeclined", code=1).output
    assert "declined" in refused
    refused = by_hand("pay", session, "--promotion-code", "NONE", code=1).output
    assert "takes no promotion codes" in refused


def test_an_event_is_sent_again(here: Serving, receiver: Receiver) -> None:
    event_id = event_of(here)
    received(receiver, event_id, here.env["STRIPE_WEBHOOK_SECRET"])
    output = by_hand("resend", event_id).output
    received(receiver, event_id, here.env["STRIPE_WEBHOOK_SECRET"])
    (_,) = told(output, f" --> customer.created [{event_id}] (sent again)")
    (_,) = told(output, "<--  [200] POST", event_id)
    assert "evt_none" in by_hand("resend", "evt_none", code=1).output


def test_an_endpoint_of_the_application_s_own_is_brought_its_events(
    here: Serving, receiver: Receiver
) -> None:
    second = Receiver()
    try:
        asked = {"url": second.url, "enabled_events[]": "product.created"}
        endpoint = api(here, "POST", "webhook_endpoints", data=asked)
        output = by_hand("trigger", "product.created").output
        (_,) = told(output, "<--  [200] POST", second.url)
        ((_, going),) = [line.split("[") for line in told(output, " --> product.created ")]
        received(second, going.rstrip("]"), endpoint["secret"])
        received(receiver, going.rstrip("]"), here.env["STRIPE_WEBHOOK_SECRET"])
        api(here, "DELETE", f"webhook_endpoints/{endpoint['id']}")
        assert not told(by_hand("trigger", "product.created").output, second.url)
    finally:
        second.close()


def test_events_are_listed_with_what_is_due(here: Serving, receiver: Receiver) -> None:
    by_hand("trigger", "product.created")
    receiver.refuse += [b'"type": "customer.updated"'] * 9
    by_hand("trigger", "customer.updated")
    listed = by_hand("events", "--limit", "2").output.splitlines()
    assert [line.split()[1] for line in listed] == ["customer.updated", "customer.created"]
    assert listed[0].endswith("  1 pending")
    assert "pending" not in listed[1]
    receiver.refuse.clear()
    (product,) = json.loads(by_hand("events", "--type", "product.*", "--limit", "1", "--json", "-").output)
    assert (product["type"], product["pending_webhooks"]) == ("product.created", 0)


def test_the_state_is_a_table_and_json(here: Serving) -> None:
    ada = customer_of(here)
    counts = {kind: int(n) for kind, n in (line.split() for line in by_hand("state").output.splitlines())}
    assert counts == json.loads(by_hand("state", "--json", "-").output)
    heading, row, last = by_hand("state", "customer", "--limit", "1").output.splitlines()
    assert heading.split() == ["created", "id", "email"]
    assert row.split()[1:] == [ada, "ada@example.test"]
    assert last == f"1 of {counts['customer']}"
    by_hand("state", "customer", "--limit", "1", "--json", "ada.json")
    with open("ada.json") as written:
        assert [found["id"] for found in json.load(written)] == [ada]
    assert 'Did you mean "customer"' in by_hand("state", "custome", code=2).output


def test_the_secret_is_that_of_the_environment(here: Serving) -> None:
    assert by_hand("--print-secret").output == here.env["STRIPE_WEBHOOK_SECRET"] + "\n"


def test_a_type_that_is_none_is_told_with_the_closest(here: Serving) -> None:
    output = by_hand("trigger", "invoice.payd", code=2).output
    assert 'Did you mean "invoice.paid"?' in output
    assert "charge.refunded, " in output


def test_one_elsewhere_is_named_by_its_url(
    served: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url, key = served.env["STRIPE_API_BASE"], served.env["STRIPE_SECRET_KEY"]
    named = ("--stripe-url", url, "--print-secret")
    secret = served.env["STRIPE_WEBHOOK_SECRET"]
    assert by_hand(*named, STRIPE_SECRET_KEY=key).output == secret + "\n"
    assert "customer" in by_hand("--stripe-url", url, "state", STRIPE_SECRET_KEY=key).output
    assert "STRIPE_SECRET_KEY is not set" in by_hand(*named, code=2).output
    assert "has another key" in by_hand(*named, code=2, STRIPE_SECRET_KEY="sk_" + "test_x").output
    live = by_hand(*named, code=2, STRIPE_SECRET_KEY="sk_" + "live_x").output
    assert "live Stripe key" in live
    away = by_hand("--stripe-url", "http://stripe.example", "state", code=2, STRIPE_SECRET_KEY=key).output
    assert "stripe.example is not this machine" in away
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    nobody = by_hand(
        "--stripe-url", f"http://127.0.0.1:{port}", "state", code=2, STRIPE_SECRET_KEY=key
    ).output
    assert f"No deadheat serve answers at http://127.0.0.1:{port}" in nobody


def test_where_none_runs_it_is_said_what_to_do(tmp_path: Path) -> None:
    ended = deadheat("stripe", "trigger", "customer.created", folder=tmp_path)
    assert ended.code == 2
    assert ended.err.startswith("deadheat: No deadheat serve runs in this folder. Start one")
    assert not (tmp_path / ".deadheat").exists()


def test_the_file_is_its_owner_s_and_goes_with_the_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".deadheat" / "serve.json"
    with serving(*NEW, folder=tmp_path) as up:
        assert file.stat().st_mode & 0o777 == 0o600
        output = by_hand("trigger", "customer.created").output
        assert "is not delivered" in output
        assert "--forward-to URL" in output
        assert "pending" not in by_hand("events").output
        assert "--forward-to URL" in by_hand("resend", "evt_1", code=2).output
        os.kill(up.process.pid, signal.SIGTERM)
        assert up.process.wait(DEADLINE_S) == 0
    assert not file.exists()


def test_a_file_that_was_left_behind_is_known_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with noted(tmp_path / ".deadheat", Running("http://127.0.0.1:1", "sk_" + "test_x", gone.pid)):
        assert f"left over from process {gone.pid}" in by_hand("state", code=2).output
    with noted(tmp_path / ".deadheat", Running("http://127.0.0.1:1", "sk_" + "test_x", os.getpid())):
        assert "No deadheat serve answers at http://127.0.0.1:1 " in by_hand("state", code=2).output


def test_a_later_serve_s_file_is_left_alone(tmp_path: Path) -> None:
    first, later = (Running(f"http://127.0.0.1:{port}", "sk_" + "test_x", os.getpid()) for port in (1, 2))
    with noted(tmp_path, first):
        noting = noted(tmp_path, later)
        noting.__enter__()
    assert json.loads((tmp_path / "serve.json").read_text())["url"] == later.url
    noting.__exit__(None, None, None)
    assert not (tmp_path / "serve.json").exists()
