"""One target that runs already, at each level of control: what is seen, left out, found and left alone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest
from levels_table import LEVELS, SCENARIOS, row, rows
from standing import Standing, standing

from deadheat.engine.levels import Reach
from deadheat.invariants import BUILT_IN

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Ended

REACH = {
    0: Reach(database=False, stripe=False, statements=False),
    1: Reach(stripe=False, statements=False),
    2: Reach(statements=False),
    3: Reach(),
}
FILL = """
insert into users (email, full_name)
select 'p' || n || '@people.example', 'P' || n from generate_series(1, 300) n;
insert into profiles (user_id, email, full_name) select id, email, full_name from users;
insert into subscriptions (user_id, stripe_customer_id, stripe_subscription_id, status)
select id, 'cus_' || md5(email), 'sub_' || md5(email), 'active' from users;
insert into confirmations (code, user_id) select md5(email), id from users;
create table notes (id serial primary key, words text);
insert into notes (words) select repeat(md5(n::text), 20) from generate_series(1, 300) n;
"""
TABLES = ("users", "profiles", "subscriptions", "confirmations", "notes")
CATALOG = """
select 'relation ' || c.oid::regclass || ' ' || c.relkind::text || ' ' || coalesce(c.reloptions::text, '')
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_|^information'
union all select 'trigger ' || tgname || ' ' || tgenabled::text from pg_trigger
union all select 'function ' || p.oid::regprocedure from pg_proc p
join pg_namespace n on n.oid = p.pronamespace where n.nspname !~ '^pg_|^information'
"""
CLEANUP = """
[target.cleanup]
sql = [
    "delete from confirmations where user_id::text = any(:users)",
    "delete from subscriptions where user_id::text = any(:users)",
    "delete from profiles where user_id::text = any(:users)",
    "delete from users where id::text = any(:users)",
]
"""


async def everything(dsn: str) -> dict[str, set[str]]:
    """Every row of every table with where it lies and who wrote it last, and all that is defined."""
    connection = await asyncpg.connect(dsn)
    try:
        found = {"catalog": {row[0] for row in await connection.fetch(CATALOG)}}
        for name in TABLES:
            rows = await connection.fetch(f"select t.ctid::text || t.xmin::text || t::text from {name} t")
            found[name] = {row[0] for row in rows}
        return found
    finally:
        await connection.close()


async def executed(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(sql)
    await connection.close()


def test_the_page_has_every_level_and_only_invariants_that_there_are() -> None:
    assert set(rows()) == set(LEVELS)
    known = {invariant.id for invariant in BUILT_IN}
    for _, found, unchecked in rows().values():
        assert set(found.partition(";")[0].split(", ")) <= known
        assert unchecked == "nothing" or set(unchecked.split(", ")) <= known


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_runs_what_it_can_and_names_the_rest(level: int, tmp_path: Path, a_dsn: str) -> None:
    ended = standing(tmp_path, a_dsn).runs(level, "run", *SCENARIOS, "--schedules", "4", "--seed", "1")
    assert ended.code == 1, ended.out + ended.err
    summary = ended.summary
    assert summary["level"] == level
    assert summary["not_ours"] == list(REACH[level].cannot())
    assert f"level {level} of 3" in ended.out
    made = [cell.strip() for cell in row(level, summary).strip("|\n ").split("|")]
    on_the_page = rows()[level]
    assert (made[1], made[3]) == (on_the_page[0], on_the_page[2])
    assert summary["invariants"]["answers-agree"]["violated"]
    strategies = {name for s in summary["scenarios"] for name in s["strategy"].split("+") if name}
    assert (strategies == {"serial", "barrage"}) is (level < 3)
    tokens = [f["token"] for s in summary["scenarios"] for f in s["findings"] if f["token"]]
    assert bool(tokens) is (level == 3)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "cleanup"), [(1, ""), (3, ""), (3, CLEANUP)])
def test_other_peoples_rows_stay_as_they_are(level: int, cleanup: str, tmp_path: Path, a_dsn: str) -> None:
    team = standing(tmp_path, a_dsn)
    asyncio.run(executed(team.dsn, FILL))
    theirs = asyncio.run(everything(team.dsn))
    ended = team.runs(
        level, "run", "signup.two-at-once", "--schedules", "3", "--seed", "1", more_toml=cleanup
    )
    assert ended.code in (0, 1), ended.out + ended.err
    after = asyncio.run(everything(team.dsn))
    assert after["catalog"] == theirs["catalog"]
    for name in TABLES:
        assert theirs[name] <= after[name], f"rows of {name} were touched"
    own = {name: after[name] - theirs[name] for name in TABLES}
    assert all("@example.test" in row for row in own["users"] | own["profiles"])
    assert not own["notes"]
    assert bool(own["users"]) is not bool(cleanup)
    assert ("left in the database: nothing in customers" in ended.out) is bool(cleanup)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_control_of_a_database_that_somebody_else_uses_is_refused(
    command: str, tmp_path: Path, a_dsn: str
) -> None:
    team = standing(tmp_path, a_dsn)

    async def beside_somebody() -> Ended:
        somebody = await asyncpg.connect(team.dsn, server_settings={"application_name": "bobs shell"})
        await somebody.execute("begin; select 1 from profiles")
        try:
            return await asyncio.to_thread(team.runs, 3, command)
        finally:
            await somebody.close()

    ended = asyncio.run(beside_somebody())
    assert ended.code == 2, ended.out + ended.err
    assert "bobs shell" in ended.out + ended.err
    assert "did not come to rest" not in ended.out
    assert "Traceback" not in ended.err


def doctored(team: Standing, level: int, *, wired: int | None = None) -> dict[str, dict[str, str]]:
    team.runs(level, "doctor", "--json", "doctor.json", wired=wired)
    checks = json.loads((team.folder / "doctor.json").read_text())["checks"]
    return {f"{check['area']}: {check['name']}": check for check in checks}


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_the_doctor_says_the_level(level: int, tmp_path: Path, a_dsn: str) -> None:
    checks = doctored(standing(tmp_path, a_dsn), level)
    assert checks["control: level"]["seen"] == str(REACH[level])
    assert [name for name, check in checks.items() if check["health"] == "fail"] == []
    assert checks["target: operation sign-up"]["health"] == "ok"
    assert ("not tried" in checks["target: webhook"]["seen"]) is (level < 2)
    assert ("target: table customers" in checks) is (level >= 1)
    assert ("control: foreign traffic" in checks) is (level == 3)


@pytest.mark.slow
def test_the_doctor_sees_that_no_call_and_no_statement_arrives(tmp_path: Path, a_dsn: str) -> None:
    checks = doctored(standing(tmp_path, a_dsn), 3, wired=1)
    assert checks["control: Stripe calls"]["health"] == "fail"
    assert "none arrived" in checks["control: Stripe calls"]["seen"]
    assert checks["control: SQL statements"]["health"] == "fail"
    assert "none crossed the proxy" in checks["control: SQL statements"]["seen"]
    assert checks["control: level"]["seen"] == str(REACH[1])
