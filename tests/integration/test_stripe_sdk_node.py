"""What an application asks of Stripe every day, by the official Node library, step by step.

`tests/foreign/node_stripe/calls.mjs` asks and tells each step; here is judged what it says, and done what
people and Stripe do in between.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sdk_ways import FailFirst
from stripe_stage import KEY, START, stage

from deadheat.stripe_sim import API_VERSION, MONTHLY, YEARLY, Account, Endpoint, Outbox
from deadheat.stripe_sim.search import LAG

sys.path.insert(0, str(Path(__file__).parent.parent / "foreign"))
from foreign_stage import install_node_packages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from deadheat.engine.stripe_server import StripeServer

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent / "foreign" / "node_stripe"
STEP_SECONDS_MAX = 30.0
ACACIA = "2025-02-24.acacia"
VERSIONS = pytest.mark.parametrize("version", [None, API_VERSION, ACACIA], ids=["latest", "clover", "acacia"])


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    install_node_packages(FOLDER)


class Story:
    """A story that Node tells."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def said(self, step: str, do: Callable[[Any], Any] = lambda said: None) -> Any:
        """Give what is told of the next step, which is ``step``; ``do`` happens before Node goes on."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        async with asyncio.timeout(STEP_SECONDS_MAX):
            line = await self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            pytest.fail(f"Node ended before {step!r}:\n{(await self._process.stderr.read()).decode()}")
        name, said = json.loads(line)
        assert name == step, said
        self._process.stdin.write(json.dumps(do(said)).encode() + b"\n")
        return said


@asynccontextmanager
async def told(story: str, *arguments: str, version: str | None = None) -> AsyncIterator[Any]:
    """Run a story against a simulator: gives the account, the server and the story."""
    async with stage() as (account, server), _node(server, story, *arguments, version=version) as node:
        yield account, server, node


@asynccontextmanager
async def _node(server: StripeServer, *arguments: str, version: str | None) -> AsyncIterator[Story]:
    env = {"PATH": os.environ["PATH"], "STRIPE_API_BASE": server.url, "STRIPE_SECRET_KEY": KEY}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "node",
        "calls.mjs",
        *arguments,
        cwd=FOLDER,
        env={**env, "STRIPE_API_VERSION": version or ""},
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    try:
        yield Story(process)
        _, complaint = await asyncio.wait_for(process.communicate(), STEP_SECONDS_MAX)
        assert (process.returncode, complaint) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def pay(account: Account) -> Callable[[Any], Any]:
    return lambda said: account.complete_session(said["session"])["status"]


@pytest.mark.fidelity("stripe-node, everyday calls")
@VERSIONS
def test_customers(version: str | None) -> None:
    async def story() -> None:
        async with told("customers", version=version) as (account, _, node):
            created = await node.said("created")
            assert created["metadata"] == {"user_id": "u1", "plan": "a"}
            assert created["request"].startswith("req_")
            merged = {"user_id": "u1", "seats": "3"}
            assert await node.said("updated") == {"id": created["id"], "metadata": merged}
            assert await node.said("retrieved") == {"metadata": merged}
            assert await node.said("unset") == {"metadata": {}, "name": None}
            twin, first = await node.said("listed")
            assert (twin != first, first) == (True, created["id"])
            assert await node.said("deleted") == {"id": first, "object": "customer", "deleted": True}
            assert await node.said("left") == {"gone": True, "twin": twin}
            assert [one["id"] for one in account.made_since(0).customers] == [first, twin]

    asyncio.run(story())


@pytest.mark.fidelity("stripe-node pages through lists and search by itself")
def test_pages() -> None:
    async def story() -> None:
        async with told("pages") as (account, _, node):
            made = await node.said("made")
            assert await node.said("to array") == made[:5]
            assert await node.said("for await") == made
            assert await node.said("backwards") == made[5::-1]
            assert await node.said("each") == made[:3]
            await node.said("wait", lambda _: account.tick(LAG))
            assert await node.said("search") == {"object": "search_result", "page": 2, "more": True}
            assert sorted(await node.said("searched")) == sorted(made)

    asyncio.run(story())


@pytest.mark.fidelity("stripe-node, everyday calls")
@VERSIONS
def test_checkout(version: str | None) -> None:
    async def story() -> None:
        async with told("checkout", MONTHLY, version=version) as (account, _, node):
            await node.said("pay", pay(account))
            assert await node.said("complete") == {
                "opened": "open",
                "status": "complete",
                "customer": True,
                "metadata": {"user_id": "u1"},
                "invoice": "paid",
                "items": [[MONTHLY, 1]],
            }
            assert await node.said("line items") == [MONTHLY]
            assert await node.said("expired") == {"total": 1400, "status": "expired"}
            listed = await node.said("listed")
            assert listed["found"] == [listed["session"]]

    asyncio.run(story())


@pytest.mark.fidelity("stripe-node, everyday calls")
def test_subscriptions_invoices_refunds_and_events() -> None:
    async def story() -> None:
        async with told("subscriptions", MONTHLY, YEARLY) as (account, _, node):
            await node.said("pay", pay(account))
            updated = await node.said("updated")
            assert updated["items"] == [[YEARLY, 2]]
            assert updated["metadata"] == {"user_id": "u1", "seats": "2"}
            assert await node.said("refunded") == {"paid": 2000, "amount": 500, "status": "succeeded"}
            canceled = await node.said("canceled")
            assert canceled == {"status": "canceled", "byStatus": {"active": 0, "canceled": 1, "all": 1}}
            assert await node.said("events") == [
                ["customer.subscription.deleted", "canceled"],
                ["customer.subscription.updated", "active"],
            ]

    asyncio.run(story())


@pytest.mark.fidelity("stripe-node, everyday calls")
@pytest.mark.parametrize("version", [None, API_VERSION], ids=["latest", "clover"])
def test_billing_without_checkout(version: str | None) -> None:
    async def story() -> None:
        async with told("billing", MONTHLY, version=version) as (account, _, node):
            assert await node.said("paid") == {"status": "active", "invoice": "paid"}
            confirmed = {"first": "incomplete", "intent": "succeeded", "then": "active"}
            assert await node.said("confirmed") == confirmed
            declined = await node.said("declined")
            assert (declined["class"], declined["code"]) == ("StripeCardError", "card_declined")
            assert await node.said("portal") == {"customer": True, "url": "string"}
            endpoint = await node.said("endpoint")
            assert endpoint["kept"] is None
            assert account.outbox(endpoint["id"]).endpoint.secret == endpoint["secret"]

    asyncio.run(story())


@pytest.mark.fidelity("Official libraries: stripe-node with versions before and after basil")
@pytest.mark.fidelity("Before basil a subscription is first incomplete")
@pytest.mark.fidelity("From basil on a subscription appears when it is paid")
@pytest.mark.parametrize("version", [ACACIA, API_VERSION])
def test_versions(version: str) -> None:
    """Before basil the period and the links stand on the objects, and checkout begins incomplete."""
    old = version == ACACIA

    async def story() -> None:
        async with told("versions", MONTHLY, version=version) as (account, _, node):
            await node.said("pay", pay(account))
            assert await node.said("seen") == {
                "asked": version,
                "top": "number" if old else "undefined",
                "item": "undefined" if old else "number",
                "subscription": old,
                "parent": not old,
                "intent": "string" if old else "undefined",
                "born": "incomplete" if old else "active",
            }

    asyncio.run(story())


@pytest.mark.fidelity("stripe-node throws its own classes of errors")
def test_errors() -> None:
    """A key that reaches a 500 keeps it: the library is told not to ask again, and asked again it replays."""
    faults = {
        "declined": {"status": 402, "when": "before"},
        "limited": {"status": 429, "when": "before"},
        "broken": {"status": 500, "when": "before"},
    }

    async def story() -> None:
        async with told("errors", version=API_VERSION) as (account, server, node):

            def fail(name: str) -> Callable[[Any], Any]:
                return lambda _: setattr(server, "gate", FailFirst(account, faults[name]))

            async def error(step: str) -> tuple[Any, ...]:
                said = await node.said(step)
                assert said["is"]
                assert said["request"].startswith("req_")
                return said["class"], said["status"], said["code"], said["param"]

            invalid = "StripeInvalidRequestError"
            assert await error("unknown") == (invalid, 400, "parameter_unknown", "nonsense")
            assert await error("missing") == (invalid, 404, "resource_missing", "id")
            assert await error("referenced") == (invalid, 400, "resource_missing", "line_items[0][price]")
            assert await error("stranger") == ("StripeAuthenticationError", 401, None, None)
            assert await error("reused") == ("StripeIdempotencyError", 400, None, None)
            await node.said("next declined", fail("declined"))
            assert await error("declined") == ("StripeCardError", 402, "card_declined", None)
            await node.said("next limited", fail("limited"))
            assert (await error("limited"))[:2] == ("StripeRateLimitError", 429)
            await node.said("next broken", fail("broken"))
            assert (await error("broken"))[:2] == ("StripeAPIError", 500)
            assert len(server.gate.calls) == 1
            again = await node.said("again")
            assert (again["status"], again["replayed"]) == (500, "true")

    asyncio.run(story())


@pytest.mark.fidelity("stripe-node retries under its own key")
@pytest.mark.parametrize(
    ("retries", "faults", "replayed"),
    [
        (2, [{"when": "lost"}, {"when": "lost"}], "true"),
        (0, [{"when": "lost"}], "true"),  # a closed connection is tried again even so
        (1, [{"status": 409, "when": "before"}], None),
        (1, [{"status": 429, "when": "before", "code": "lock_timeout"}], None),
    ],
    ids=["lost twice", "lost once", "conflict", "lock_timeout"],
)
@pytest.mark.parametrize("key", [None, "key-of-the-application"], ids=["its key", "ours"])
def test_retries(retries: int, faults: list[dict[str, Any]], replayed: str | None, key: str | None) -> None:
    async def story() -> None:
        async with told("retries") as (account, server, node):
            gate = server.gate = FailFirst(account, *faults)
            await node.said("options", lambda _: {"retries": retries, "key": key})
            made = await node.said("made")
            assert made["replayed"] == replayed
            assert [one["id"] for one in account.made_since(0).customers] == [made["id"]]
            assert len(gate.calls) == len(faults) + 1
            (used,) = {call.key for call in gate.calls}
            assert used
            assert key in (None, used)

    asyncio.run(story())


@pytest.mark.fidelity("stripe-node checks signatures")
def test_webhooks() -> None:
    secret = "whsec_of_the_endpoint"

    def delivery(age: int = 0, known: str = secret, **change: str) -> dict[str, str]:
        account = Account(seed=5, started_at=START, secret_key=KEY)
        outbox = Outbox(account, Endpoint(url="http://app.test/hook", secret=secret))
        account.make_customer(email="ada@example.test", name="Ada")
        sent = outbox.attempt(outbox.pending()[0], now=int(time.time()) - age)
        asked = {"body": sent.body.decode(), "header": sent.headers["stripe-signature"], "secret": known}
        return {**asked, **change}

    async def story() -> None:
        async with told("webhooks") as (_, _server, node):

            async def constructed(asked: dict[str, str]) -> Any:
                await node.said("next", lambda _: asked)
                by_either = await node.said("constructed")
                assert by_either["constructEvent"] == by_either["constructEventAsync"]
                return by_either["constructEvent"]

            refused = "StripeSignatureVerificationError"
            assert await constructed(delivery()) == ["customer.created", "ada@example.test"]
            assert await constructed(delivery(known="whsec_of_another")) == refused
            assert await constructed(delivery(age=301)) == refused
            assert await constructed(delivery(body="{}")) == refused
            await node.said("next")

    asyncio.run(story())
