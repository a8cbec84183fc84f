"""Whole conversations: splits make no difference, no byte is lost, nothing hostile gets through.

The conversations are drawn from parts whose answers are known, so that a session must tell all of them
apart; pygwire, written by others, must see the same messages in what is handed on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import pg_messages as pg
from hypothesis import given, settings
from hypothesis import strategies as st
from pygwire import BackendMessageDecoder, ConnectionPhase, FramingError, FrontendMessageDecoder

from deadheat.pgwire import Flight, Forward, ProtocolError, Reply, Result, Session, Transaction

if TYPE_CHECKING:
    from deadheat.pgwire.frontend import Event

IDLE = Transaction.IDLE
LINE = pg.message("d", b"1\t2\n")


@dataclass(frozen=True)
class Part:
    """Some bytes of a client, what a server answers, and the results of the flights in it."""

    asks: bytes
    answer: bytes
    results: tuple[Result, ...]


EXTENDED = pg.parse("delete from t") + pg.bind(b"1", None) + pg.execute()
DONE = pg.PARSED + pg.BOUND + pg.complete("DELETE 1")
PARTS = [
    Part(
        pg.query("insert into t values (1)"),
        pg.NOTICE + pg.complete("INSERT 0 1") + pg.ready(),
        (Result(tags=("INSERT 0 1",), transaction=IDLE),),
    ),
    Part(pg.query(""), pg.EMPTY + pg.ready(), (Result(tags=("",), transaction=IDLE),)),
    Part(
        pg.query("select a from t"),
        pg.columns(("a", 25, 0)) + pg.row(b"x") * 5 + pg.complete("SELECT 5") + pg.STATUS + pg.ready(),
        (Result(tags=("SELECT 5",), rows=5, sample=(("x",),) * 3, columns=("a",), transaction=IDLE),),
    ),
    Part(EXTENDED + pg.SYNC, DONE + pg.ready(), (Result(tags=("DELETE 1",), transaction=IDLE),)),
    Part(
        EXTENDED + pg.FLUSH + pg.SYNC,
        DONE + pg.ready(),
        (Result(tags=("DELETE 1",)), Result(transaction=IDLE)),
    ),
    Part(
        pg.parse("select a from t", "s") + pg.describe_statement("s") + pg.FLUSH + pg.SYNC,
        pg.PARSED + pg.TYPES + pg.columns(("a", 25, 0)) + pg.ready(),
        (Result(columns=("a",)), Result(transaction=IDLE)),
    ),
    Part(
        EXTENDED + pg.FLUSH + EXTENDED + pg.FLUSH + EXTENDED + pg.SYNC,
        pg.PARSED + pg.error("23505", "twice") + pg.ready("E"),
        (
            Result(sqlstate="23505", message="twice"),
            Result(),
            Result(transaction=Transaction.FAILED),
        ),
    ),
    Part(
        pg.query("select 1/0"),
        pg.error("22012", "division") + pg.ready(),
        (Result(sqlstate="22012", message="division", transaction=IDLE),),
    ),
    Part(
        pg.query("copy t from stdin") + LINE * 3 + pg.COPY_DONE,
        pg.COPY_IN + pg.complete("COPY 3") + pg.ready(),
        (Result(copying=True), Result(tags=("COPY 3",), transaction=IDLE)),
    ),
    Part(
        EXTENDED + pg.SYNC + LINE + pg.COPY_FAIL + pg.SYNC,
        pg.PARSED + pg.BOUND + pg.COPY_IN + pg.error("57014", "gave up") + pg.ready(),
        (Result(copying=True), Result(sqlstate="57014", message="gave up"), Result(transaction=IDLE)),
    ),
    Part(
        pg.query("copy t to stdout"),
        pg.COPY_OUT + LINE * 2 + pg.message("c") + pg.complete("COPY 2") + pg.ready(),
        (Result(tags=("COPY 2",), transaction=IDLE),),
    ),
    Part(
        pg.message("C", b"Ss\0") + pg.message("F", bytes(10)),
        pg.CLOSED + pg.message("V", bytes(8)) + pg.ready(),
        (Result(transaction=IDLE),),
    ),
]
CONVERSATIONS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut data at places that are taken from any numbers."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def asked(session: Session, parts: list[bytes]) -> list[Event]:
    """Send pieces; gives the events, with neighbours that are one thing in pieces joined."""
    events = [event for part in parts for event in session.client(part)]
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if (
            isinstance(event, Forward)
            and isinstance(last, Forward)
            and event.kind == last.kind == "copy-data"
        ):
            joined[-1] = replace(last, data=last.data + event.data)
        else:
            joined.append(event)
    return joined


def answered(session: Session, parts: list[bytes]) -> list[Reply]:
    """Answer in pieces; gives the replies, those without a result joined with what follows."""
    replies = [reply for part in parts for reply in session.server(part)]
    joined: list[Reply] = []
    for asynchronous, group in groupby(replies, key=lambda reply: reply.asynchronous):
        data = b""
        for reply in group:
            data += reply.data
            if reply.result is not None:
                joined.append(replace(reply, data=data))
                data = b""
        if data:
            joined.append(Reply(data=data, asynchronous=asynchronous))
    return joined


CUTS = st.lists(st.integers(0, 5000), max_size=12)


@given(CONVERSATIONS, CUTS, CUTS)
def test_any_split_gives_the_same_flights_and_results(
    parts: list[Part], cuts: list[int], server_cuts: list[int]
) -> None:
    asks, answer = b"".join(p.asks for p in parts), b"".join(p.answer for p in parts)
    whole, cut = pg.started(), pg.started()
    events = asked(cut, pieces(asks, cuts))
    assert events == asked(whole, [asks])
    assert b"".join(e.data for e in events if isinstance(e, Flight | Forward)) == asks
    replies = answered(cut, pieces(answer, server_cuts))
    assert replies == answered(whole, [answer])
    assert b"".join(reply.data for reply in replies) == answer
    assert pg.results(replies) == [result for part in parts for result in part.results]
    assert cut.under_way == 0


@given(CONVERSATIONS, CUTS, st.booleans())
def test_answers_are_told_apart_however_far_the_client_is_ahead(
    parts: list[Part], cuts: list[int], notified: bool
) -> None:
    # The client asks part by part, the server answers meanwhile, up to what it was asked.
    session = pg.started()
    found = []
    for part in parts:
        assert not [
            event for event in session.client(part.asks) if isinstance(event, Flight) and not event.data
        ]
        answer = pg.NOTIFICATION + part.answer if notified else part.answer
        replies = answered(session, pieces(answer, cuts))
        assert b"".join(reply.data for reply in replies) == answer
        assert replies[0].asynchronous is notified
        found += pg.results(replies)
    assert found == [result for part in parts for result in part.results]


@given(CUTS)
def test_any_split_gives_the_same_start_up(cuts: list[int]) -> None:
    session = Session()
    packet = (
        bytes.fromhex("0000000804d2162f") + pg.startup(user="ada", database="app") + pg.message("p", b"x\0")
    )
    events = asked(session, pieces(packet, cuts))
    assert [type(event).__name__ for event in events] == ["Refuse", "Forward", "Forward"]
    replies = [reply for piece in pieces(pg.GREETING, cuts) for reply in session.server(piece)]
    assert b"".join(reply.data for reply in replies) == pg.GREETING
    assert all(reply.asynchronous for reply in replies)
    assert (session.ready, session.backend_pid, session.user) == (True, 4711, "ada")


@given(CONVERSATIONS)
def test_pygwire_sees_the_same_messages(parts: list[Part]) -> None:
    # Each flight is whole messages to it, and the last is one that ends a flight.
    session = pg.started()
    for event in session.client(b"".join(p.asks for p in parts)):
        assert isinstance(event, Flight | Forward)
        client = FrontendMessageDecoder()
        client.feed(event.data)
        seen = decoded(client)
        assert client.buffered == 0
        if isinstance(event, Flight):
            ends = [name for name in seen if name in ENDS]
            assert [ENDS[name] for name in ends] == [event.end]
            assert seen[-1] == ends[0]
            assert len(event.statements) == (
                seen.count("Execute") or seen.count("Query") * len(event.statements)
            )
    for reply in session.server(b"".join(p.answer for p in parts)):
        server = BackendMessageDecoder()
        server.feed(reply.data)
        names = decoded(server)
        assert server.buffered == 0
        if reply.result is not None:
            assert reply.result.rows == names.count("DataRow")
            assert len(reply.result.tags) == names.count("CommandComplete") + names.count(
                "EmptyQueryResponse"
            )
            assert (reply.result.sqlstate is not None) == ("ErrorResponse" in names)
            assert (reply.result.transaction is not None) == ("ReadyForQuery" in names)


ENDS = {
    "Sync": "sync",
    "Query": "query",
    "Flush": "flush",
    "CopyDone": "copy-done",
    "CopyFail": "copy-fail",
    "FunctionCall": "function-call",
}


PHASES = (
    ConnectionPhase.EXTENDED_QUERY,
    ConnectionPhase.READY,
    ConnectionPhase.SIMPLE_QUERY,
    ConnectionPhase.COPY_IN,
    ConnectionPhase.COPY_OUT,
    ConnectionPhase.FUNCTION_CALL,
)


def decoded(decoder: FrontendMessageDecoder | BackendMessageDecoder) -> list[str]:
    """Give the names of pygwire's messages, each read in the first phase in which it knows it."""
    names: list[str] = []
    while decoder.buffered:
        for phase in PHASES:
            decoder.phase = phase
            with suppress(FramingError):
                names.append(type(next(decoder)).__name__)
                break
        else:
            raise AssertionError("pygwire knows this message in no phase")
    return names


