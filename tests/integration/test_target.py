"""The target's process: how it is started, what it gets to see, what is said when it does not come up."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from processes import Parent, all_gone, below, eventually, lives

from deadheat.engine import target as target_module
from deadheat.engine.command import command, environment, fill
from deadheat.engine.target import Target, open_target
from deadheat.errors import Refused, SettingsError, TargetNotReady
from deadheat.settings import TargetSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VALUES = {
    "postgres.url": "postgresql://u:p@127.0.0.1:1/deadheat_a",
    "stripe.url": "http://127.0.0.1:2",
    "stripe.key": "sk_test_abc",
    "stripe.webhook-secret": "whsec_abc",
}

# Answers with its arguments, folder and environment; what it does before comes from its first argument.
APPLICATION = """
import json, os, signal, socket, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

what, port = sys.argv[1], int(sys.argv[2])
print("hello from", what, "with key", os.environ.get("KEY"), flush=True)
if what == "fails":
    sys.exit(3)
if what == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if what == "greedy":
    HTTPServer(("127.0.0.1", int(sys.argv[3])), BaseHTTPRequestHandler)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if what == "sick" else 404)
        self.end_headers()
        said = {"path": self.path, "cwd": os.getcwd(), "argv": sys.argv[1:], "env": dict(os.environ)}
        self.wfile.write(json.dumps(said).encode())
    def log_message(self, *arguments):
        pass

HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "application.py").write_text(APPLICATION)
    return tmp_path.resolve()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "target.log"


def settings(folder: Path, what: str = "serves", *more: str, **changes: Any) -> TargetSettings:
    words = " ".join(["{python} application.py", what, "{port}", *more])
    return TargetSettings(**{"folder": folder, "start": words, "ready_seconds": 20.0, **changes})


async def ask(target: Target) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.request("GET", target.base_url + "/who")
    found: dict[str, Any] = answer.json()
    return found


def not_ready(given: TargetSettings, log: Path, values: Mapping[str, str] = VALUES) -> str:
    async def run() -> None:
        async with open_target(given, values=values, log=log):
            raise AssertionError("it cannot be ready")

    with pytest.raises(TargetNotReady) as caught:
        asyncio.run(run())
    return str(caught.value)


def test_it_is_started_filled_and_stopped(folder: Path, log: Path) -> None:
    async def run() -> None:
        given = settings(folder, "serves", "'{stripe.url} and more'", "{workers}", "${HOME}", workers=3)
        async with open_target(given, values=VALUES, log=log) as target:
            assert target.alive()
            assert target.pid is not None
            said = await ask(target)
            assert said["cwd"] == str(folder)
            port = target.base_url.rpartition(":")[2]
            assert said["argv"] == ["serves", port, "http://127.0.0.1:2 and more", "3", "${HOME}"]
            assert "hello from serves" in target.log_tail()
        assert not target.alive()
        assert not lives(target.pid)

    asyncio.run(run())


