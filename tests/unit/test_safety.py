"""What is loopback, which URLs and DSNs lead there, and what a live key looks like."""

from __future__ import annotations

from contextlib import suppress
from inspect import signature

import httpx
import pytest
from asyncpg import connect_utils
from asyncpg.exceptions import ClientConfigurationError
from hypothesis import given, settings
from hypothesis import strategies as st

from deadheat import World
from deadheat.engine.cast import Part
from deadheat.errors import Refused
from deadheat.safety import check_dsn, check_key, check_url, check_variable, is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "127.255.255.254",
        "127.8.9.10",
        "::1",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
    ],
)
def test_these_hosts_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "localhost.evil.example",
        "evil-localhost",
        "local host",
        "ⓛocalhost",
        "127.0.0.1.evil.example",
        "127.0.0.1 ",
        "128.0.0.1",
        "126.255.255.255",
        "0.0.0.0",
        "::",
        "::2",
        "::ffff:10.0.0.1",
        "::1%eth0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "10.0.0.1",
        "192.168.0.1",
    ],
)
def test_these_hosts_are_not(host: str) -> None:
    assert not is_loopback(host)


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_of_ipv4_exactly_127_8_is_loopback(address: object) -> None:
    assert is_loopback(str(address)) == str(address).startswith("127.")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://127.0.0.1:8000/path?q=http://evil.example",
        "https://[::1]:443/",
        "http://me:secret@localhost:1",
        "http://localhost#@evil.example/",
    ],
)
def test_urls_of_this_machine_pass(url: str) -> None:
    check_url(url, where="--target")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://localhost:80@evil.example/",
        "http://127.0.0.1@evil.example:80",
        "http://a@localhost@evil.example/",
        "http://evil.example@x@localhost/",
        "http://evil.example\\@localhost/",
        "http://localhost\\.evil.example/",
        "http://evil.example%2f@localhost%2e/",
        "http://localhost\t.evil.example/",
        "http://loc\nalhost/",
        "http://[::1",
        "http://[::1%25eth0]/",
        "http://localhost:port/",
        "http:///path",
        "localhost:8000",
        "//evil.example",
        "http://evil.example/localhost",
        "http://evil.example?@localhost/",
        "http://0.0.0.0:80/",
    ],
)
def test_urls_of_others_or_of_nobody_in_particular_are_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"^--target: "):
        check_url(url, where="--target")


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://localhost/db",
        "postgres://me:pw@127.0.0.1:5432/db?sslmode=disable",
        "postgresql+asyncpg://localhost/db",
        "postgresql://[::1]:5432/db",
        "postgresql://localhost:1,127.0.0.1:2,[::1]:3/db",
        "postgresql:///db",
        "postgresql://",
        "postgresql://localhost?connect_timeout=3",
        "postgresql://me:p%40w@localhost/db?application_name=a@b",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/db",
        "postgresql://me@%2Ftmp:5433/db",
        "postgresql:///db?host=@abstract",
        "postgresql:///db?host=localhost",
        "postgresql://localhost/evil.example",
        "host=localhost port=5432 dbname=db",
        "host=/tmp dbname='host=evil.example'",
        "dbname=db",
    ],
)
def test_databases_of_this_machine_pass(dsn: str) -> None:
    check_dsn(dsn, where="--postgres")


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://db.evil.example/db",
        "postgresql://localhost:5432,db.evil.example:5432/db",
        "postgresql://db.evil.example,localhost/db",
        "postgresql://localhost@evil.example/db",
        "postgresql://me:p@localhost@evil.example/db",
        "postgresql://evil.example#@localhost/db",
        "postgresql://localhost:p?w@evil.example/db",
        "postgresql://localhost?@evil.example/db",
        "postgresql://localhost\\@evil.example/db",
        "postgresql://localhost.evil.example/db",
        "postgresql://[2001:db8::1]:5432/db",
        "postgresql://2001:db8::1/db",
        "postgresql:///db?host=evil.example",
        "postgresql://localhost/db?host=evil.example",
        "postgresql://localhost/db?host=localhost,evil.example",
        "postgresql://localhost/db?host=localhost&host=evil.example",
        "postgresql://localhost/db?%68ost=evil.example",
        "postgresql://localhost/db?host=evil.example:5432",
        "postgresql://localhost/db?hostaddr=10.0.0.1",
        "postgresql:///db?service=production",
        "postgresql://%65vil.example/db",
        "host=evil.example dbname=db",
        "host = 'evil.example' dbname=db",
        "host=localhost,evil.example",
        "host=localhost host=evil.example",
        "host=localhost hostaddr=10.0.0.1",
        r"host=\evil.example",
        "service=production",
        "mysql://localhost/db",
    ],
)
def test_databases_of_others_are_refused(dsn: str) -> None:
    with pytest.raises(Refused, match=r"^--postgres: "):
        check_dsn(dsn, where="--postgres")