MESSAGES = st.builds(
    lambda kind, body: pg.message(chr(kind), body),
    st.sampled_from(b"QPBEDCHSFdcfXp123CDEGHIKNRSTVWZAnstv"),
    st.binary(max_size=40),
)
HOSTILE = st.lists(st.binary(max_size=30) | MESSAGES | st.sampled_from([p.asks for p in PARTS]), max_size=12)
STARTS = st.sampled_from([b"", pg.startup(user="ada")])


@settings(max_examples=400)
@given(STARTS, HOSTILE)
def test_hostile_clients_are_refused_or_their_bytes_go_on(start: bytes, asks: list[bytes]) -> None:
    session = Session()
    sent, got = b"", b""
    with suppress(ProtocolError):  # and no other exception
        for piece in (start, *asks):
            sent += piece
            events = session.client(piece)
            got += b"".join(event.data for event in events if isinstance(event, Flight | Forward))
            assert got in sent  # a request for encryption may stand before it


@settings(max_examples=400)
@given(HOSTILE, st.booleans(), CONVERSATIONS)
def test_hostile_servers_are_refused_or_their_bytes_go_on(
    answers: list[bytes], ready: bool, parts: list[Part]
) -> None:
    session = pg.started() if ready else Session()
    if ready:
        session.client(b"".join(p.asks for p in parts))
    received, handed = b"", b""
    with suppress(ProtocolError):  # and no other exception
        for piece in answers:
            received += piece
            handed += b"".join(reply.data for reply in session.server(piece))
            assert received.startswith(handed)


@settings(max_examples=400)
@given(CONVERSATIONS, st.lists(MESSAGES | st.sampled_from([p.answer for p in PARTS]), max_size=12))
def test_a_server_out_of_step_costs_no_byte(parts: list[Part], answers: list[bytes]) -> None:
    session = pg.started()
    session.client(b"".join(p.asks for p in parts))
    received, handed = b"", b""
    for piece in answers:
        received += piece
        try:
            handed += b"".join(reply.data for reply in session.server(piece))
        except ProtocolError:
            return
        assert handed == received
