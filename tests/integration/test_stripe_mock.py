"""stripe-mock behind the simulator: validation, routes that are not modelled, outages, and its life."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import stripe
from fidelity_list import BORROWED
from proxy_stage import until
from stripe_mock_binary import mock_binary
from stripe_stage import KEY, SDK_WARNING, checkout, client, stage

from deadheat.engine import stripe_mock_client
from deadheat.engine.stripe_mock import StripeMock, read_versions
from deadheat.errors import Refused, StripeMockUnavailable
from deadheat.stripe_sim import API_VERSION

pytestmark = pytest.mark.filterwarnings(SDK_WARNING)

TAX_RATE: Any = {"display_name": "VAT", "inclusive": False, "percentage": 19}


def with_mock(story: Any, *, mode: str = "enforce", notices: list[str] | None = None) -> None:
    """Run ``story(account, server, mock)`` with the stripe-mock of this machine."""
    binary = mock_binary()
    told = notices if notices is not None else []

    async def run() -> None:
        async with (
            StripeMock.open(binary, notice=told.append) as mock,
            stage(mock=mock, mode=mode, notice=told.append) as (account, server),
        ):
            await story(account, server, mock)

    asyncio.run(run())


def test_versions_come_from_the_binary() -> None:
    version, spec_version = read_versions(Path(mock_binary()))
    assert version.startswith("v0.")
    assert spec_version == API_VERSION


def test_versions_of_something_else_are_unknown(tmp_path: Path) -> None:
    for content in (b"", b"#!/bin/sh\nexec stripe-mock\n"):
        other = tmp_path / "other"
        other.write_bytes(content)
        assert read_versions(other) == ("unknown", None)


def test_everyday_calls_pass_it() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        v1 = client(server).v1
        customer = await v1.customers.create_async(
            {"email": "a@b.c", "name": "A", "metadata": {"user_id": "u"}, "address": {"city": "X"}}
        )
        await v1.customers.update_async(customer.id, {"name": "", "metadata": {"user_id": ""}})
        session = await v1.checkout.sessions.create_async(
            checkout(customer=customer.id, subscription_data={"metadata": {"a": "b"}})  # type: ignore[arg-type]
        )
        account.complete_session(session.id)
        (subscription,) = (await v1.subscriptions.list_async({"customer": customer.id})).data
        await v1.subscriptions.update_async(subscription.id, {"cancel_at_period_end": True})
        await v1.subscriptions.cancel_async(subscription.id)

    notices: list[str] = []
    with_mock(story, notices=notices)
    assert notices == []


@pytest.mark.fidelity("It validates what we model, its objections in Stripe's shape")
@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"payment_method_types": ["bogus"]}, None, "payment_method_types"),
        ({"automatic_tax": {"enabled": "perhaps"}}, None, "automatic_tax[enabled]"),
        ({"automatic_tax": {"liability": {"type": "self"}}}, "parameter_missing", "automatic_tax[enabled]"),
    ],
)
def test_it_objects_to_what_we_only_pass_over(params: Any, code: str | None, param: str) -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client(server).v1.checkout.sessions.create_async(
                checkout(**params),  # type: ignore[arg-type]
                {"idempotency_key": "k"},
            )
        assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
        assert account.made_since(0).sessions == ()
        await client(server).v1.checkout.sessions.create_async(checkout(), {"idempotency_key": "k"})  # type: ignore[arg-type]

    with_mock(story)


@pytest.mark.parametrize("unknown", [{"newfangled": "1"}, {"origin_context": "newfangled"}])
def test_in_another_version_what_it_does_not_know_is_a_warning(unknown: Any) -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        later = client(server, version="2026-10-28.endive").v1
        for _ in range(2):
            await later.checkout.sessions.create_async(checkout(**unknown))  # type: ignore[arg-type]
        with pytest.raises(stripe.InvalidRequestError):
            await later.checkout.sessions.create_async(checkout(automatic_tax={"enabled": "perhaps"}))  # type: ignore[arg-type]
        assert len(account.made_since(0).sessions) == 2

    notices: list[str] = []
    with_mock(story, notices=notices)
    assert len(notices) == 1
    assert "POST /v1/checkout/sessions" in notices[0]


def test_mode_warn_lets_everything_pass_and_says_so() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        await client(server).v1.checkout.sessions.create_async(checkout(payment_method_types=["bogus"]))  # type: ignore[arg-type]
        assert len(account.made_since(0).sessions) == 1

    notices: list[str] = []
    with_mock(story, mode="warn", notices=notices)
    assert len(notices) == 1


@pytest.mark.fidelity("It answers routes that are not modelled")
def test_it_answers_what_we_do_not_model_under_our_headers_and_keys() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        v1 = client(server).v1
        first, again = [await v1.tax_rates.create_async(TAX_RATE, {"idempotency_key": "k"}) for _ in range(2)]
        assert first.object == "tax_rate"
        assert again.id == first.id
        assert first.last_response is not None
        assert first.last_response.request_id.startswith("req_")
        assert first.last_response.request_id != "req_123"
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await v1.tax_rates.create_async({**TAX_RATE, "tax_type": "tithe"})
        assert refused.value.param == "tax_type"

    with_mock(story)


@pytest.mark.fidelity("stripe-mock behind: a write that it answered changed nothing, which is told once")
def test_a_write_that_it_answered_is_told_once_for_each_route() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        v1 = client(server).v1
        for _ in range(2):
            rate = await v1.tax_rates.create_async(TAX_RATE)
            await v1.tax_rates.update_async(f"{rate.id}A1", {"active": False})
        await v1.tax_rates.list_async()
        await v1.customers.create_async({"email": "a@b.c"})

    notices: list[str] = []
    with_mock(story, notices=notices)
    assert notices == [
        f"POST /v1/tax_rates{of} is not modelled: stripe-mock answered it, and nothing changed."
        for of in ("", "/:id")
    ]


@pytest.mark.fidelity("It answers routes that are not modelled")
def test_it_answers_each_route_that_the_page_on_fidelity_names() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        async with httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}) as http:
            for route in BORROWED:
                answer = await http.request(*route.split(" "))
                assert (answer.status_code, answer.json()["object"]) == (200, "list"), route
            assert (await http.get("/v2/core/events")).status_code == 404
            upload = await http.post("/v1/files", files={"file": b"x"}, data={"purpose": "dispute_evidence"})
            assert upload.status_code == 400

    with_mock(story)


def test_without_it_what_we_do_not_model_is_not_found() -> None:
    async def story() -> None:
        async with stage() as (_, server):
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await client(server).v1.tax_rates.create_async(TAX_RATE)
            assert refused.value.http_status == 404

    asyncio.run(story())


@pytest.mark.fidelity("Its outage is told once and changes no result")
def test_an_outage_is_told_once_and_changes_no_result() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        (process,) = [p for p in psutil.process_iter(["name"]) if _is_ours(p)]
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(psutil.wait_procs, [process], 10)
        v1 = client(server).v1
        for _ in range(3):
            await v1.customers.create_async({"email": "a@b.c"})
        assert len(account.made_since(0).customers) == 3

    notices: list[str] = []
    with_mock(story, notices=notices)
    assert len(notices) == 1
    assert "stripe-mock does not answer" in notices[0]


def test_its_end_is_told_though_it_need_not_be_asked() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        v1 = client(server).v1
        await v1.customers.create_async({"email": "a@b.c"})
        (process,) = [p for p in psutil.process_iter(["name"]) if _is_ours(p)]
        process.send_signal(signal.SIGKILL)
        await until(lambda: mock.outage is not None, "it is told")
        await v1.customers.create_async({"email": "d@e.f"})

    notices: list[str] = []
    with_mock(story, notices=notices)
    assert notices == [
        "stripe-mock does not answer (it ended with exit code -9); calls go on without its validation."
    ]


@pytest.mark.fidelity("Its outage is told once and changes no result")
def test_one_that_falls_silent_is_waited_for_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_mock_client, "ANSWER_SECONDS", 0.05)
    notices: list[str] = []
    peers: set[asyncio.StreamWriter] = set()

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        peers.discard(writer)

    async def run() -> None:
        silent = await asyncio.start_server(answer_once, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        async with (
            StripeMock.open(url, notice=notices.append) as mock,
            stage(mock=mock, notice=notices.append) as (_, server),
        ):
            for _ in range(2):
                made = await client(server).v1.customers.create_async({"email": "a@b.c"})
                assert made.email == "a@b.c"
        silent.close()
        await until(lambda: not peers, "its connections are closed")

    asyncio.run(run())
    assert len([text for text in notices if "does not answer" in text]) == 1


def test_its_process_ends_with_the_block() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        nonlocal process
        (process,) = [p for p in psutil.process_iter(["name"]) if _is_ours(p)]

    process: psutil.Process
    with_mock(story)
    assert not process.is_running()


def test_a_url_is_as_good_as_a_binary() -> None:
    async def story(account: Any, server: Any, mock: StripeMock) -> None:
        url = f"http://127.0.0.1:{mock._client._port}"
        async with StripeMock.open(url) as other, stage(mock=other) as (_, second):
            assert other is not None
            assert (other.version, other.spec_version) == ("unknown", None)
            with pytest.raises(stripe.InvalidRequestError):
                await client(second).v1.checkout.sessions.create_async(
                    checkout(automatic_tax={"enabled": "x"})
                )  # type: ignore[arg-type]

    with_mock(story)


def test_it_dies_with_us_when_we_are_killed() -> None:
    program = (
        "import asyncio, sys\n"
        "from deadheat.engine.stripe_mock import StripeMock\n"
        "async def main():\n"
        "    async with StripeMock.open(sys.argv[1]):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, mock_binary()], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        family = psutil.Process(parent.pid).children(recursive=True)
        assert any(process.name() == "stripe-mock" for process in family)
        parent.kill()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert alive == []


class TestSettings:
    @staticmethod
    def opened(setting: str) -> tuple[StripeMock | None, list[str]]:
        notices: list[str] = []

        async def run() -> StripeMock | None:
            async with StripeMock.open(setting, notice=notices.append) as mock:
                return mock

        return asyncio.run(run()), notices

    def test_off(self) -> None:
        assert self.opened("off") == (None, [])

    def test_auto_without_one_says_so_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DEADHEAT_STRIPE_MOCK", raising=False)
        monkeypatch.setenv("PATH", "")
        mock, notices = self.opened("auto")
        assert mock is None
        assert len(notices) == 1
        assert "\n" not in notices[0]

    def test_auto_takes_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DEADHEAT_STRIPE_MOCK", mock_binary())
        mock, notices = self.opened("auto")
        assert mock is not None
        assert notices == []

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ("/nowhere/stripe-mock", "/nowhere/stripe-mock"),
            ("http://127.0.0.1:1", "127.0.0.1:1"),
            ("https://localhost:12112", "only http"),
        ],
    )
    def test_one_that_was_asked_for_must_be_there(self, setting: str, says: str) -> None:
        with pytest.raises(StripeMockUnavailable, match=says):
            self.opened(setting)

    def test_a_variable_that_names_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DEADHEAT_STRIPE_MOCK", "/nowhere/stripe-mock")
        with pytest.raises(StripeMockUnavailable, match="DEADHEAT_STRIPE_MOCK=/nowhere"):
            self.opened("auto")

    def test_another_machine_is_refused(self) -> None:
        with pytest.raises(Refused, match="allow-hosts"):
            self.opened("http://stripe-mock.test:12111")

    def test_a_program_that_ends_at_once(self) -> None:
        with pytest.raises(StripeMockUnavailable, match="exit code 1"):
            self.opened("false")

    def test_a_file_that_cannot_run(self, tmp_path: Path) -> None:
        broken = tmp_path / "stripe-mock"
        broken.write_bytes(b"\x7fELF nonsense")
        broken.chmod(0o755)
        with pytest.raises(StripeMockUnavailable, match="could not be started"):
            self.opened(str(broken))

    def test_one_that_prints_more_than_a_pipe_holds(self, tmp_path: Path) -> None:
        """What it prints once it listens is read on and dropped, so that it never has to wait for us."""
        done, talker = tmp_path / "done", tmp_path / "stripe-mock"
        talker.write_text(
            f"#!{sys.executable}\nimport sys, time\n"
            "print('Listening for HTTP at address: 127.0.0.1:9', flush=True)\n"
            "for _ in range(20): print('Request: ' + 'x' * 10_000, flush=True)\n"
            f"open({str(done)!r}, 'w').close()\n"
        )
        talker.chmod(0o755)

        async def story() -> None:
            async with StripeMock.open(str(talker)):
                await until(done.exists, "all of it is printed")

        asyncio.run(story())


def _is_ours(process: psutil.Process) -> bool:
    """Tell whether this is the stripe-mock that this test process started, through its watcher."""
    if process.info["name"] != "stripe-mock":
        return False
    try:
        return os.getpid() in [parent.pid for parent in process.parents()]
    except psutil.NoSuchProcess:
        return False
