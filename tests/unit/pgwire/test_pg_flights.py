"""The client's side: what is a flight, what goes on at once, what is refused, and what is remembered."""

from __future__ import annotations

from struct import pack

import pg_messages as pg
import pytest

from deadheat.pgwire import Cancel, Flight, Forward, ProtocolError, Refuse, Session
from deadheat.pgwire import frontend as frontend_module
from deadheat.pgwire.limits import STREAM_OVER
from deadheat.pgwire.prepared import Names

SSL = pack(">II", 8, 80877103)
GSS = pack(">II", 8, 80877104)
RESET = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"


class TestStartUp:
    def test_encryption_is_refused_and_then_the_session_begins(self) -> None:
        session = Session()
        packet = pg.startup(user="ada", database="app", application_name="web")
        assert session.client(GSS + SSL + packet) == [
            Refuse(what="gss"),
            Refuse(what="ssl"),
            Forward(data=packet, kind="startup"),
        ]
        assert (session.user, session.database, session.application_name) == ("ada", "app", "web")

    def test_nothing_is_known_before_it(self) -> None:
        session = Session()
        assert (session.user, session.backend_pid, session.ready) == (None, None, False)

    def test_passwords_go_on_until_the_server_is_ready(self) -> None:
        session = Session()
        session.client(pg.startup(user="ada"))
        assert pg.forward(session, pg.message("p", b"secret\0")).kind == "auth"
        session.server(pg.GREETING)
        with pytest.raises(ProtocolError, match="nobody had asked"):
            session.client(pg.message("p", b"secret\0"))

    @pytest.mark.parametrize("key", [b"1234", b"k" * 32])
    def test_a_cancel_request_stands_alone(self, key: bytes) -> None:
        session = Session()
        packet = pack(">III", 12 + len(key), 80877102, 4711) + key
        assert session.client(packet) == [Cancel(data=packet)]
        with pytest.raises(ProtocolError, match="CancelRequest"):
            session.client(b"x")

    @pytest.mark.parametrize(
        ("packet", "says"),
        [
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", "sslnegotiation=postgres"),
            (b"GET / HTTP/1.1\r\n", "bytes long"),
            (pack(">II", 10_001, 0x30000), "10,001 bytes"),
            (pack(">II", 7, 0x30000), "7 bytes"),
            (pg.startup(version=0x20000, user="ada"), r"protocol 2\.0"),
            (SSL + SSL, "ssl twice"),
            (pack(">II", 12, 80877103) + b"more", "with more in it"),
        ],
    )
    def test_what_cannot_be_is_refused(self, packet: bytes, says: str) -> None:
        with pytest.raises(ProtocolError, match=says):
            Session().client(packet)


class TestFlights:
    @pytest.mark.parametrize(
        ("data", "end", "label", "passes"),
        [
            (pg.query("insert into t values (1)"), "query", "insert t", False),
            (pg.query("begin; update t set a = 1"), "query", "begin; update t", False),
            (pg.query("begin"), "query", "begin", True),
            (pg.query(""), "query", "ping", True),
            (pg.query(";"), "query", "ping", True),
            (
                pg.parse("select * from t", "a") + pg.describe_statement("a") + pg.FLUSH,
                "flush",
                "parse",
                True,
            ),
            (pg.parse("delete from t") + pg.SYNC, "sync", "parse", True),
            (pg.describe_statement() + pg.SYNC, "sync", "describe", True),
            (pg.message("C", b"Sa\0") + pg.SYNC, "sync", "close", True),
            (pg.SYNC, "sync", "sync", True),
            (pg.FLUSH, "flush", "flush", True),
            (pg.parse("select 1") + pg.bind() + pg.execute() + pg.SYNC, "sync", "select", True),
            (pg.parse("") + pg.bind() + pg.execute() + pg.SYNC, "sync", "ping", True),
            (pg.parse("delete from t") + pg.bind() + pg.execute() + pg.SYNC, "sync", "delete t", False),
            (pg.parse("delete from t") + pg.bind() + pg.execute() + pg.FLUSH, "flush", "delete t", False),
            (pg.parse("delete from t") + pg.query("select 1"), "query", "select", True),
            (pg.COPY_DONE, "copy-done", "copy done", False),
            (pg.COPY_FAIL, "copy-fail", "copy fail", False),
            (pg.message("F", bytes(10)), "function-call", "function call", False),
        ],
    )
    def test_one(self, data: bytes, end: str, label: str, passes: bool) -> None:
        found = pg.flight(pg.started(), data)
        assert (found.end, found.label, found.passes) == (end, label, passes)

    def test_many_in_one_piece(self) -> None:
        parts = [pg.query("begin"), pg.parse("select 1") + pg.SYNC, pg.SYNC, pg.query("commit")]
        found = pg.flights(pg.started().client(b"".join(parts)))
        assert [flight.data for flight in found] == parts

    def test_labels_of_many_statements_are_folded(self) -> None:
        rows = b"".join(pg.bind(b"%d" % n) + pg.execute() for n in range(500))
        found = pg.flight(pg.started(), pg.parse("insert into t values ($1)") + rows + pg.SYNC)
        assert found.label == "insert t ×500"
        assert [s.parameters for s in found.statements[:2]] == [(b"0",), (b"1",)]
        many = pg.flight(pg.started(), pg.query(";".join(f"delete from t{n}" for n in range(9))))
        assert many.label == "delete t0; delete t1; delete t2; delete t3; …"

    def test_each_statement_of_a_query_has_its_own_text(self) -> None:
        found = pg.flight(pg.started(), pg.query("select 'ä;' ; update t set a = 1"))
        assert [s.sql for s in found.statements] == ["select 'ä;'", "update t set a = 1"]

    def test_terminate_takes_along_what_stands_before_it(self) -> None:
        session = pg.started()
        data = pg.parse("select 1") + pg.TERMINATE
        assert session.client(data) == [Forward(data=data, kind="terminate")]
        with pytest.raises(ProtocolError, match="Terminate"):
            session.client(pg.SYNC)

    def test_copy_data_goes_on_as_it_comes(self) -> None:
        session = pg.started()
        lines = pg.message("d", b"1\n") + pg.message("d", b"2\n")
        events = session.client(pg.query("copy t from stdin") + lines + pg.COPY_DONE)
        assert [type(event) for event in events] == [Flight, Forward, Flight]
        assert events[1] == Forward(data=lines, kind="copy-data")

    def test_copy_data_does_not_overtake_the_execute_before_it(self) -> None:
        session = pg.started()
        data = (
            pg.parse("copy t from stdin") + pg.bind() + pg.execute() + pg.message("d", b"1\n") + pg.COPY_DONE
        )
        assert pg.flight(session, data).label == "copy t from"


