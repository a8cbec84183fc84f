"""TLS between two buffers, however its bytes are split, and what a DSN asks of a certificate."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import asyncpg
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from deadheat.engine.postgres import tls as tls_module
from deadheat.engine.postgres.dsn import Dsn
from deadheat.engine.postgres.tls import ALPN, Tls, context_of, own_context
from deadheat.errors import PostgresUnavailable

if TYPE_CHECKING:
    from pathlib import Path

HOST = "db.staging.example"


def served() -> ssl.SSLContext:
    context = own_context()
    assert context is not None  # the extra "dev" brings what makes it
    return context


def asking(*, alpn: bool = True) -> ssl.SSLContext:
    context = context_of({"sslmode": "require", "sslrootcert": ""})
    if not alpn:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def carried(data: bytes, to: Tls, sizes: list[int]) -> bytes:
    """Hand bytes to an end in portions of these sizes, over and over; gives what they held."""
    held, n = b"", 0
    while data:
        size = sizes[n % len(sizes)]
        held += to.read(data[:size])
        data, n = data[size:], n + 1
    return held


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    asks=st.binary(max_size=40_000),
    answers=st.binary(max_size=40_000),
)
def test_any_split_carries_the_same(sizes: list[int], asks: bytes, answers: bytes) -> None:
    client, server = Tls(asking(), hostname=HOST), Tls(served())
    client.read()
    while not (client.is_open and server.is_open):
        assert carried(client.taken(), server, sizes) == b""
        assert carried(server.taken(), client, sizes) == b""
    client.write(asks)
    server.write(answers)
    assert carried(client.taken(), server, sizes) == asks
    assert carried(server.taken(), client, sizes) == answers
    client.end()
    assert carried(client.taken(), server, sizes) == b""
    assert server.is_over
    assert not client.is_over


def test_nothing_is_written_before_the_handshake_is_done() -> None:
    server = Tls(served())
    server.write(b"plain")
    assert server.taken() == b""
    server.end()
    assert server.taken() == b""


@pytest.mark.parametrize("names", [True, False])
def test_who_begins_without_asking_names_the_protocol(names: bool) -> None:
    client, server = Tls(asking(alpn=names), hostname=HOST), Tls(served(), direct=True)
    client.read()
    server.read(client.taken())
    client.read(server.taken())
    if names:
        server.read(client.taken())
        assert server.is_open
    else:
        with pytest.raises(ssl.SSLError, match=ALPN):
            server.read(client.taken())


def test_plain_bytes_are_no_handshake() -> None:
    with pytest.raises(ssl.SSLError):
        Tls(served()).read(b"\x00\x00\x00\x21\x00\x03\x00\x00user\x00ada\x00\x00")


def test_without_the_package_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_module, "PACKAGE", "a_package_that_is_not_here")
    own_context.cache_clear()
    try:
        assert own_context() is None
    finally:
        own_context.cache_clear()


@pytest.mark.parametrize(
    ("parameters", "verifies", "checks_name"),
    [
        ({"sslmode": "require"}, False, False),
        ({"sslmode": "require", "sslrootcert": "{ca}"}, True, False),
        ({"sslmode": "verify-ca", "sslrootcert": "{ca}"}, True, False),
        ({"sslmode": "verify-full", "sslrootcert": "{ca}"}, True, True),
        ({"sslmode": "verify-full", "sslrootcert": "system"}, True, True),
        ({}, False, False),
    ],
)
def test_what_each_sslmode_verifies(
    parameters: dict[str, str],
    verifies: bool,
    checks_name: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca))
    context = context_of({name: value.format(ca=ca) for name, value in parameters.items()})
    assert (context.verify_mode is ssl.CERT_REQUIRED, context.check_hostname) == (verifies, checks_name)


def test_a_root_certificate_is_found_where_libpq_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    trustme.CA().cert_pem.write_to_path(str(tmp_path / ".postgresql" / "root.crt"))
    assert context_of({"sslmode": "require"}).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "parameters",
    [
        {"sslmode": "verify-full"},
        {"sslmode": "verify-ca", "sslrootcert": "/nowhere/ca.pem"},
        {"sslmode": "require", "sslcert": "/nowhere/cert.pem"},
    ],
)
def test_a_certificate_that_is_not_there_is_named(
    parameters: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(PostgresUnavailable, match=f"sslmode={parameters['sslmode']}"):
        context_of(parameters)


def test_a_root_certificate_that_nobody_named_is_told_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(PostgresUnavailable) as told:
        context_of({"sslmode": "verify-full"})
    assert f"no sslrootcert; there is no {tmp_path / '.postgresql' / 'root.crt'}" in str(told.value)
    assert "None" not in str(told.value)


@pytest.mark.parametrize(
    ("query", "hinted"), [("", True), ("?sslmode=disable", True), ("?sslmode=require", False)]
)
def test_a_server_that_takes_nobody_without_tls_is_said_to_perhaps_want_it(
    query: str, hinted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(**_: object) -> None:
        raise asyncpg.InvalidAuthorizationSpecificationError(
            'no pg_hba.conf entry for host "127.0.0.1", user "a", database "c", no encryption'
        )

    monkeypatch.setattr(asyncpg, "connect", refused)
    with pytest.raises(PostgresUnavailable) as told:
        asyncio.run(Dsn.parse(f"postgresql://a:b@localhost/c{query}").connect())
    assert ("the DSN needs sslmode=require" in str(told.value)) == hinted


@pytest.mark.parametrize(
    ("dsn", "demands"),
    [
        ("postgresql://a@localhost/c", None),
        ("postgresql://a@localhost/c?sslmode=prefer", None),
        ("postgresql://a@localhost/c?sslmode=require", (True, False)),
        ("postgresql://a@localhost/c?sslmode=require&sslnegotiation=direct", (True, True)),
        ("postgresql://a@/c?host=/run/pg&sslmode=require", None),
        (f"postgresql://a@{HOST}/c", (False, False)),
        (f"postgresql://a@{HOST}/c?sslmode=disable", None),
    ],
)
def test_when_a_server_is_reached_by_tls(dsn: str, demands: tuple[bool, bool] | None) -> None:
    demand = Dsn.parse(dsn, allow_hosts=[HOST]).demand()
    assert (demand and (demand.required, demand.direct)) == demands


def test_what_is_said_of_the_way_does_not_go_through_the_proxy() -> None:
    dsn = Dsn.parse(
        "postgresql://a:b@localhost/c?sslmode=require&sslrootcert=/x&channel_binding=prefer"
        "&gssencmode=disable&options=-c%20a%3Db"
    )
    assert dsn.through(5).url("c") == "postgresql://a:b@127.0.0.1:5/c?options=-c%20a%3Db"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("sslmode=require&channel_binding=require", "channel_binding=prefer"),
        ("gssencmode=require", "GSSAPI, which Deadheat does not speak; sslmode=require asks for TLS"),
        ("sslmode=reqire", "require"),
    ],
)
def test_what_a_dsn_cannot_ask_for_is_named(parameters: str, says: str) -> None:
    with pytest.raises(PostgresUnavailable, match=says):
        Dsn.parse(f"postgresql://a:b@localhost/c?{parameters}")
