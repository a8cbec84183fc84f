"""A dry run says what would be sent, as it would be sent, and does none of it."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from deadheat.bundled import bundled
from deadheat.cli import main
from deadheat.engine.discover import discover
from deadheat.engine.dry_run import dry_lines
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.settings import Settings

FILE = """
{top}
[target]
{way_in}
[target.operations.sign-up]
calls = [
    {{ request = "POST /sign-up", form = {{ email = "{{user.email}}" }}, capture = {{ code = "$.code" }} }},
    {{ request = "GET /confirm?code={{code}}", headers = {{ Origin = "{{target.url}}" }} }},
]
[target.operations.check-out]
request = "POST /checkout"
json = {{ price = "{{price}}", amount = "{{amount:int}}", token = "{{user.name}}" }}
capture = {{ amount = "$.amount" }}
[target.webhook]
path = "/hook"
types = ["customer.created"]
[target.tables]
customers = "select id as user_id, customer as stripe_customer_id from users"
"""
CLEANUP = '[target.cleanup]\nsql = "delete from users where id = any(:users)"\n'


def settings(
    folder: Path, *, top: str = "", way_in: str = 'start = "serve {port}"', more: str = ""
) -> Settings:
    (folder / "deadheat.toml").write_text(FILE.format(top=top, way_in=way_in) + more)
    return load_settings(options={}, environ={}, cwd=folder)


def said(of: Settings, *names: str) -> str:
    scenarios = [made for name, made in discover([bundled("scenarios")]).items() if name in names]
    return "\n".join(dry_lines(of, scenarios))


def test_requests_are_filled_for_a_sample_user(tmp_path: Path) -> None:
    text = said(settings(tmp_path))
    assert "POST http://127.0.0.1:PORT/sign-up" in text
    assert "email=ada.0.sample%40example.test" in text
    assert "GET http://127.0.0.1:PORT/confirm?code=captured-code" in text
    assert "origin: http://127.0.0.1:PORT" in text
    assert "/checkout with what was captured" in text


def test_webhooks_databases_and_what_is_read_are_named(tmp_path: Path) -> None:
    text = said(settings(tmp_path))
    assert "to POST http://127.0.0.1:PORT/hook" in text
    assert "types: customer.created" in text
    assert "on a Postgres of Deadheat's own" in text
    assert "reads customers: select id as user_id" in text
    assert "the databases are dropped" in text
    foreign = replace(settings(tmp_path), postgres="postgresql://me:pw@127.0.0.1:5433/app")
    assert "deadheat_… at 127.0.0.1:5433 are created, migrated, and dropped" in said(foreign)


def test_scenarios_say_what_they_do_and_what_is_skipped(tmp_path: Path) -> None:
    text = said(settings(tmp_path), "signup.two-at-once", "checkout.two-tabs", "seed.new-signup")
    assert "signup.two-at-once: at once sign-up | sign-up | deliveries" in text
    assert "checkout.two-tabs: first sign-up; at once check-out, pay | check-out, pay | deliveries" in text
    assert "seed.new-signup: skipped, the target does not offer register, confirm, create-customer" in text


def test_a_target_that_runs_already_is_named_with_its_own_database(tmp_path: Path) -> None:
    url, dsn = 'base-url = "http://127.0.0.1:8000"', 'postgres = "postgresql://me:pw@127.0.0.1:5433/app"'
    alone = said(settings(tmp_path, way_in=url), "checkout.two-tabs")
    assert "level 0 of 3" in alone
    assert "none is named, and none is read" in alone
    assert "webhooks: none are sent" in alone
    assert "first sign-up; at once check-out | check-out" in alone
    read = said(settings(tmp_path, way_in=url, top=dsn))
    assert "database: app at 127.0.0.1:5433, the target's own" in read
    assert "what the runs' users did stays" in read
    cleaned = said(settings(tmp_path, way_in=url, top=dsn, more=CLEANUP))
    assert "delete from users where id = any(:users)" in cleaned


@pytest.mark.parametrize("level", [0, 3])
def test_nothing_is_sent(level: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target and its database listen, and nobody comes."""
    with socket.create_server(("127.0.0.1", 0)) as target, socket.create_server(("127.0.0.1", 0)) as database:
        for listener in (target, database):
            listener.setblocking(False)
        where = database.getsockname()[1]
        top = (
            f'postgres = "postgresql://me:secret@127.0.0.1:{where}/app"\nstripe-port = 2\npostgres-port = 3\n'
        )
        top += 'stripe-key = "sk_test_x"\nwebhook-secret = "whsec_x"\n'
        way_in = f'base-url = "http://127.0.0.1:{target.getsockname()[1]}"'
        settings(tmp_path, top=top if level else "", way_in=way_in)
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(main, ["run", "--dry-run"])
        assert done.exit_code == 0, done.output
        assert f"level {level} of 3" in done.output
        assert "secret" not in done.output
        for listener in (target, database):
            with pytest.raises(BlockingIOError):
                listener.accept()
    assert [path.name for path in tmp_path.iterdir()] == ["deadheat.toml"]
