"""Where a Postgres server is and who we are there; connections that no outside variable bends.

libpq and asyncpg fill what a DSN leaves out from PGHOST, PGPASSWORD, PGSSLMODE and a dozen others
(PostgreSQL documentation, "Environment Variables"), and from files in the home folder. A run must
not depend on whoever has set those, so everything is passed outright: what the DSN does not say has
libpq's fixed default, and without a password in it there is none. The exception is a DSN that asks
for TLS: certificates that it does not name come from where libpq looks for them (`tls`).
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import asyncpg

from deadheat.engine.postgres.tls import Demand, context_of
from deadheat.errors import PostgresUnavailable, closest
from deadheat.safety import POSTGRES_SCHEMES, check_dsn, is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SOURCE = "--postgres (DEADHEAT_POSTGRES)"
CONNECT_SECONDS = 10.0
PLAIN_MODES, TLS_MODES = ("disable", "allow", "prefer"), ("require", "verify-ca", "verify-full")
_OF_THE_WAY = ("ssl", "gss", "host", "port", "channel_binding")  # to a server, not of a session on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn:
    """One server, one role, one database. ``host`` is a name, an address or a Unix socket's folder."""

    user: str
    password: str | None = field(default=None, repr=False)
    host: str
    port: int = 5432
    database: str = "postgres"
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, *, allow_hosts: Collection[str] = ()) -> Dsn:
        """Read a ``postgresql://`` URL of one host; as in libpq its parameters overrule what precedes them.

        PostgresUnavailable when it cannot be read; Refused when its host is neither this machine
        nor in ``allow_hosts``. No message shows the password.
        """
        check_dsn(text, where=SOURCE, allow=allow_hosts)
        try:
            parts = urlsplit(text)
            given = dict(parse_qsl(parts.query, keep_blank_values=True))
            port = int(given.pop("port", "") or parts.port or 5432)
        except ValueError:
            raise _unreadable("its host or port cannot be read") from None
        if parts.scheme not in POSTGRES_SCHEMES:
            raise _unreadable(f"its scheme is {parts.scheme!r}")
        address, name = given.pop("hostaddr", ""), given.pop("host", "")
        host = address or name or unquote(parts.hostname or "") or "localhost"
        if "," in host or "," in parts.netloc.rpartition("@")[2]:
            raise _unreadable("it names several hosts")
        user = given.pop("user", "") or unquote(parts.username or "") or getpass.getuser()
        password = given.pop("password", None)
        if password is None and parts.password is not None:
            password = unquote(parts.password)
        database = given.pop("dbname", "") or unquote(parts.path.removeprefix("/")) or user
        _check_tls(given)
        if host.startswith("/"):
            given["host"], given["port"] = host, str(port)
        query = urlencode(given, quote_via=quote)
        return cls(user=user, password=password, host=host, port=port, database=database, query=query)

    @property
    def where(self) -> str:
        """Where the server is, for people: ``127.0.0.1:5432``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, database: str) -> str:
        """Give the URL of another database on the same server, password included."""
        login = quote(self.user, safe="")
        if self.password is not None:
            login += f":{quote(self.password, safe='')}"
        authority = f"{login}@" if self.host.startswith("/") else f"{login}@{self.where}"
        query = f"?{self.query}" if self.query else ""
        return f"postgresql://{authority}/{quote(database, safe='')}{query}"

    def address(self) -> tuple[str, int] | str:
        """Give host and port, or the path of a Unix socket."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else (self.host, self.port)

    def demand(self) -> Demand | None:
        """Say how the server is reached by TLS; None where plain will do.

        As with libpq a socket's folder never needs it; another machine without a word on it gets what it has.
        PostgresUnavailable when a certificate that it takes cannot be read.
        """
        parameters = dict(parse_qsl(self.query))
        plain = self.host.startswith("/") or (is_loopback(self.host) and "sslmode" not in parameters)
        if plain or parameters.get("sslmode") in PLAIN_MODES:
            return None
        return Demand(
            context=context_of(parameters),
            hostname=self.host,
            required="sslmode" in parameters,
            direct=parameters.get("sslnegotiation") == "direct",
        )

    def through(self, port: int) -> Dsn:
        """Give the same role and database behind a proxy on a loopback port, without TLS."""
        kept = [(k, v) for k, v in parse_qsl(self.query) if not k.startswith(_OF_THE_WAY)]
        return replace(self, host="127.0.0.1", port=port, query=urlencode(kept, quote_via=quote))

    async def connect(self, database: str | None = None) -> Any:
        """Open an asyncpg connection; PostgresUnavailable says why there is none."""
        database = database or self.database
        try:
            return await asyncpg.connect(**self._arguments(database), timeout=CONNECT_SECONDS)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            why = f"the server at {self.where} does not let {self.user!r} in ({error})"
            if self.password is None:
                why += "; the DSN has no password, and PGPASSWORD and .pgpass are not read"
            demand = self.demand()
            if "pg_hba.conf" in str(error) and not (demand and demand.required):
                why += "; where it is reached by TLS only, the DSN needs sslmode=require"
            raise PostgresUnavailable(f"{why}. Correct {SOURCE}.") from None
        except asyncpg.InvalidCatalogNameError:
            raise PostgresUnavailable(
                f"there is no database {database!r} at {self.where}. Create it, or correct {SOURCE}."
            ) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise PostgresUnavailable(f"Postgres at {self.where} does not take us: {error}") from None
        except (OSError, TimeoutError) as error:
            why = str(error) or f"no answer within {CONNECT_SECONDS:.0f} s"
            raise PostgresUnavailable(
                f"no Postgres answers at {self.where} ({why}). Start it, correct {SOURCE}, "
                "or use --postgres embedded."
            ) from None

    def _arguments(self, database: str) -> dict[str, Any]:
        parameters = dict(parse_qsl(self.query))
        given: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password or "",
            "database": database,
            "target_session_attrs": "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
            "server_settings": {"application_name": "deadheat"},
        }
        if "options" in parameters:
            given["server_settings"]["options"] = parameters["options"]
        demand = self.demand()
        if demand is None:
            return {**given, "ssl": parameters.get("sslmode", "disable"), "direct_tls": False}
        return {**given, "ssl": demand.context if demand.required else "prefer", "direct_tls": demand.direct}


def _check_tls(parameters: Mapping[str, str]) -> None:
    """Refuse what cannot be done, or is no word of libpq's."""
    mode, known = parameters.get("sslmode", "disable"), (*PLAIN_MODES, *TLS_MODES)
    if mode not in known:
        raise _unreadable(f"its sslmode is {mode!r}, and not {', '.join(known)}.{closest(mode, known)}")
    if parameters.get("channel_binding") == "require":
        raise _unreadable(
            "its channel_binding=require ties a password to the server's certificate, which cannot pass a "
            "proxy; channel_binding=prefer makes control possible"
        )
    if parameters.get("gssencmode") == "require":
        raise _unreadable(
            "its gssencmode=require asks for encryption by GSSAPI, which Deadheat does not speak; "
            "sslmode=require asks for TLS"
        )


def _unreadable(why: str) -> PostgresUnavailable:
    return PostgresUnavailable(
        f"{SOURCE} is a DSN that Deadheat cannot use: {why}. Write postgresql://user:password@host:port/database."
    )
