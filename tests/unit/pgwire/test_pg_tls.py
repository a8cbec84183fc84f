"""Encryption before a session: what is offered, what may not stand beside it, and channel binding."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pg_messages as pg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.pgwire import Forward, ProtocolError, Refuse, Secure, Session

SSL = pack(">II", 8, 80877103)
GSS = pack(">II", 8, 80877104)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
PLUS, PLAIN = b"SCRAM-SHA-256-PLUS\0", b"SCRAM-SHA-256\0"
CUTS = st.lists(st.integers(1, 40), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    return [data[a:b] for a, b in pairwise(at)]


def asked(session: Session, data: list[bytes]) -> list[object]:
    return [event for piece in data for event in session.client(piece)]


def offer(*mechanisms: bytes) -> bytes:
    return pg.message("R", pack(">i", 10) + b"".join(mechanisms) + b"\0")


def waiting_for_a_password() -> Session:
    session = Session()
    session.client(pg.startup(user="ada"))
    return session


@pytest.mark.slow
@given(CUTS, st.booleans())
def test_any_split_asks_for_the_same(cuts: list[int], asks_gss: bool) -> None:
    session = Session(offers_tls=True)
    expected = [Refuse(what="gss"), Secure()] if asks_gss else [Secure()]
    assert asked(session, pieces(GSS * asks_gss + SSL, cuts)) == expected
    packet = pg.startup(user="ada")
    assert asked(session, pieces(packet, cuts)) == [Forward(data=packet, kind="startup")]


@pytest.mark.slow
@given(st.binary(min_size=1, max_size=60), st.booleans(), st.integers(0, 15))
def test_nothing_may_come_with_the_request(more: bytes, asks_gss: bool, cut: int) -> None:
    """Wherever the packets before it were split: what came with its last byte was never encrypted."""
    before = GSS * asks_gss + SSL
    cut = min(cut, len(before) - 1)
    session = Session(offers_tls=True)
    assert Secure() not in session.client(before[:cut])
    with pytest.raises(ProtocolError, match="CVE-2021-23222"):
        session.client(before[cut:] + more)


@pytest.mark.slow
@given(CUTS)
def test_a_handshake_that_nobody_asked_for_is_handed_on(cuts: list[int]) -> None:
    first, *_ = pieces(HELLO, cuts)
    session = Session(offers_tls=True)
    assert session.client(first) == [Secure(data=first)]
    assert session.client(SSL) == [Refuse(what="ssl")], "TLS in TLS is not offered"


def test_a_handshake_comes_first_or_not_at_all() -> None:
    session = Session(offers_tls=True)
    assert session.client(GSS) == [Refuse(what="gss")]
    with pytest.raises(ProtocolError, match="first packet"):
        session.client(HELLO)


def test_tls_is_asked_for_once() -> None:
    session = Session(offers_tls=True)
    session.client(SSL)
    with pytest.raises(ProtocolError, match="ssl twice"):
        session.client(SSL)


@pytest.mark.slow
@given(CUTS)
def test_channel_binding_is_left_out_of_an_offer(cuts: list[int]) -> None:
    # As PostgreSQL 18 answers protocol 3.9: with what it speaks instead, before it asks.
    negotiation = pg.message("v", pack(">ii", 2, 0))
    session = waiting_for_a_password()
    replies = [
        reply for piece in pieces(negotiation + offer(PLUS, PLAIN), cuts) for reply in session.server(piece)
    ]
    assert b"".join(reply.data for reply in replies) == negotiation + offer(PLAIN)
    assert all(reply.asynchronous for reply in replies)


@pytest.mark.parametrize(
    "request_",
    [
        offer(PLAIN),
        offer(b"OAUTHBEARER\0"),
        pg.message("R", pack(">i", 3)),
        pg.message("R", pack(">i", 11) + PLUS),
    ],
)
def test_other_requests_stay_as_they_are(request_: bytes) -> None:
    assert [reply.data for reply in waiting_for_a_password().server(request_)] == [request_]


def test_an_offer_of_nothing_else_cannot_be_made() -> None:
    with pytest.raises(ProtocolError, match="channel binding cannot pass"):
        waiting_for_a_password().server(offer(PLUS))


@pytest.mark.slow
@given(st.lists(st.integers(1, 60), max_size=4))
def test_who_chooses_channel_binding_all_the_same_is_told_the_setting(cuts: list[int]) -> None:
    session = waiting_for_a_password()
    session.server(offer(PLAIN))
    chosen = pg.message("p", PLUS + pack(">i", 4) + b"p=tl")
    with pytest.raises(ProtocolError, match="channel_binding=prefer"):
        asked(session, pieces(chosen, cuts))


def test_a_password_may_be_called_so() -> None:
    session = waiting_for_a_password()
    packet = pg.message("p", PLUS)
    assert session.client(packet) == [Forward(data=packet, kind="auth")]
