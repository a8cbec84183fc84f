"""The server's side: which bytes end the answer to which flight, and what the answer says."""

from __future__ import annotations

from struct import pack
from uuid import UUID

import pg_messages as pg
import pytest

from deadheat.pgwire import ProtocolError, Reply, Result, Session, Transaction
from deadheat.pgwire.limits import STREAM_OVER

EXECUTED = pg.parse("delete from t") + pg.bind() + pg.execute() + pg.SYNC
ANSWERED = pg.PARSED + pg.BOUND + pg.complete("DELETE 1") + pg.ready()
PREPARED = pg.parse("select a from t", "s") + pg.describe_statement("s") + pg.FLUSH


def test_the_start_up_is_handed_on() -> None:
    session = Session()
    session.client(pg.startup(user="ada"))
    assert session.server(pg.GREETING) == [Reply(data=pg.GREETING, asynchronous=True)]
    assert (session.ready, session.backend_pid, session.transaction) == (True, 4711, Transaction.IDLE)


def test_a_long_cancel_key_has_the_process_id_first() -> None:
    session = Session()
    session.server(pg.message("K", pack(">i", 12) + b"k" * 252))
    assert session.backend_pid == 12


@pytest.mark.parametrize("refusal", [pg.error("28P01", severity="FATAL"), b"EFATAL:  could not fork\n\0"])
def test_an_error_in_the_start_up_is_handed_on(refusal: bytes) -> None:
    session = Session()
    session.client(pg.startup(user="ada"))
    assert session.server(refusal) == [Reply(data=refusal, asynchronous=True)]
    assert not session.ready


def test_a_simple_query_of_several_statements() -> None:
    session = pg.started()
    session.client(pg.query("begin; insert into t values (1); select 1; ;"))
    answer = pg.complete("BEGIN") + pg.complete("INSERT 0 1") + pg.columns(("?", 23, 0)) + pg.row(b"1")
    found = pg.result(session, answer + pg.complete("SELECT 1") + pg.ready("T"))
    assert found == Result(
        tags=("BEGIN", "INSERT 0 1", "SELECT 1"),
        rows=1,
        sample=(("1",),),
        columns=("?",),
        transaction=Transaction.OPEN,
    )
    assert session.transaction is Transaction.OPEN


def test_an_empty_query() -> None:
    session = pg.started()
    session.client(pg.query(""))
    assert pg.result(session, pg.EMPTY + pg.ready()) == Result(tags=("",), transaction=Transaction.IDLE)


def test_an_error_in_a_simple_query() -> None:
    session = pg.started()
    session.client(pg.query("insert into t values (1); select 1"))
    found = pg.result(session, pg.error("23505", "duplicate key") + pg.ready("E"))
    assert (found.sqlstate, found.message, found.transaction) == (
        "23505",
        "duplicate key",
        Transaction.FAILED,
    )


def test_a_prepare_that_ends_with_flush() -> None:
    session = pg.started()
    session.client(PREPARED)
    found = pg.result(session, pg.PARSED + pg.TYPES + pg.columns(("a", 25, 0)))
    assert (found.columns, found.transaction, session.under_way) == (("a",), None, 0)


def test_columns_are_remembered_from_the_prepare() -> None:
    session = pg.started()
    session.client(PREPARED)
    session.server(pg.PARSED + pg.TYPES + pg.columns(("id", 2950, 0), ("n", 20, 0)))
    session.client(pg.bind(name="s", results=(1,)) + pg.execute() + pg.SYNC)
    row = pg.row(UUID(int=7).bytes, (-3).to_bytes(8, "big", signed=True))
    found = pg.result(session, pg.BOUND + row + pg.complete("SELECT 1") + pg.ready())
    assert found.columns == ("id", "n")
    assert found.sample == ((str(UUID(int=7)), "-3"),)


def test_columns_of_a_portal() -> None:
    session = pg.started()
    session.client(pg.parse("select") + pg.bind() + pg.describe_portal() + pg.execute() + pg.SYNC)
    answer = pg.PARSED + pg.BOUND + pg.columns(("a", 16, 1)) + pg.row(b"\1") + pg.complete("SELECT 1")
    assert pg.result(session, answer + pg.ready()).sample == (("t",),)


def test_no_data_and_a_portal_that_is_suspended() -> None:
    session = pg.started()
    session.client(pg.parse("x") + pg.bind() + pg.describe_portal() + pg.execute() + pg.SYNC)
    found = pg.result(
        session, pg.PARSED + pg.BOUND + pg.NO_DATA + pg.row(b"1") + pg.SUSPENDED + pg.ready("T")
    )
    assert (found.tags, found.rows) == ((), 1)


