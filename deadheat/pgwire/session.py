"""One client connection, both directions: the bytes of each side in, what they mean out.

A session does no I/O and never waits. It owns no bytes that it has handed out; what it keeps is bounded
by `limits`. Its rule: bytes in are bytes out, in order, in each direction; the one exception is that a
server's offer of SCRAM-SHA-256-PLUS, which cannot pass, is left out. Tell it of the client's bytes when
they arrive, held or not, and of the server's likewise: the server answers in the order asked, so the queue
of what was asked is all that is needed to tell the answers apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.errors import ProtocolError
from deadheat.pgwire.answers import Answers
from deadheat.pgwire.backend import Backend
from deadheat.pgwire.frontend import Frontend

if TYPE_CHECKING:
    from deadheat.pgwire.events import Reply, Transaction
    from deadheat.pgwire.frontend import Event


class Session:
    """A client's connection to Postgres, as seen between the two.

    With ``offers_tls`` a client that asks for TLS gets it. After a `Secure` the session is given what the
    client sends inside of it, and offers it no more.

    >>> session = Session()
    >>> session.client(bytes.fromhex("0000000804d2162f"))
    [Refuse(what='ssl')]
    """

    def __init__(self, *, offers_tls: bool = False) -> None:
        self._answers = Answers()
        self._frontend = Frontend(self._answers)
        self._frontend.offers_tls = offers_tls
        self._backend = Backend(self._answers)
        self._broken: ProtocolError | None = None

    def client(self, data: bytes) -> list[Event]:
        """Read bytes of the client, in any portions.

        A ProtocolError says what the client did wrong; the session is of no use after it.
        """
        self._frontend.ready = self._backend.ready
        self._frontend.transaction = self._backend.transaction
        self._check()
        try:
            return self._frontend.feed(data)
        except ProtocolError as error:
            self._broken = error
            raise

    def server(self, data: bytes) -> list[Reply]:
        """Read bytes of the server, in any portions.

        A flight that is answered by nothing (a lone Flush, a CopyDone after the COPY has failed) gets its
        result from the next call, which may be with no bytes. A ProtocolError as in `client`.
        """
        self._check()
        try:
            return self._backend.feed(data)
        except ProtocolError as error:
            self._broken = error
            raise

    @property
    def ready(self) -> bool:
        """Whether the server has been ready for a query once: the start-up is over."""
        return self._backend.ready

    @property
    def transaction(self) -> Transaction:
        """The transaction's status as of the last ReadyForQuery."""
        return self._backend.transaction

    @property
    def backend_pid(self) -> int | None:
        """The process id of the server's backend, once told."""
        return self._backend.backend_pid

    @property
    def user(self) -> str | None:
        """The user of the start-up packet."""
        return self._frontend.parameters.get("user")

    @property
    def database(self) -> str | None:
        """The database of the start-up packet; Postgres takes the user's name if there is none."""
        return self._frontend.parameters.get("database")

    @property
    def application_name(self) -> str | None:
        """The application_name of the start-up packet."""
        return self._frontend.parameters.get("application_name")

    @property
    def holds_advisory_lock(self) -> bool:
        """Whether the client has asked for an advisory lock of the session since the last reset."""
        return self._frontend.holds_advisory_lock

    @property
    def under_way(self) -> int:
        """How many flights have no result yet."""
        return len(self._answers.under_way)

    def _check(self) -> None:
        if self._broken is not None:
            raise ProtocolError(f"The session is of no use any more: {self._broken}")