def test_it_sees_a_built_environment_and_nothing_else(
    folder: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = ("STRIPE_SECRET_KEY", "PGHOST", "PGPASSWORD", "DATABASE_URL", "HTTP_PROXY", "SOMETHING")
    for name in outside:
        monkeypatch.setenv(name, "from outside")
    for name in ("HOME", "LANG", "LC_TIME", "TMPDIR", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, f"/{name}")

    async def run() -> dict[str, str]:
        env = {"DATABASE_URL": "{postgres.url}", "KEY": "{stripe.key}", "JSON": '{"a": {"b": 1}}'}
        async with open_target(settings(folder, env=env), values=VALUES, log=log) as target:
            found: dict[str, str] = (await ask(target))["env"]
            return found

    seen = asyncio.run(run())
    assert seen.pop("PATH").split(":")[0] == str(Path(sys.executable).parent)
    seen.pop("LC_CTYPE", None)  # Python sets it for itself in the C locale
    seen.pop("__CF_USER_TEXT_ENCODING", None)  # and macOS this
    assert seen == {
        "HOME": "/HOME",
        "LANG": "/LANG",
        "LC_TIME": "/LC_TIME",
        "TMPDIR": "/TMPDIR",
        "VIRTUAL_ENV": "/VIRTUAL_ENV",
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": VALUES["postgres.url"],
        "KEY": "sk_test_abc",
        "JSON": '{"a": {"b": 1}}',
    }


def test_migrate_runs_first_with_the_same_environment(folder: Path, log: Path) -> None:
    migrate = """{python} -c 'import os; open("migrated", "w").write(os.environ["DB"])'"""
    start = """{python} -c 'open("migrated").read(); exec(open("application.py").read())' serves {port}"""
    given = settings(folder, start=start, migrate=migrate, env={"DB": "{postgres.url}"})

    async def run() -> None:
        async with open_target(given, values=VALUES, log=log) as target:
            assert target.alive()

    asyncio.run(run())
    assert (folder / "migrated").read_text() == VALUES["postgres.url"]


def test_a_failing_migrate_is_quoted_and_nothing_started(folder: Path, log: Path) -> None:
    migrate = """{python} -c 'print("no such table: shops"); raise SystemExit(5)'"""
    text = not_ready(settings(folder, migrate=migrate), log)
    assert text.startswith("[target] migrate: exit code 5. The last lines of ")
    assert text.endswith("no such table: shops")
    assert "hello" not in log.read_text()


def test_one_that_ends_is_quoted_with_its_exit_code(folder: Path, log: Path) -> None:
    text = not_ready(settings(folder, "fails", env={"KEY": "{stripe.key}"}), log)
    assert "[target] start: the target is not ready: it ended (exit code 3)" in text
    assert text.endswith("hello from fails with key sk_test_***"), "secrets are masked"


def test_one_that_is_killed_is_said_to_be(folder: Path, log: Path) -> None:
    start = "{python} -c 'import os; os.kill(os.getpid(), 9)' {port}"
    assert "it ended (killed by SIGKILL)" in not_ready(settings(folder, start=start), log)


@pytest.mark.slow
def test_one_that_never_gets_well_is_stopped_and_its_answer_told(folder: Path, log: Path) -> None:
    text = not_ready(settings(folder, "sick", ready="/healthz", ready_seconds=1.0), log)
    assert "/healthz had no good answer within 1 s (last: it answers 503)" in text


def test_a_command_that_is_not_there_is_named(folder: Path, log: Path) -> None:
    text = not_ready(settings(folder, start="no-such-server {port}"), log)
    assert f"cannot run 'no-such-server' from {folder}: No such file or directory" in text
    assert f"PATH={Path(sys.executable).parent}" in text


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


def test_a_fixed_port_that_is_taken_is_said_to_be(folder: Path, log: Path, taken: int) -> None:
    text = not_ready(settings(folder, "greedy", str(taken)), log)
    assert "it ended (exit code 1). A port that it wants is taken" in text
    assert "Address already in use" in text


@pytest.mark.slow
def test_a_port_of_ours_lost_before_its_use_is_replaced(
    folder: Path, log: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = target_module.free_port
    ports = [taken]
    monkeypatch.setattr(target_module, "free_port", lambda: ports.pop() if ports else choose())

    async def run() -> str:
        async with open_target(settings(folder), values=VALUES, log=log) as target:
            return target.base_url

    assert asyncio.run(run()) != f"http://127.0.0.1:{taken}"
    assert not ports


@pytest.mark.slow
def test_one_that_ignores_the_signal_is_killed(
    folder: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_module, "STOP_SECONDS", 0.2)

    async def run() -> int:
        async with open_target(settings(folder, "deaf"), values=VALUES, log=log) as target:
            await target.stop()
            assert not target.alive()
            assert target.pid is not None
            return target.pid

    assert not lives(asyncio.run(run()))


def test_a_target_that_dies_is_seen_to_be_gone(folder: Path, log: Path) -> None:
    async def run() -> None:
        async with open_target(settings(folder), values=VALUES, log=log) as target:
            assert target.pid is not None
            os.kill(target.pid, signal.SIGKILL)
            await asyncio.to_thread(eventually, lambda: not target.alive(), "the target is gone")

    asyncio.run(run())


@pytest.mark.slow
def test_one_that_is_killed_and_started_again_is_where_it_was(folder: Path, log: Path) -> None:
    async def there_and_back() -> None:
        async with open_target(settings(folder), values=VALUES, log=log) as target:
            assert target.is_ours
            before, first = await ask(target), target.pid
            assert first is not None
            await target.kill()
            all_gone([first])
            assert target.alive(), "it is only away"
            await target.start_again()
            assert target.pid != first
            assert await ask(target) == before
            last = target.pid
        assert last is not None
        all_gone([last])
        assert not target.alive()

    asyncio.run(there_and_back())


def test_one_that_is_paused_stands_still_and_goes_on_where_it_was(folder: Path, log: Path) -> None:
    async def pause(target: Target, process: psutil.Process) -> None:
        with target.paused():
            await asyncio.to_thread(
                eventually, lambda: process.status() == psutil.STATUS_STOPPED, "it stands still"
            )
            assert target.alive()
            raise ZeroDivisionError

    async def stops_and_goes_on() -> None:
        async with open_target(settings(folder), values=VALUES, log=log) as target:
            process = psutil.Process(target.pid)
            before = await ask(target)
            with pytest.raises(ZeroDivisionError):
                await pause(target, process)
            assert await ask(target) == before
            assert target.pid == process.pid

    asyncio.run(stops_and_goes_on())


def test_one_that_we_leave_paused_is_stopped_all_the_same(folder: Path, log: Path) -> None:
    """As when we are killed meanwhile: its watcher has it go on, and so it ends by itself, by SIGTERM."""

    async def run() -> None:
        async with open_target(settings(folder), values=VALUES, log=log) as target:
            assert target.pid is not None
            with target.paused():
                await target.stop()
            assert not lives(target.pid)
            assert target._process is not None
            assert target._process.returncode == -signal.SIGTERM

    asyncio.run(run())


@pytest.mark.slow
def test_one_that_does_not_come_back_is_not_ready(folder: Path, log: Path) -> None:
    async def there_and_away() -> None:
        async with open_target(settings(folder), values=VALUES, log=log) as target:
            await target.kill()
            (folder / "application.py").write_text("raise SystemExit(4)")
            await target.start_again()

    with pytest.raises(
        TargetNotReady, match=r"killed by a fault of ours, and did not come back.*exit code 4"
    ):
        asyncio.run(there_and_away())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"start": "serve {prot}", "env": {"PORT": "{port}"}}, '{prot}. Did you mean "port"?'),
        (
            {"env": {"DB": "{postgres.uri}"}},
            '[target.env] DB: nothing fills {postgres.uri}. Did you mean "postgres.url"?',
        ),
        ({"migrate": "do {zzzzzz}"}, "[target] migrate: nothing fills {zzzzzz}. Known: {port}, "),
        ({"start": "serve 8000"}, "Put {port} into start"),
        ({"start": "serve 'half {port}"}, "cannot be split into words (No closing quotation)"),
        ({"migrate": " "}, "[target] migrate: the command is empty"),
        ({"start": None}, "needs either start (a command) or base-url"),
    ],
)
def test_settings_that_make_no_sense_are_explained(
    folder: Path, log: Path, changes: dict[str, Any], says: str
) -> None:
    async def run() -> None:
        async with open_target(settings(folder, **changes), values=VALUES, log=log):
            raise AssertionError("it cannot start")

    with pytest.raises(SettingsError) as caught:
        asyncio.run(run())
    assert says in str(caught.value)
    assert not log.exists()