def test_allow_hosts_names_exactly_one_host() -> None:
    allow = ("db.staging.example",)
    check_dsn("postgresql://DB.staging.example./db", where="x", allow=allow)
    check_url("https://db.staging.example:8443/", where="x", allow=allow)
    for other in ("xdb.staging.example", "staging.example", "db.staging.example.evil.example"):
        with pytest.raises(Refused, match=rf'allow-hosts = \["{other}"\]'):
            check_url(f"http://{other}/", where="x", allow=allow)


def test_a_refusal_never_shows_a_password_or_a_key() -> None:
    with pytest.raises(Refused) as refused:
        check_dsn("postgresql://me:hunter2@evil.example/db", where="--postgres")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(Refused) as refused:
        check_key("export KEY=sk_live_" + "51Habc", where="STRIPE_SECRET_KEY")
    assert "51Habc" not in str(refused.value)
    assert "STRIPE_SECRET_KEY" in str(refused.value)


@pytest.mark.parametrize("text", ["sk_live_x", "rk_live_x", "a sk_live_x", "Bearer:sk_live_", "my_sk_live_1"])
def test_live_keys_are_met_anywhere(text: str) -> None:
    with pytest.raises(Refused):
        check_key(text, where="x")


def test_a_session_of_a_live_account_is_refused_wherever_an_answer_gives_it() -> None:
    user = World("aa").user()
    part = Part.of(user, "price_1")
    for session in ("cs_live_a1B2", "https://checkout.stripe.com/c/pay/cs_live_a1B2#x"):
        with pytest.raises(Refused, match="live key"):
            part.given_session("A", session)
    part.given_session("A", "cs_test_a1B2")
    assert part.session_for("A") == "cs_test_a1B2"


@pytest.mark.parametrize("text", ["sk_test_x", "rk_test_x", "pk_live_x", "desk_live_chat", "task_live_1", ""])
def test_what_is_no_live_secret_passes(text: str) -> None:
    check_key(text, where="x")


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("postgresql://evil.example/db", False),
        ("postgresql+psycopg://evil.example/db", False),
        ("https://api.stripe.com", False),
        ("https://API.stripe.com./v1", False),
        ("https://app.example/welcome", True),
        ("{postgres.url}", True),
        ("http://127.0.0.1:1", True),
        ("a plain word", True),
    ],
)
def test_what_is_handed_to_a_target_leads_to_no_foreign_database_or_stripe(value: str, allowed: bool) -> None:
    if allowed:
        check_variable(value, where="env")
    else:
        with pytest.raises(Refused):
            check_variable(value, where="env")


# Pieces that addresses are made of, and those that make parsers disagree about them.
WORDS = ("localhost", "127.0.0.1", "[::1]", "::1", "evil.example", "10.0.0.1", "u", "db", "5432")
SPECIAL = ("host", "hostaddr", "service", "%2f", "%40", *":@/?#\\,&=.[] \t;")
PIECES = st.lists(st.sampled_from([*WORDS, *SPECIAL]), max_size=9).map("".join)


@settings(deadline=None)
@given(st.sampled_from(["http://", "https://", "//", ""]), PIECES)
def test_an_http_client_goes_nowhere_else_with_a_url_that_passed(scheme: str, rest: str) -> None:
    url = scheme + rest
    try:
        check_url(url, where="x")
    except Refused:
        return
    with suppress(httpx.InvalidURL):
        assert is_loopback(httpx.URL(url).host)


@settings(deadline=None)
@given(st.sampled_from(["postgresql://", "postgres://"]), PIECES)
def test_a_postgres_client_goes_nowhere_else_with_a_dsn_that_passed(scheme: str, rest: str) -> None:
    dsn = scheme + rest
    try:
        check_dsn(dsn, where="x")
    except Refused:
        return
    for host in hosts_of_asyncpg(dsn):
        assert not host or host.startswith(("/", "@")) or is_loopback(host), host


def hosts_of_asyncpg(dsn: str) -> list[str]:
    """Give the hosts that asyncpg would try; none for what it cannot read."""
    nothing = dict.fromkeys(signature(connect_utils._parse_connect_dsn_and_args).parameters)
    try:
        addresses, _ = connect_utils._parse_connect_dsn_and_args(**nothing | {"dsn": dsn, "user": "u"})
    except (ValueError, IndexError, ClientConfigurationError):
        return []
    return [address if isinstance(address, str) else address[0] for address in addresses]


def test_the_oracle_sees_the_hosts_of_a_dsn() -> None:
    assert "evil.example" in hosts_of_asyncpg("postgresql://evil.example/db")
    assert "evil.example" in hosts_of_asyncpg("postgresql:///db?host=evil.example")