class TestPrepared:
    def test_a_name_is_remembered_with_its_text(self) -> None:
        session = pg.started()
        pg.flight(session, pg.parse("update t set a = $1, b = $2", "s1") + pg.SYNC)
        data = pg.bind(b"\0\1", None, name="s1", portal="p1", formats=(1,)) + pg.execute("p1") + pg.SYNC
        (statement,) = pg.flight(session, data).statements
        assert statement.sql == "update t set a = $1, b = $2"
        assert statement.parameters == (b"\0\1", None)
        assert statement.formats == (1, 1)

    @pytest.mark.parametrize(("formats", "expanded"), [((), (0, 0)), ((1,), (1, 1)), ((0, 1), (0, 1))])
    def test_formats_are_one_for_each_parameter(
        self, formats: tuple[int, ...], expanded: tuple[int, ...]
    ) -> None:
        data = pg.parse("select f($1, $2)") + pg.bind(b"1", b"2", formats=formats) + pg.execute() + pg.SYNC
        (statement,) = pg.flight(pg.started(), data).statements
        assert (statement.parameters, statement.formats) == ((b"1", b"2"), expanded)

    def test_a_portal_may_be_executed_again(self) -> None:
        session = pg.started()
        pg.flight(session, pg.parse("select * from t") + pg.bind(portal="c") + pg.execute("c") + pg.SYNC)
        assert pg.flight(session, pg.execute("c") + pg.SYNC).label == "select t"

    def test_what_was_closed_is_unknown_and_does_not_pass(self) -> None:
        session = pg.started()
        pg.flight(session, pg.parse("select 1", "s") + pg.message("C", b"Ss\0") + pg.SYNC)
        found = pg.flight(session, pg.bind(name="s") + pg.execute() + pg.SYNC)
        assert (found.label, found.passes) == ("unknown statement", False)

    def test_the_oldest_is_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("deadheat.pgwire.prepared.REMEMBERED_MAX", 2)
        names = Names("unknown")
        for name in (b"a", b"b", b"a", b"c"):
            names.keep(name, name.decode(), 1)
        assert [names.get(name) for name in (b"a", b"b", b"c")] == ["a", "unknown", "c"]

    def test_what_is_remembered_is_bounded_in_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("deadheat.pgwire.prepared.REMEMBERED_BYTES_MAX", 10)
        names = Names("unknown")
        names.keep(b"a", "a", 6)
        names.keep(b"b", "b", 6)
        assert [names.get(name) for name in (b"a", b"b")] == ["unknown", "b"]
        names.keep(b"huge", "huge", 100)
        assert (len(names), names.get(b"huge")) == (1, "huge")


class TestAdvisoryLocks:
    def test_a_reset_passes_unless_the_connection_holds_a_lock(self) -> None:
        session = pg.started()
        reset = pg.flight(session, pg.query(RESET))
        assert (reset.passes, reset.label) == (True, "reset")
        pg.flight(session, pg.query("select pg_advisory_lock(1)"))
        assert session.holds_advisory_lock
        assert not pg.flight(session, pg.query(RESET)).passes
        assert not session.holds_advisory_lock
        assert pg.flight(session, pg.query(RESET)).passes

    def test_preparing_one_is_not_taking_it(self) -> None:
        session = pg.started()
        pg.flight(session, pg.parse("select pg_advisory_lock(1)", "s") + pg.SYNC)
        assert not session.holds_advisory_lock
        pg.flight(session, pg.bind(name="s") + pg.execute() + pg.SYNC)
        assert session.holds_advisory_lock

    def test_discard_all_is_a_reset(self) -> None:
        session = pg.started()
        pg.flight(session, pg.query("select pg_try_advisory_lock(1)"))
        assert not pg.flight(session, pg.query("discard all")).passes
        assert not session.holds_advisory_lock