def test_a_suspended_portal_has_the_columns_of_its_statement() -> None:
    session = pg.started()
    session.client(PREPARED)
    session.server(pg.PARSED + pg.TYPES + pg.columns(("a", 25, 0)))
    session.client(pg.bind(name="s") + pg.execute() + pg.SYNC)
    assert pg.result(session, pg.BOUND + pg.row(b"1") + pg.SUSPENDED + pg.ready()).columns == ("a",)


def test_a_close_is_answered() -> None:
    session = pg.started()
    session.client(pg.message("C", b"Ss\0") + pg.FLUSH)
    assert pg.result(session, pg.CLOSED) == Result()


def test_a_function_call() -> None:
    session = pg.started()
    session.client(pg.message("F", bytes(10)))
    assert pg.result(session, pg.message("V", pack(">i", -1)) + pg.ready()).transaction is Transaction.IDLE


@pytest.mark.parametrize(
    ("oid", "code", "raw", "shown"),
    [
        (25, 0, b"plain", "plain"),
        (25, 0, None, "NULL"),
        (25, 0, b"x" * 100, "x" * 59 + "…"),
        (25, 0, "é".encode() * 61, "é" * 59 + "…"),
        (25, 0, b"y" * 60, "y" * 60),
        (17, 0, b"\\x00ff", "\\x00ff"),
        (25, 1, b"text", "text"),
        (1043, 1, b"varchar", "varchar"),
        (114, 1, b"{}", "{}"),
        (3802, 1, b"\1{}", "{}"),
        (2950, 1, bytes(16), "00000000-0000-0000-0000-000000000000"),
        (2950, 1, bytes(15), "<15 bytes>"),
        (21, 1, b"\xff\xff", "-1"),
        (23, 1, b"\0\0\1\0", "256"),
        (20, 1, b"\0" * 7 + b"\5", "5"),
        (16, 1, b"\0", "f"),
        (17, 1, b"\0\1\2", "<3 bytes>"),
        (1114, 1, bytes(8), "<8 bytes>"),
        (25, 1, b"", ""),
    ],
)
def test_values_as_text(oid: int, code: int, raw: bytes | None, shown: str) -> None:
    session = pg.started()
    session.client(pg.query("select"))
    answer = pg.columns(("v", oid, code)) + pg.row(raw) + pg.complete("SELECT 1") + pg.ready()
    assert pg.result(session, answer).sample == ((shown,),)


def test_three_rows_are_shown_and_all_counted() -> None:
    session = pg.started()
    session.client(pg.query("select"))
    rows = b"".join(pg.row(b"%d" % n) for n in range(10))
    found = pg.result(session, pg.columns(("n", 23, 0)) + rows + pg.complete("SELECT 10") + pg.ready())
    assert (found.rows, found.sample) == (10, (("0",), ("1",), ("2",)))


def test_a_row_over_a_mebibyte_goes_on_in_parts() -> None:
    session = pg.started()
    session.client(pg.query("select"))
    data = pg.columns(("n", 25, 0)) + pg.row(b"x" * (STREAM_OVER + 1)) + pg.row(b"y")
    replies = [
        reply for at in range(0, len(data), 50_000) for reply in session.server(data[at : at + 50_000])
    ]
    assert b"".join(reply.data for reply in replies) == data
    assert all(len(reply.data) <= 50_000 and not reply.asynchronous for reply in replies)
    found = pg.result(session, pg.complete("SELECT 2") + pg.ready())
    assert (found.rows, found.sample) == (2, ((f"<{STREAM_OVER + 7} bytes>",), ("y",)))


