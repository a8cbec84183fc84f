"""``deadheat doctor`` against the reference, and against targets that are broken in one way or many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Ended, deadheat
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

KEY = "sk_" + "test_" + "4eC39HqLyjWDarjtT1zdp7dc"

# Answers every path; takes every webhook without a look; asks nothing of Stripe.
APP = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status = 418 if self.path == "/brew" else 200
        body = json.dumps({"code": "c0de"}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
TARGET = """
[target]
start = "{python} app.py {port}"

[target.operations.sign-up]
request = "POST /sign-up"
capture = { code = "$.code" }

[target.operations.enter]
request = "GET /enter?code={code}"

[target.operations.brew]
request = "POST /brew"

[target.operations.lost]
request = "POST /lost?with={token}"
capture = { token = "$.code" }

[target.webhook]
path = "/hook"

[[target.webhooks]]
name = "credits"
path = "/brew"

[target.tables]
customers = "select 'u' as user_id, 'cus_1' as stripe_customer_id"
subscriptions = "select 'u' as user_id, 'sub_1' as subscription_id, 'c' as stripe_customer_id, '' as status"
"""


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres that is up already."""
    given = ("--stripe-port", "0", "--stripe-mock", "off")
    with serving(*given, folder=tmp_path_factory.mktemp("server")) as up:
        yield up.env["DATABASE_URL"]


def examined(ended: Ended) -> dict[str, dict[str, Any]]:
    """The checks that were written, by ``area: name``."""
    written = json.loads((ended.folder / "doctor.json").read_text())
    assert written["possible"] is (ended.code == 0)
    return {f"{check['area']}: {check['name']}": check for check in written["checks"]}


def doctor(folder: Path, dsn: str, *arguments: str, target: str = TARGET, app: str = APP) -> Ended:
    (folder / "app.py").write_text(app)
    (folder / "deadheat.toml").write_text(target)
    given = ("--postgres", dsn, "--stripe-mock", "off", "--json", "doctor.json")
    return deadheat("doctor", *given, *arguments, folder=folder)


