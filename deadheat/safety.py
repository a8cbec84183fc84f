"""Safety: what Deadheat refuses before it sends anything anywhere.

It fires concurrent writes, so it goes only to this machine, unless ``[safety] allow-hosts`` names
the host, and never with a live Stripe key. Everything here judges text and nothing is resolved: a
name that some resolver maps to loopback is still not loopback, and a spelling that parsers read in
different ways is refused rather than interpreted.

Where a Postgres client looks for its server is libpq's rule (PostgreSQL documentation, "Connection
Strings"): the hosts of the authority and those of the parameters ``host`` and ``hostaddr``; one that
begins with ``/`` or ``@`` is a Unix socket. Each has to be allowed, since a client tries them in turn.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from deadheat.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

POSTGRES_SCHEMES = ("postgresql", "postgres")
STRIPE_HOSTS = ("api.stripe.com", "files.stripe.com", "connect.stripe.com", "uploads.stripe.com")

_LIVE_KEY = re.compile(r"(?<![A-Za-z0-9])(sk|rk)_live_")
_KEYWORD = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)")
_PLAIN_AUTHORITY = re.compile(r"[A-Za-z0-9.\-_~%!$&()*+,;=:\[\]@]*")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its spelling: ``localhost``, 127.0.0.0/8 or ::1.

    >>> is_loopback("127.8.0.1"), is_loopback("[::1]"), is_loopback("localhost.evil.example")
    (True, True, False)
    """
    name = _bare(host)
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        address = address.ipv4_mapped or address
    return address.is_loopback


def check_host(host: str, *, where: str, allow: Collection[str] = ()) -> None:
    """Refuse a host that is neither loopback nor named in ``allow``; ``where`` says who named it."""
    if is_loopback(host) or _bare(host) in {_bare(name) for name in allow}:
        return
    raise Refused(
        f"{where}: {host or 'no host'} is not this machine, and Deadheat fires concurrent writes. "
        f"If it may, say so in deadheat.toml: [safety] allow-hosts = [{_quoted(host)}]"
    )


def check_url(url: str, *, where: str, allow: Collection[str] = ()) -> None:
    """Refuse an http URL whose host is neither loopback nor allowed, or cannot be told for certain."""
    check_host(url_host(url, where=where), where=where, allow=allow)


def url_host(url: str, *, where: str) -> str:
    """Give the host of a URL; Refused when parsers might disagree on which one that is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise Refused(f"{where}: this is no URL, so its host cannot be told") from None
    authority = parts.netloc
    if authority.count("@") > 1 or "%" in host or not _PLAIN_AUTHORITY.fullmatch(authority):
        raise Refused(f"{where}: the host of this URL is ambiguous. Write it plainly: http://host:port")
    if any(c.isspace() or c == "\\" or not c.isprintable() for c in url):
        raise Refused(f"{where}: a URL with spaces, backslashes or control characters is ambiguous")
    return host


def check_dsn(dsn: str, *, where: str, allow: Collection[str] = ()) -> None:
    """Refuse a Postgres DSN, a URL or ``key=value`` pairs, unless every host in it may be used.

    One that names no host is that of this machine: what PGHOST says reaches neither us nor a target.
    """
    for host in dsn_hosts(dsn, where=where):
        if host and not host.startswith(("/", "@")):
            check_host(host, where=where, allow=allow)


def dsn_hosts(dsn: str, *, where: str) -> Iterator[str]:
    """Give each host that a DSN names, Unix sockets included; none when it leaves that to others."""
    parameters: list[tuple[str, str]]
    scheme, separator, rest = dsn.partition("://")
    if separator:
        if scheme.partition("+")[0] not in POSTGRES_SCHEMES:
            raise Refused(f"{where}: {scheme}:// is no Postgres URL")
        authority, query = _authority(rest, where=where)
        for host in _split(authority.rpartition("@")[2]):
            yield unquote(_without_port(host))
        parameters = parse_qsl(query, keep_blank_values=True)
    else:
        parameters = [(key, _unquoted(value)) for key, value in _KEYWORD.findall(dsn)]
    for key, value in parameters:
        if key in ("service", "servicefile"):
            raise Refused(f"{where}: it names a service, whose file may name any host")
        if key in ("host", "hostaddr"):
            yield from (_without_port(host) if separator else host for host in _split(value))


def check_key(text: str, *, where: str) -> None:
    """Refuse text that holds a live Stripe key, secret or restricted; the message never shows it."""
    found = _LIVE_KEY.search(text)
    if found:
        raise Refused(
            f"{where} holds a live Stripe key ({found[0]}…). Deadheat never runs with one: "
            "use a test key (sk_test_…), or take it away"
        )


def check_session(session: str) -> None:
    """Refuse a checkout session of a live account: the target that gave it runs with a live key.

    Live sessions are called ``cs_live_…`` (Stripe API reference, "Checkout Sessions"). Where Stripe is not
    ours this is the one sign of it that we meet.
    """
    if session.startswith("cs_live_"):
        raise Refused(
            "the target answered with a checkout session of a live Stripe account (cs_live_…), so it "
            "runs with a live key. Deadheat never races one: start it with a test key (sk_test_…)"
        )


def check_variable(value: str, *, where: str, allow: Collection[str] = ()) -> None:
    """Refuse a value handed to the target that leads it to a foreign database or to Stripe itself.

    Other addresses are the application's own business: its public URL, its error tracker.
    """
    scheme = value.partition("://")[0].partition("+")[0]
    if scheme in POSTGRES_SCHEMES:
        check_dsn(value, where=where, allow=allow)
    elif scheme in ("http", "https"):
        host = _bare(url_host(value, where=where))
        if host in STRIPE_HOSTS:
            check_host(host, where=where, allow=allow)


def _bare(host: str) -> str:
    """Give a host in the one spelling that is compared: lower case, no brackets, no final dot."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host.lower().removesuffix(".")


def _quoted(host: str) -> str:
    return f'"{host}"' if host else ""


def _split(hosts: str) -> list[str]:
    return hosts.split(",") if hosts else []


def _authority(rest: str, *, where: str) -> tuple[str, str]:
    """Give authority and query of what follows ``://``.

    libpq takes all up to an ``@`` before the first slash for the user and password, a question mark
    included; others end the authority at the question mark. Where that differs, nobody is right.
    """
    authority = rest.partition("/")[0]
    if "@" in authority.partition("?")[2] or authority.count("@") > 1 or re.search(r"[\s\\#]", authority):
        raise Refused(f"{where}: the host is ambiguous. Percent-encode what is special in a password")
    before, _, query = rest.partition("?")
    return before.partition("/")[0], query


def _without_port(host: str) -> str:
    """Take the port off ``host:port``; an IPv6 address keeps its colons only inside brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0] if host.count(":") == 1 else host


def _unquoted(value: str) -> str:
    if value.startswith("'"):
        value = value[1:-1]
    return re.sub(r"\\(.)", r"\1", value)