class TestPipelines:
    def test_each_flight_has_its_own_answer(self) -> None:
        session = pg.started()
        session.client(EXECUTED + pg.query("select 1") + PREPARED)
        replies = session.server(
            ANSWERED + pg.complete("SELECT 1") + pg.ready() + pg.PARSED + pg.TYPES + pg.NO_DATA
        )
        assert [found.tags for found in pg.results(replies)] == [("DELETE 1",), ("SELECT 1",), ()]
        assert replies[0].data == ANSWERED

    def test_an_error_skips_to_the_sync(self) -> None:
        session = pg.started()
        session.client(EXECUTED * 2)
        replies = session.server(pg.PARSED + pg.error("22P02") + pg.ready() + ANSWERED)
        assert [found.sqlstate for found in pg.results(replies)] == ["22P02", None]
        assert session.under_way == 0

    def test_flights_skipped_are_over_when_the_sync_is_answered(self) -> None:
        session = pg.started()
        session.client(PREPARED + PREPARED + pg.query("select 1") + EXECUTED + pg.SYNC)
        (reply,) = session.server(pg.error("42P01"))
        assert reply.result is not None
        assert reply.result.sqlstate == "42P01"
        assert session.server(pg.NOTICE)[0].result is None
        replies = session.server(pg.ready())
        assert [(reply.data, reply.result) for reply in replies] == [
            (b"", Result()),
            (b"", Result()),
            (pg.ready(), Result(transaction=Transaction.IDLE)),
        ]
        assert pg.result(session, pg.ready()) == Result(transaction=Transaction.IDLE)

    def test_flights_sent_after_the_error_are_skipped_as_well(self) -> None:
        session = pg.started()
        session.client(PREPARED)
        assert pg.result(session, pg.error("42P01")).sqlstate == "42P01"
        session.client(PREPARED)
        assert session.server(b"") == []
        session.client(pg.SYNC)
        assert [found.transaction for found in pg.results(session.server(pg.ready()))] == [
            None,
            Transaction.IDLE,
        ]
        session.client(EXECUTED)
        assert pg.result(session, ANSWERED).tags == ("DELETE 1",)

    def test_an_error_at_the_sync_skips_nothing(self) -> None:
        session = pg.started()
        session.client(EXECUTED * 2)
        deferred = pg.PARSED + pg.BOUND + pg.complete("DELETE 1") + pg.error("23503") + pg.ready()
        replies = session.server(deferred + ANSWERED)
        assert [(found.tags, found.sqlstate) for found in pg.results(replies)] == [
            (("DELETE 1",), "23503"),
            (("DELETE 1",), None),
        ]

    def test_a_lone_flush_is_over_when_its_turn_comes(self) -> None:
        session = pg.started()
        session.client(EXECUTED + pg.FLUSH + pg.FLUSH)
        replies = session.server(ANSWERED)
        assert [reply.data for reply in replies] == [ANSWERED, b"", b""]
        session.client(pg.FLUSH)
        assert session.server(b"") == [Reply(data=b"", result=Result())]

    def test_the_end_of_the_server_ends_one_answer(self) -> None:
        session = pg.started()
        session.client(pg.query("select 1") + pg.query("select 1"))
        found = pg.result(session, pg.error("57P01", "terminating connection", "FATAL"))
        assert (found.sqlstate, session.under_way) == ("57P01", 1)


class TestAsynchronous:
    @pytest.mark.parametrize(
        "message", [pg.NOTIFICATION, pg.NOTICE, pg.STATUS, pg.error("57P01", severity="FATAL")]
    )
    def test_outside_of_any_answer(self, message: bytes) -> None:
        assert pg.started().server(message) == [Reply(data=message, asynchronous=True)]

    def test_a_notification_before_the_answer_has_begun(self) -> None:
        session = pg.started()
        session.client(EXECUTED)
        replies = session.server(pg.NOTIFICATION + ANSWERED)
        assert [(reply.data, reply.asynchronous) for reply in replies] == [
            (pg.NOTIFICATION, True),
            (ANSWERED, False),
        ]

    @pytest.mark.parametrize("message", [pg.NOTIFICATION, pg.NOTICE, pg.STATUS])
    def test_inside_an_answer_they_keep_their_place(self, message: bytes) -> None:
        session = pg.started()
        session.client(EXECUTED)
        answer = pg.PARSED + message + pg.BOUND + pg.complete("DELETE 1") + message + pg.ready()
        assert pg.result(session, answer).tags == ("DELETE 1",)