def test_a_live_key_never_reaches_a_target() -> None:
    with pytest.raises(Refused) as caught:
        environment({"KEY": "sk_live_abcdef"}, {})
    assert "abcdef" not in str(caught.value)
    with pytest.raises(Refused):
        environment({"KEY": "{stripe.key}"}, {"stripe.key": "rk_live_abcdef"})


def test_a_value_with_spaces_and_quotes_stays_one_argument() -> None:
    values = {"python": "/a b/it's python"}
    assert command("{python} -m 'a {python}'", values, where="start") == [
        values["python"],
        "-m",
        f"a {values['python']}",
    ]
    assert fill("{python}{python}", {"python": "{python}"}, where="start") == "{python}{python}"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(500 if self.path == "/sick" else 302)
        self.send_header("Location", "http://192.0.2.1/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def running() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_url_is_only_asked_whether_it_is_ready(
    folder: Path, log: Path, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")

    async def run(ready: str, seconds: float) -> None:
        given = TargetSettings(folder=folder, base_url=running, ready=ready, ready_seconds=seconds)
        async with open_target(given, values={}, log=log) as target:
            assert target.base_url == running.rstrip("/")
            assert target.alive()
            assert target.pid is None
            assert target.log_tail() == ""
            await target.stop()

    asyncio.run(run("/", 20.0))
    with pytest.raises(TargetNotReady, match=r"is not ready: GET .*/sick had no good answer") as caught:
        asyncio.run(run("/sick", 1.0))
    assert "last: it answers 500" in str(caught.value)


def test_a_url_elsewhere_is_refused_until_it_is_allowed(
    folder: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def ask_nobody(base_url: str, *rest: object) -> None:
        asked.append(base_url)

    monkeypatch.setattr(target_module, "_until_ready", ask_nobody)
    given = TargetSettings(folder=folder, base_url="http://shop.example:1")

    async def run(*allowed: str) -> None:
        async with open_target(given, values={}, log=log, allow_hosts=allowed):
            pass

    with pytest.raises(Refused, match="allow-hosts"):
        asyncio.run(run())
    assert asked == []
    asyncio.run(run("shop.example"))
    assert asked == ["http://shop.example:1"]


PARENT = """
import asyncio, json, sys
from pathlib import Path
from deadheat.engine.target import open_target
from deadheat.settings import TargetSettings

async def main():
    folder = Path(sys.argv[1])
    start = "{python} -m uvicorn application:app --port {port} --workers {workers}"
    given = TargetSettings(folder=folder, start=start, workers=2)
    async with open_target(given, values={}, log=folder / "log") as target:
        print(json.dumps({"pid": target.pid, "url": target.base_url}), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
WORKERS = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
def test_a_killed_parent_leaves_no_worker(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "application.py").write_text(WORKERS)
    with Parent(PARENT, str(tmp_path)) as parent:
        said = parent.says()
        everybody = below(parent.process.pid)
        assert len(below(said["pid"])) >= 2, "two workers"
        os.killpg(parent.process.pid, how)
        all_gone(everybody)
        with pytest.raises(httpx.ConnectError):
            httpx.get(said["url"], trust_env=False)