@pytest.fixture(scope="module")
def odd(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What is said of the target above."""
    return doctor(tmp_path_factory.mktemp("odd"), dsn)


def test_the_reference_can_be_raced(tmp_path: Path) -> None:
    ended = deadheat("doctor", "--json", "doctor.json", folder=tmp_path)
    assert ended.code == 0, ended.out + ended.err
    checks = examined(ended)
    assert [check for check in checks.values() if check["health"] == "fail"] == []
    assert "embedded" in checks["machine: postgres"]["seen"]
    for name in ("migrate", "start", "webhook", "webhook, stale", "table customers", "table subscriptions"):
        assert checks[f"target: {name}"]["health"] == "ok", checks[f"target: {name}"]
    operations = {name: check for name, check in checks.items() if name.startswith("target: operation ")}
    assert {check["health"] for check in operations.values()} == {"ok"}, operations
    assert {"target: operation sign-up", "target: operation check-out"} <= set(operations)
    assert "POST /v1/checkout/sessions" in checks["target: operation check-out"]["seen"]
    assert "POST /v1/customers" in checks["target: Stripe calls"]["seen"]
    assert "crossed the proxy" in checks["control: SQL statements"]["seen"]
    assert checks["control: foreign traffic"]["seen"] == "none within 2 s"
    assert checks["control: level"]["seen"] == "level 3 of 3: answers, the database, Stripe and statements"
    assert "ok    target: migrate: ran to its end" in ended.out
    assert "A run could be made" in ended.out
    assert [path.name for path in tmp_path.iterdir()] == ["doctor.json"]


def test_a_target_that_asks_nothing_of_stripe_cannot_be_raced(odd: Ended) -> None:
    assert odd.code == 2, odd.out + odd.err
    checks = examined(odd)
    assert checks["target: start"]["health"] == "ok"
    assert checks["target: Stripe calls"]["health"] == "fail"
    assert "{stripe.url}" in checks["target: Stripe calls"]["remedy"]
    assert checks["target: operation sign-up"]["seen"] == "200; Stripe calls: none"
    assert checks["target: operation enter"]["seen"] == "200 after sign-up; Stripe calls: none"
    assert checks["target: operation brew"]["health"] == "warn"
    assert "418" in checks["target: operation brew"]["seen"]
    assert checks["target: operation lost"]["health"] == "warn"
    assert "{token}" in checks["target: operation lost"]["seen"]
    assert "No run could be made" in odd.out


def test_a_webhook_that_takes_everything_is_told(odd: Ended) -> None:
    checks = examined(odd)
    assert checks["target: webhook"]["health"] == "ok"
    for kind in ("unsigned", "badly-signed", "stale"):
        assert checks[f"target: webhook, {kind}"]["health"] == "warn"
        assert "not refused" in checks[f"target: webhook, {kind}"]["seen"]


def test_each_of_several_webhooks_is_tried(odd: Ended) -> None:
    check = examined(odd)["target: webhook credits"]
    assert check["health"] == "warn"
    assert "at /brew was answered 418" in check["seen"]
    assert "{stripe.webhook-secret.credits}" in check["remedy"]


def test_a_query_without_a_column_and_what_is_not_mapped_are_told(odd: Ended) -> None:
    checks = examined(odd)
    assert checks["target: table customers"]["health"] == "ok"
    assert checks["target: table subscriptions"]["health"] == "fail"
    assert "stripe_subscription_id is missing" in checks["target: table subscriptions"]["seen"]
    skipped = [name for name in checks if name.startswith("settings: scenario ")]
    assert skipped, "the bundled scenarios want operations that this target has not"
    assert all("does not offer" in checks[name]["seen"] for name in skipped)


def test_a_webhook_at_the_wrong_path_is_a_failure(dsn: str, tmp_path: Path) -> None:
    ended = doctor(
        tmp_path, dsn, app=APP.replace('418 if self.path == "/brew"', '404 if self.path == "/hook"')
    )
    assert examined(ended)["target: webhook"]["health"] == "fail"


def test_a_library_that_wants_events_of_its_own_api_version_is_told_how(dsn: str, tmp_path: Path) -> None:
    refuses = APP.replace('418 if self.path == "/brew"', '400 if self.path == "/hook"').replace(
        '{"code": "c0de"}', '"Received event with API version a, but this library expects API version b."'
    )
    check = examined(doctor(tmp_path, dsn, app=refuses))["target: webhook"]
    assert check["health"] == "warn"
    assert "api-version, beside the webhook's path" in check["remedy"]


def test_a_target_that_refuses_everything_cannot_be_raced(dsn: str, tmp_path: Path) -> None:
    ended = doctor(tmp_path, dsn, app=APP.replace('418 if self.path == "/brew"', '403 if self.path != "/"'))
    assert ended.code == 2
    checks = examined(ended)
    assert "no operation succeeded" in checks["target: Stripe calls"]["seen"]
    assert checks["target: webhook"]["health"] == "warn"
    assert "not told apart" in checks["target: webhook forgeries"]["seen"]


def test_a_target_that_ends_is_told_with_its_last_words_masked(dsn: str, tmp_path: Path) -> None:
    said = f"print('\\x1b[2Jconnecting with {KEY}'); raise SystemExit(7)"
    ended = doctor(tmp_path, dsn, app=said)
    assert ended.code == 2
    checks = examined(ended)
    assert checks["target: start"]["health"] == "fail"
    assert "exit code 7" in checks["target: start"]["seen"]
    assert "connecting with" in ended.out
    assert KEY not in ended.out + ended.err + (tmp_path / "doctor.json").read_text()
    assert "\x1b" not in ended.out


def test_a_migration_that_fails_is_told_as_such(dsn: str, tmp_path: Path) -> None:
    migrate = "migrate = \"{python} -c 'raise SystemExit(9)'\"\n"
    ended = doctor(tmp_path, dsn, target=TARGET.replace("[target]\n", "[target]\n" + migrate, 1))
    assert ended.code == 2
    checks = examined(ended)
    assert checks["target: migrate"]["health"] == "fail"
    assert "exit code 9" in checks["target: migrate"]["seen"]
    assert "target: start" not in checks


def test_without_postgres_the_rest_is_still_told(tmp_path: Path) -> None:
    ended = deadheat(
        "doctor", "--postgres", "postgresql://nobody@127.0.0.1:1/none", "--stripe-mock", "off",
        "--json", "doctor.json", folder=tmp_path,
    )  # fmt: skip
    assert ended.code == 2
    checks = examined(ended)
    assert checks["machine: postgres"]["health"] == "fail"
    assert "127.0.0.1:1" in checks["machine: postgres"]["seen"]
    assert checks["machine: stripe-mock"]["health"] == "warn"
    assert checks["settings: scenarios"]["health"] == "ok"
    assert "not tried" in checks["target: target"]["seen"]


def test_a_url_at_which_nobody_answers_cannot_be_raced(tmp_path: Path) -> None:
    (tmp_path / "deadheat.toml").write_text(
        '[target]\nbase-url = "http://127.0.0.1:9"\nready-seconds = 0.2\n[target.operations.sign-up]\n'
        'request = "POST /sign-up"\n'
    )
    ended = deadheat("doctor", "--json", "doctor.json", folder=tmp_path)
    assert ended.code == 2
    assert "127.0.0.1:9" in examined(ended)["target: target"]["seen"]
