"""What a statement is said to be: labels, what it touches, and what may pass without being a choice."""

from __future__ import annotations

import pytest
from asyncpg import introspection
from hypothesis import given
from hypothesis import strategies as st

from deadheat.pgwire import describe, normalized
from deadheat.pgwire.limits import PARSED_MAX

ASYNCPG_RESET = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"

WORDS = [
    "select",
    "from",
    "x",
    "pg_class",
    "update",
    "1",
    "$1",
    ".",
    "with",
    "as",
    "é",
    "insert",
    "into",
    "values",
    "e'",
    "a--b",
]
MARKS = ["'", "''", '"', "$$", "$a$", "/*", "*/", "--", "\n", " ", ";", "(", ")", "\\", "\0", "\ud800"]
PIECES = st.sampled_from(WORDS + MARKS)
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80)


@pytest.mark.parametrize(
    ("sql", "label", "verb", "reads", "writes"),
    [
        ("insert into profiles (id) values ($1)", "insert profiles", "insert", "", "profiles"),
        ("INSERT INTO a SELECT * FROM b ON CONFLICT DO NOTHING", "insert a", "insert", "b", "a"),
        ("update only app.x set a = (select 1 from y)", "update app.x", "update", "y", "app.x"),
        ("delete from x using y where x.id = y.id", "delete x", "delete", "y", "x"),
        ("merge into a using b on a.i = b.i when matched then delete", "merge a", "merge", "b", "a"),
        (
            "select * from profiles p join subscriptions s using (user_id)",
            "select profiles, subscriptions",
            "select",
            "profiles subscriptions",
            "",
        ),
        ("select 1 from x for update of x", "select x for update", "select", "x", ""),
        ('select * from "Users"', "select Users", "select", "Users", ""),
        ("select ensure_customer($1)", "call ensure_customer()", "call", "", ""),
        ("select * from app.ensure($1)", "call app.ensure()", "call", "", ""),
        ("call settle(1)", "call settle()", "call", "", ""),
        ("with u as (update x set a = 1 returning *) select * from u", "update x", "update", "", "x"),
        ("with x as (select * from x) select * from x", "select x", "select", "x", ""),
        ("with recursive x as (select 1 union select * from x) select * from x", "select", "select", "", ""),
        ("with a as (select 1), b as (select * from a) select * from b, c", "select c", "select", "c", ""),
        ("select * into n from t", "select t", "select", "t", "n"),
        ("create table n as select * from t", "create table as n", "ddl", "t", "n"),
        ("alter table t add a int", "alter table t", "ddl", "", "t"),
        ("drop table a, b.c", "drop a, b.c", "ddl", "", "a b.c"),
        ("truncate a", "truncate a", "ddl", "", "a"),
        ("lock table a in share mode", "lock a", "other", "", "a"),
        ("copy t from stdin", "copy t from", "copy", "", "t"),
        ("copy t to stdout", "copy t to", "copy", "t", ""),
        ("copy (select * from t) to stdout", "copy query to", "copy", "t", ""),
        ("declare c cursor for select * from t", "declare cursor t", "other", "t", ""),
        ("commit", "commit", "commit", "", ""),
        ("rollback to savepoint s", "rollback to savepoint", "rollback", "", ""),
        ("listen c", "listen c", "listen", "", ""),
        ("notify c", "notify c", "other", "", ""),
        ("do $$ begin end $$", "do", "call", "", ""),
        ("insert into t values (unreadable", "insert t", "insert", "", "t"),
        ("delete from a.t whe", "delete a.t", "delete", "", "a.t"),
        ("update t set set", "update t", "update", "", "t"),
        ("selec 'secret'", "selec", "other", "", ""),
        ("START_REPLICATION SLOT x", "start_replication slot", "other", "", ""),
    ],
)
def test_statements(sql: str, label: str, verb: str, reads: str, writes: str) -> None:
    (found,) = describe(sql)
    assert (found.label, found.verb) == (label, verb)
    assert (found.reads, found.writes) == (frozenset(reads.split()), frozenset(writes.split()))


@pytest.mark.parametrize(
    "sql",
    [
        "begin",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "savepoint s",
        "release s",
        "set search_path to app",
        "set local lock_timeout = '1s'",
        "set transaction isolation level serializable",
        "reset all",
        "show server_version",
        "deallocate s",
        "deallocate all",
        "discard all",
        "listen c",
        "unlisten *",
        "close c",
        "select 1",
        "-- ping\nselect 1;",
        "select $1::int",
        "values (1)",
        "select version()",
        "select pg_catalog.version()",
        "select current_schema(), current_user, now()",
        "select current_setting('jit') as cur, set_config('jit', 'off', false) as new",
        "select pg_backend_pid()",
        "select * from pg_catalog.pg_type t join pg_class c on true",
        "select column_name from information_schema.columns where table_name = $1",
        introspection.INTRO_LOOKUP_TYPES,
        introspection.TYPE_BY_NAME,
        ASYNCPG_RESET,
    ],
)
def test_what_passes(sql: str) -> None:
    assert all(found.passes for found in describe(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "commit",
        "end",
        "rollback",
        "rollback to s",
        "commit and chain",
        "prepare transaction 'x'",
        "set constraints all immediate",
        "notify c",
        "select * from users",
        "select * from users u join pg_class c on true",
        "select * from app.pg_class_copy",
        "select ensure_customer($1)",
        "select nextval('s')",
        "select pg_advisory_lock(1)",
        "select pg_try_advisory_xact_lock(1)",
        "select pg_sleep(1)",
        "select pg_terminate_backend(pid) from pg_stat_activity",
        "select pg_advisory_lock(oid::bigint) from pg_class",
        "select * into t from pg_class",
        "update pg_class set relname = relname",
        "delete from information_schema.sql_features",
        "explain select 1",
        "fetch 1 from c",
        "execute s",
        "selec 1",
    ],
)
def test_what_does_not_pass(sql: str) -> None:
    assert not any(found.passes for found in describe(sql))