class TestCopy:
    LINES = pg.message("d", b"1\n") * 2

    def test_in(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t from stdin; select 1"))
        assert pg.result(session, pg.COPY_IN) == Result(copying=True)
        session.client(self.LINES + pg.COPY_DONE)
        found = pg.result(session, pg.complete("COPY 2") + pg.complete("SELECT 1") + pg.ready())
        assert found.tags == ("COPY 2", "SELECT 1")

    def test_in_sent_in_one_piece(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t from stdin") + self.LINES + pg.COPY_DONE + EXECUTED)
        replies = session.server(pg.COPY_IN + pg.complete("COPY 2") + pg.ready() + ANSWERED)
        assert [(found.copying, found.tags) for found in pg.results(replies)] == [
            (True, ()),
            (False, ("COPY 2",)),
            (False, ("DELETE 1",)),
        ]

    def test_in_twice_in_one_query(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t from stdin; copy u from stdin"))
        assert pg.result(session, pg.COPY_IN).copying
        session.client(pg.COPY_DONE)
        assert pg.result(session, pg.complete("COPY 0") + pg.COPY_IN) == Result(
            tags=("COPY 0",), copying=True
        )
        session.client(pg.COPY_DONE)
        assert pg.result(session, pg.complete("COPY 0") + pg.ready()).transaction is Transaction.IDLE

    def test_in_by_the_extended_protocol_ignores_the_sync(self) -> None:
        session = pg.started()
        session.client(pg.parse("copy t from stdin") + pg.bind() + pg.execute() + pg.SYNC)
        assert pg.result(session, pg.PARSED + pg.BOUND + pg.COPY_IN).copying
        session.client(self.LINES + pg.COPY_DONE + pg.SYNC)
        replies = session.server(pg.complete("COPY 2") + pg.ready())
        assert [(found.tags, found.transaction) for found in pg.results(replies)] == [
            (("COPY 2",), None),
            ((), Transaction.IDLE),
        ]

    def test_in_that_the_client_gives_up(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t from stdin"))
        session.server(pg.COPY_IN)
        session.client(self.LINES + pg.COPY_FAIL)
        assert pg.result(session, pg.error("57014") + pg.ready()).sqlstate == "57014"

    def test_in_that_fails_while_data_comes(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t from stdin"))
        session.server(pg.COPY_IN)
        session.client(self.LINES)
        failed = pg.error("22P02") + pg.ready()
        assert session.server(failed) == [Reply(data=failed, asynchronous=True)]
        session.client(pg.COPY_DONE + EXECUTED)
        replies = session.server(ANSWERED)
        assert pg.results(replies) == [
            Result(sqlstate="22P02", message="no"),
            Result(tags=("DELETE 1",), transaction=Transaction.IDLE),
        ]

    def test_in_that_fails_between_its_error_and_ready(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t from stdin"))
        session.server(pg.COPY_IN)
        session.server(pg.error("22P02"))
        session.client(pg.COPY_DONE + EXECUTED)
        replies = session.server(pg.ready() + ANSWERED)
        assert b"".join(reply.data for reply in replies) == pg.ready() + ANSWERED
        assert [(r.tags, r.sqlstate) for r in pg.results(replies)] == [((), "22P02"), (("DELETE 1",), None)]

    def test_in_by_the_extended_protocol_that_fails_skips_to_the_sync(self) -> None:
        session = pg.started()
        session.client(pg.parse("copy t from stdin") + pg.bind() + pg.execute() + pg.FLUSH)
        assert pg.result(session, pg.PARSED + pg.BOUND + pg.COPY_IN).copying
        session.server(pg.error("22P02"))
        session.client(self.LINES + pg.COPY_DONE + pg.SYNC)
        found = pg.results(session.server(pg.ready()))
        assert found == [Result(sqlstate="22P02", message="no"), Result(transaction=Transaction.IDLE)]

    def test_a_copy_that_fails_is_not_held_against_the_next(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t from stdin"))
        session.server(pg.COPY_IN + pg.error("22P02") + pg.ready())
        session.client(pg.query("copy t from stdin") + pg.COPY_DONE)
        found = pg.results(session.server(pg.COPY_IN + pg.complete("COPY 0") + pg.ready()))
        assert [each.sqlstate for each in found] == [None, None]

    def test_out(self) -> None:
        session = pg.started()
        session.client(pg.query("copy t to stdout"))
        answer = pg.COPY_OUT + self.LINES + pg.message("c") + pg.complete("COPY 2") + pg.ready()
        assert pg.result(session, answer).tags == ("COPY 2",)

    def test_both(self) -> None:
        session = pg.started()
        session.client(pg.query("START_REPLICATION SLOT s LOGICAL 0/0"))
        assert pg.result(session, pg.COPY_BOTH).copying
        assert session.server(self.LINES) == [Reply(data=self.LINES, asynchronous=True)]
        session.client(pg.COPY_DONE)
        found = pg.result(session, pg.message("c") + pg.complete("COPY 0") + pg.ready())
        assert found.tags == ("COPY 0",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"Z\0\0\0\3", "says 3"),
        (pack(">BI", ord("Z"), 40_000), "40,000"),
        (pack(">BI", ord("D"), 0x40000000), "1,073,741,824"),
        (pg.message("Z", b"X"), "unknown status"),
        (pg.message("D", b"\0"), "DataRow"),
        (pg.message("D", pack(">hi", 1, 5)), "DataRow"),
        (pg.message("T", pack(">h", 3) + b"a\0"), "RowDescription"),
    ],
)
def test_a_server_that_makes_no_sense(data: bytes, says: str) -> None:
    session = pg.started()
    session.client(pg.query("select 1"))
    with pytest.raises(ProtocolError, match=says):
        session.server(data)