class TestCommits:
    """A lone Sync commits what a Flush before it has had executed, outside of a transaction block."""

    EXECUTED = pg.parse("delete from t") + pg.bind() + pg.execute() + pg.FLUSH

    def test_a_sync_that_commits_is_a_choice(self) -> None:
        session = pg.started()
        session.client(self.EXECUTED)
        assert not pg.flight(session, pg.SYNC).passes
        assert pg.flight(session, pg.SYNC).passes

    def test_in_a_transaction_it_commits_nothing(self) -> None:
        session = pg.started()
        session.client(pg.query("begin"))
        session.server(pg.complete("BEGIN") + pg.ready("T"))
        session.client(self.EXECUTED)
        assert pg.flight(session, pg.SYNC).passes

    def test_after_a_prepare_it_commits_nothing(self) -> None:
        session = pg.started()
        session.client(pg.parse("delete from t") + pg.FLUSH)
        assert pg.flight(session, pg.SYNC).passes


class TestHostile:
    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"~\0\0\0\4", "type b'~'"),
            (pack(">BI", ord("Q"), 3), "says 3"),
            (pack(">BI", ord("Q"), 0x40000000), "1,073,741,822"),
            (pack(">BI", ord("Q"), 0xFFFFFFFF), "says -1"),
            (pack(">BI", ord("S"), 10_001), "10,000 bytes"),
            (pg.message("Q", b"select 1"), "zero byte"),
            (pg.message("Q"), "zero byte"),
            (pg.message("P", b"name"), "Parse"),
            (pg.message("B", b"\0\0"), "Bind"),
            (pg.message("B", b"\0\0" + pack(">hhi", 0, 1, 99)), "Bind"),
            (pg.message("B", b"\0\0" + pack(">h", 30_000)), "Bind"),
            (pg.message("E", b"\0"), "Execute"),
            (pg.message("D", b"X\0"), "neither statement nor portal"),
            (pg.message("C"), "neither statement nor portal"),
        ],
    )
    def test_what_cannot_be_is_refused_for_good(self, data: bytes, says: str) -> None:
        session = pg.started()
        with pytest.raises(ProtocolError, match=says):
            session.client(data + pg.SYNC)
        with pytest.raises(ProtocolError, match="no use any more"):
            session.client(pg.SYNC)

    def test_flights_without_end_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("deadheat.pgwire.answers.UNDER_WAY_MAX", 100)
        session = pg.started()
        with pytest.raises(ProtocolError, match="100 flights"):
            session.client(pg.SYNC * 101)


class TestTooLarge:
    """A flight over FLIGHT_MAX is not held, and nobody gets its result."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frontend_module, "FLIGHT_MAX", 1000)
        monkeypatch.setattr(frontend_module, "FLIGHT_MESSAGES_MAX", 50)

    def test_a_long_query_goes_by(self) -> None:
        session = pg.started()
        data = pg.query("insert into t values ('" + "x" * 2000 + "')")
        assert session.client(data) == [Forward(data=data, kind="too-large")]
        assert pg.flight(session, pg.SYNC).passes
        answer = pg.complete("INSERT 0 1") + pg.ready()
        (reply,) = session.server(answer)
        assert (reply.data, reply.result, reply.asynchronous) == (answer, None, True)
        assert pg.result(session, pg.ready()).tags == ()

    def test_a_message_over_a_mebibyte_goes_by_unread_as_it_comes(self) -> None:
        session = pg.started()
        data = pg.query("x" * (STREAM_OVER + 10)) + pg.query("select 1")
        events = [
            event for at in range(0, len(data), 65536) for event in session.client(data[at : at + 65536])
        ]
        assert [type(event) for event in events] == [Forward] * 17 + [Flight]
        assert b"".join(event.data for event in events if isinstance(event, Flight | Forward)) == data

    def test_a_flight_of_too_many_messages_goes_by(self) -> None:
        session = pg.started()
        rows = b"".join(pg.bind() + pg.execute() for _ in range(100))
        data = pg.parse("delete from t", "s") + rows
        assert [event.kind for event in session.client(data) if isinstance(event, Forward)] == ["too-large"]
        (reply,) = session.server(pg.PARSED + pg.BOUND + pg.complete("DELETE 0"))
        assert reply.asynchronous
        assert pg.forward(session, pg.SYNC).kind == "too-large"
        session.server((pg.BOUND + pg.complete("DELETE 0")) * 99 + pg.ready())
        assert session.under_way == 0
        assert pg.flight(session, pg.bind(name="s") + pg.execute() + pg.SYNC).label == "delete t"

    def test_what_it_locks_is_seen(self) -> None:
        session = pg.started()
        rows = b"".join(pg.bind() + pg.execute() for _ in range(100))
        session.client(pg.parse("select pg_advisory_lock(1)") + rows + pg.SYNC)
        assert session.holds_advisory_lock