def test_a_text_of_several_statements_has_as_many_descriptions() -> None:
    found = describe("begin; insert into x values (';'); commit;")
    assert [each.label for each in found] == ["begin", "insert x", "commit"]
    assert [(each.begins, each.ends) for each in found] == [(True, False), (False, False), (False, True)]


@pytest.mark.parametrize("sql", ["", ";", " ; ;\n", "-- nothing", "/* nothing */"])
def test_a_text_without_statements_has_no_description(sql: str) -> None:
    assert describe(sql) == ()


@pytest.mark.parametrize(
    ("sql", "locks"),
    [
        ("select pg_advisory_lock(1)", True),
        ("select pg_catalog.pg_advisory_lock_shared(1, 2)", True),
        ("select pg_try_advisory_lock(1)", True),
        ("select pg_try_advisory_lock_shared(1) from users", True),
        ("insert into t select pg_advisory_lock(1)", True),
        ("select pg_advisory_xact_lock(1)", False),
        ("select pg_advisory_unlock(1)", False),
        ("select 'pg_advisory_lock(1)'", False),
    ],
)
def test_advisory_locks_of_the_session(sql: str, locks: bool) -> None:
    (found,) = describe(sql)
    assert found.advisory_lock is locks


@pytest.mark.parametrize(
    ("sql", "resets"),
    [
        (ASYNCPG_RESET, [True] * 4),
        (f"ROLLBACK;\n{ASYNCPG_RESET}", [False, True, True, True, True]),
        ("discard all", [True]),
        ("discard temp", [False]),
        ("rollback", [False]),
        ("reset all", [False]),
        ("close all; reset all", [False, False]),
    ],
)
def test_reset_queries_of_pools(sql: str, resets: list[bool]) -> None:
    assert [found.resets for found in describe(sql)] == resets


def test_a_reset_behind_a_rollback_leaves_the_rollback_a_choice() -> None:
    assert [found.passes for found in describe(f"ROLLBACK;{ASYNCPG_RESET}")] == [
        False,
        True,
        True,
        True,
        True,
    ]


def test_a_reset_beside_other_work_is_no_reset() -> None:
    assert not any(
        found.passes for found in describe("insert into x values (1); select pg_advisory_unlock_all()")
    )


def test_labels_are_short_and_on_one_line() -> None:
    (found,) = describe('select * from "' + "a\nb" * 20 + '"')
    assert found.label == "select " + ("a b" * 20)[:52] + "…"
    assert len(found.label) == 60


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "+".join("1" * 300_000),  # libpg_query would end the process
        "select " + "+".join("1" * (PARSED_MAX // 2 - 4)),
        "select " + "(" * 8000 + "1" + ")" * 8000,
        "insert into t values " + ",".join(["(1)"] * 10_000),
    ],
)
def test_deep_and_long_texts_are_known_by_their_first_words(sql: str) -> None:
    (found,) = describe(sql)
    assert found.verb == sql[:6]


@given(TEXTS)
def test_any_text_can_be_described(sql: str) -> None:
    for found in describe(sql):
        assert len(found.label) <= 60
        assert found.label
        assert not any(control in found.label for control in "\0\n\r\t")


@given(st.lists(st.sampled_from(["a", "'b  c'", "$$ -- d $$", '"e  /* f"', ",", "1"])))
def test_comments_and_spaces_between_tokens_are_all_one(parts: list[str]) -> None:
    spaced = " \t\n".join(parts)
    commented = " -- x 'y\n /* z /* \" */ $$ */ ".join(parts)
    assert normalized(spaced) == normalized(commented) == " ".join(parts)


@pytest.mark.parametrize(
    ("sql", "folded"),
    [
        ("  select\t1 -- one\n + 2 ", "select 1 + 2"),
        ("select /* a /* b */ c */ 1", "select 1"),
        ("select 'a  -- b'", "select 'a  -- b'"),
        ("select 'it''s  /* no */'", "select 'it''s  /* no */'"),
        (r"select E'it\'s  -- no'", r"select E'it\'s  -- no'"),
        (r"select 'a\'  -- yes", r"select 'a\'"),
        ('select "a  -- b""  c"', 'select "a  -- b""  c"'),
        ("select $$a  -- b$$", "select $$a  -- b$$"),
        ("select $x$a $$  -- b$x$  ", "select $x$a $$  -- b$x$"),
        ("select a$b$  -- c", "select a$b$"),
        ("select $1  + $2", "select $1 + $2"),
        ("select 'open  ", "select 'open"),
        ("select 1 /* open", "select 1"),
        ("a--b\r\nc", "a c"),
    ],
)
def test_folding(sql: str, folded: str) -> None:
    assert normalized(sql) == folded


def test_folding_takes_linear_time() -> None:
    # Each of these takes minutes with a pattern that backtracks.
    for sql in ("'" * 99_999, "'" + "a" * 200_000, "e'" + "\\" * 100_001, "/*" * 100_000, "$a" * 100_000):
        assert isinstance(normalized(sql), str)
