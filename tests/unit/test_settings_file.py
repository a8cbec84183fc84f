"""What a settings file may say, and the sentence that each mistake in it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.errors import Refused, SettingsError
from deadheat.settings import OperationSettings, Request, Settings, WebhookSettings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

LIVE = "sk_" + "live_51Habcdef"

FULL = """
[target]
start = "uvicorn app:app --port {port}"
ready = "/healthz"
ready-seconds = 5
migrate = "python migrate.py"
workers = 2
env = { DATABASE_URL = "{postgres.url}", STRIPE_API_BASE = "{stripe.url}", EMPTY = "" }

[[target.operations.sign-up.calls]]
request = "POST /sign-up"
json = { email = "{user.email}", tags = ["{user.name}"], n = 1 }
success = [202]
capture = { "user.id" = "$.userId", code = "header:X-Code" }

[[target.operations.sign-up.calls]]
request = "GET /callback?code={code}"
success = [303, 200]

[target.operations.sign-up]
customer = "header:Stripe-Customer-Id"
session = "cookie:session"
refusals = [409]

[target.operations.check-out]
request = "POST /checkout/{price}"
json = { userId = "{user.id}" }
customer = "$.stripeCustomerId"
checkout-session = "$.sessionId"

[target.webhook]
path = "/webhook"
api-version = "2025-03-31.basil"
types = ["customer.created"]

[target.tables]
customers = "select user_id, stripe_customer_id from profiles;"
subscriptions = '''
  select * from subscriptions ; '''

[invariants]
charged-once = "off"

[safety]
allow-hosts = ["db.staging.example", "2001:db8::1"]
"""


def load(folder: Path, text: str, environ: dict[str, str] | None = None, **options: object) -> Settings:
    """Load a deadheat.toml of this text."""
    (folder / "deadheat.toml").write_text(text, encoding="utf-8")
    return load_settings(options=options, environ=environ or {}, cwd=folder)


def target(text: str) -> str:
    """Give a file that says this of a target that could be started."""
    return '[target]\nstart = "serve"\n' + text


def complaint(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    """Give what is said of a file that is wrong."""
    with pytest.raises(SettingsError) as error:
        load(folder, text, environ)
    return str(error.value)


def test_a_whole_file(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL)
    read = settings.target
    assert (read.start, read.base_url) == ("uvicorn app:app --port {port}", None)
    assert (read.ready, read.ready_seconds, read.migrate, read.workers) == (
        "/healthz",
        5.0,
        "python migrate.py",
        2,
    )
    assert read.env == {"DATABASE_URL": "{postgres.url}", "STRIPE_API_BASE": "{stripe.url}", "EMPTY": ""}
    assert read.operations == {
        "sign-up": OperationSettings(
            name="sign-up",
            calls=(
                Request(
                    method="POST",
                    path="/sign-up",
                    json={"email": "{user.email}", "tags": ["{user.name}"], "n": 1},
                    success=(202,),
                    capture={"user.id": "$.userId", "code": "header:X-Code"},
                ),
                Request(method="GET", path="/callback?code={code}", success=(303, 200)),
            ),
            customer="header:Stripe-Customer-Id",
            session="cookie:session",
            refusals=(409,),
        ),
        "check-out": OperationSettings(
            name="check-out",
            calls=(Request(method="POST", path="/checkout/{price}", json={"userId": "{user.id}"}),),
            customer="$.stripeCustomerId",
            checkout_session="$.sessionId",
        ),
    }
    assert read.webhooks == (
        WebhookSettings(path="/webhook", api_version="2025-03-31.basil", types=("customer.created",)),
    )
    assert read.events_version == "2025-03-31.basil"
    assert read.tables == {
        "customers": "select user_id, stripe_customer_id from profiles",
        "subscriptions": "select * from subscriptions",
    }
    assert settings.invariants == {"charged-once": "off"}
    assert settings.allow_hosts == ("db.staging.example", "2001:db8::1")


class TestUnknownKeys:
    """A key that nothing reads is a mistake, and its nearest neighbour likely what was meant."""

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("sed = 1\n" + target(""), 'the top level has no key "sed". Did you mean "seed"?'),
            (target("redy = '/'"), '[target] has no key "redy". Did you mean "ready"?'),
            (target("base_url = 'x'"), '[target] has no key "base_url". Did you mean "base-url"?'),
            (target("[target.webhok]\npath = '/w'"), '[target] has no key "webhok". Did you mean "webhook"?'),
            (target("[target.webhook]\npath = '/w'\nurl = 'x'"), '[target.webhook] has no key "url"'),
            (
                target("[target.tables]\ncustomer = 'select 1'"),
                '[target.tables] has no key "customer". Did you',
            ),
            (
                target("[target.operations.pay-up]\nrequest = 'GET /'\nsucces = [1]"),
                '[target.operations.pay-up] has no key "succes". Did you mean "success"?',
            ),
            (
                target("[target.operations.a]\ncalls = [{ request = 'GET /', customer = '$.a' }]"),
                '[target.operations.a.calls[0]] has no key "customer"',
            ),
            (
                target("[safety]\nallow-host = []"),
                '[safety] has no key "allow-host". Did you mean "allow-hosts"?',
            ),
            (target("[invariants]\ncharged-onse = 'off'"), 'Did you mean "charged-once"?'),
        ],
    )
    def test_an_unknown_key_is_named_with_its_table_and_the_closest(
        self, tmp_path: Path, text: str, says: str
    ) -> None:
        said = complaint(tmp_path, text)
        assert said.startswith("deadheat.toml: ")
        assert says in said

    def test_where_nothing_is_close_the_known_keys_are_listed(self, tmp_path: Path) -> None:
        said = complaint(tmp_path, target("[target.webhook]\npath = '/w'\nzzz = 1"))
        assert "It knows path, api-version, types, secret." in said

    def test_a_shared_file_names_its_table_in_full(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.deadheat.target]\nstart = 'x'\nredy = '/'\n")
        with pytest.raises(
            SettingsError, match=r'pyproject\.toml: \[tool\.deadheat\.target\] has no key "redy"'
        ):
            load_settings(options={}, environ={}, cwd=tmp_path)


class TestWrongValues:
    """A wrong value is named by key, with what it should be and what it was."""

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("target = 1", "target: should be a table, was 1."),
            (target("ready = 5"), 'target.ready: should be a path that begins with one "/", was 5.'),
            (target("ready = 'healthz'"), 'was "healthz"'),
            (target("ready = '//evil.example/'"), "target.ready"),
            (
                target("ready-seconds = 0"),
                "target.ready-seconds: should be a number of seconds over 0, was 0.",
            ),
            (target("workers = 0"), "target.workers: should be a whole number from 1 to 64, was 0."),
            (target("workers = true"), "was true."),
            (target("env = { A = 1 }"), "target.env.A: should be a string, was 1."),
            (target("env = 'A=1'"), "target.env: should be a table"),
            (
                target("env = { A = '{postgress.url}' }"),
                'nothing fills {postgress.url}. Did you mean "postgres.url"?',
            ),
            ("[target]\nstart = 'serve {prot}'", 'target.start: nothing fills {prot}. Did you mean "port"?'),
            (
                target("migrate = '{pyton} x'"),
                'target.migrate: nothing fills {pyton}. Did you mean "python"?',
            ),
            (target("migrate = ''"), "target.migrate: should be a string with something in it"),
            ("[target]\nready = '/'", "[target] needs either start (a command to run) or base-url"),
            ("[target]\nbase-url = 'localhost:1'", "target.base-url: should be a URL"),
            ("[target]\nbase-url = 'http://localhost:1'\nworkers = 2", "target.workers says how to start"),
            (target("[target.webhook]\napi-version = 'x'"), "[target.webhook] needs path."),
            (target("[target.webhook]\npath = '/'\ntypes = 'x'"), "types: should be a list of event types"),
            (
                target("[target.webhook]\npath = '/'\ntypes = [1]"),
                "types: should be a list of event types, each",
            ),
            (
                target("[target.tables]\ncustomers = 'profiles'"),
                "should be a SQL query, beginning with select",
            ),
            (
                target("[target.tables]\ncustomers = 'delete from x'"),
                "target.tables.customers: should be a SQL",
            ),
            (target("[target.tables]\ncustomers = ';'"), "target.tables.customers: should be a SQL"),
            (target("[invariants]\ncharged-once = false"), "invariants.charged-once: should be a string"),
            (
                target("[safety]\nallow-hosts = ['*.example']"),
                "safety.allow-hosts: should be a list of hosts, each",
            ),
            (target("[safety]\nallow-hosts = ['a.example:5432']"), "a name without port"),
            (
                target("[safety]\nallow-hosts = 'a.example'"),
                "safety.allow-hosts: should be a list of hosts, was",
            ),
            ("scenarios = 'races'\n" + target(""), "scenarios: should be a list of folders"),
            ("seconds = true\n" + target(""), "seconds: should be a number of seconds over 0, was true."),
        ],
    )
    def test_of_a_file(self, tmp_path: Path, text: str, says: str) -> None:
        said = complaint(tmp_path, text)
        assert said.startswith("deadheat.toml: ")
        assert says in said

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("customer = '$.a'", "needs either request (one call) or calls (a list of them)."),
            (
                "request = 'GET /'\ncalls = [{ request = 'GET /' }]",
                "needs either request (one call) or calls",
            ),
            ("calls = []", "a.calls: should be a list of tables, at least one, was an empty list."),
            ("calls = { request = 'GET /' }", "a.calls: should be a list of tables"),
            ("calls = [{ json = {} }]", "[target.operations.a.calls[0]] needs request."),
            ("calls = [{ request = 'GET /' }]\njson = {}", "a.json belongs into one of the calls."),
            ("request = 'FETCH /'", 'a.request: should be a method and a path, as in "POST /sign-up"'),
            ("request = 'get /'", "a.request"),
            ("request = 'GET'", "a.request"),
            ("request = 'GET users'", "a.request"),
            ("request = 'GET http://evil.example/'", "a.request"),
            ("request = 'GET /a b'", "a.request"),
            ("request = 'GET /'\nsuccess = 200", "a.success: should be a list of HTTP statuses, was 200."),
            ("request = 'GET /'\nsuccess = []", "a.success: should be a list of HTTP statuses, at least one"),
            (
                "request = 'GET /'\nsuccess = [20]",
                "a.success: should be a list of HTTP statuses, each a number",
            ),
            ("request = 'GET /'\nsuccess = ['200']", "a.success"),
            ("request = 'GET /'\nrefusals = [200]", "a.refusals: 200 is also a success. It can be only one."),
            ("request = 'GET /'\njson = []", "a.json: should be a table, was an empty list."),
            (
                "request = 'GET /'\njson = { at = 2026-01-01 }",
                "a.json: should be what JSON can say: write a date",
            ),
            ("request = 'GET /'\njson = { n = nan }", "a.json: should be what JSON can say"),
            ("request = 'GET /'\njson = { a = [{ b = '{user.mail}' }] }", 'Did you mean "user.email"?'),
            ("request = 'GET /{code}'", "target.operations.a: nothing fills {code}."),
        ],
    )
    def test_of_an_operation(self, tmp_path: Path, text: str, says: str) -> None:
        said = complaint(tmp_path, target(f"[target.operations.a]\n{text}"))
        assert said.startswith("deadheat.toml: ")
        assert says in said

    @pytest.mark.parametrize("key", ["customer", "checkout-session", "session", "capture.x"])
    @pytest.mark.parametrize(
        "place",
        [
            "a.b",
            "$",
            "$.",
            "$a",
            "$.a..b",
            "$.a[0]",
            "header:",
            "header:a b",
            "cookie:",
            "cookie:a;b",
            "body:x",
        ],
    )
    def test_of_a_place(self, tmp_path: Path, key: str, place: str) -> None:
        said = complaint(tmp_path, target(f"[target.operations.a]\nrequest = 'GET /'\n{key} = '{place}'"))
        assert f"target.operations.a.{key}: should be a place in the answer" in said
        assert f'was "{place}".' in said

    @pytest.mark.parametrize("place", ["$.a", "$.a.b_c-d.0", "header:X-Customer", "cookie:session"])
    def test_places_that_are_right(self, tmp_path: Path, place: str) -> None:
        settings = load(tmp_path, target(f"[target.operations.a]\nrequest = 'GET /'\ncustomer = '{place}'"))
        assert settings.target.operations["a"].customer == place

    def test_a_capture_may_be_used_by_another_operation(self, tmp_path: Path) -> None:
        text = (
            "[target.operations.a]\nrequest = 'GET /'\ncapture = { code = '$.code' }\n"
            "[target.operations.b]\nrequest = 'GET /{code}'\n"
        )
        assert load(tmp_path, target(text)).target.operations["b"].calls[0].path == "/{code}"

    @pytest.mark.parametrize("name", ["pay", "cancel", "refund"])
    def test_stripes_own_acts_are_no_operations(self, tmp_path: Path, name: str) -> None:
        said = complaint(tmp_path, target(f"[target.operations.{name}]\nrequest = 'GET /'"))
        assert f"{name} is Stripe's own act" in said

    def test_a_secret_is_masked_where_a_value_is_shown(self, tmp_path: Path) -> None:
        said = complaint(tmp_path, f"stripe-mock-mode = '{'sk_te' + 'st_abc123'}'\n" + target(""))
        assert "abc123" not in said


class TestSyntax:
    """What is no TOML is named by file and line."""

    def test_the_line(self, tmp_path: Path) -> None:
        assert complaint(tmp_path, "[target]\nstart = \n").startswith("deadheat.toml, line 2: invalid value")

    def test_bytes_that_are_not_utf8(self, tmp_path: Path) -> None:
        (tmp_path / "deadheat.toml").write_bytes(b'[target]\nstart = "\xff"\n')
        with pytest.raises(SettingsError, match=r"deadheat\.toml: it is not UTF-8"):
            load_settings(options={}, environ={}, cwd=tmp_path)


class TestVariables:
    """``${VAR}`` and ``${VAR:-default}`` in any string."""

    @pytest.mark.parametrize(
        ("written", "environ", "read"),
        [
            ("${A}", {"A": "x"}, "x"),
            ("a${A}b${B}c", {"A": "1", "B": "2"}, "a1b2c"),
            ("${A}", {"A": "${B}"}, "${B}"),
            ("${A}", {"A": ""}, ""),
            ("${A:-d}", {}, "d"),
            ("${A:-d}", {"A": ""}, "d"),
            ("${A:-d}", {"A": "x"}, "x"),
            ("${A:-}", {}, ""),
            ("${A:-{postgres.url}}/x", {}, "{postgres.url}/x"),
            ("$${A}", {"A": "x"}, "${A}"),
            ("$A $$ {stripe.key}", {"A": "x"}, "$A $$ {stripe.key}"),
        ],
    )
    def test_are_put_in(self, tmp_path: Path, written: str, environ: dict[str, str], read: str) -> None:
        settings = load(tmp_path, target(f"migrate = 'migrate {written}'"), environ)
        assert settings.target.migrate == f"migrate {read}"

    def test_are_put_into_run_settings_and_lists_too(self, tmp_path: Path) -> None:
        text = "seconds = '${T:-5}'\n" + target("[safety]\nallow-hosts = ['${HOST}']")
        settings = load(tmp_path, text, {"HOST": "a.example"})
        assert (settings.seconds, settings.allow_hosts) == (5.0, ("a.example",))

    def test_that_are_unset_are_named_with_key_and_file(self, tmp_path: Path) -> None:
        said = complaint(tmp_path, target("env = { X = '${NOPE}' }"))
        assert said.startswith("deadheat.toml: target.env.X: the environment has no NOPE.")

    @pytest.mark.parametrize("written", ["${}", "${A-d}", "${a b}", "${1A}", "${A:?x}"])
    def test_that_are_spelt_wrong_are_named(self, tmp_path: Path, written: str) -> None:
        said = complaint(tmp_path, target(f"env = {{ X = '{written}' }}"), {"A": "x"})
        assert f"target.env.X: {written} is no variable" in said


class TestSafety:
    """Live keys and foreign hosts are refused wherever they stand."""

    @pytest.mark.parametrize(
        ("text", "environ", "options", "says"),
        [
            (
                target(f"env = {{ KEY = '{LIVE}' }}"),
                {},
                {},
                "deadheat.toml: target.env.KEY holds a live Stripe key",
            ),
            (target("env = { KEY = '${K}' }"), {"K": LIVE}, {}, "the environment variable K holds"),
            (target("env = { KEY = 'sk_${K}_x' }"), {"K": "live"}, {}, "target.env.KEY holds"),
            (target(f"[[target.x]]\ny = ['{LIVE}']"), {}, {}, "target.x[0].y[0] holds"),
            (target(""), {"STRIPE_SECRET_KEY": LIVE.replace("sk", "rk")}, {}, "STRIPE_SECRET_KEY holds"),
            (target(""), {}, {"postgres": f"postgresql://x:{LIVE}@localhost/"}, "--postgres holds"),
            (target(""), {}, {"scenarios": (LIVE,)}, "--scenarios holds"),
        ],
    )
    def test_a_live_key(
        self, tmp_path: Path, text: str, environ: dict[str, str], options: dict[str, object], says: str
    ) -> None:
        with pytest.raises(Refused) as refused:
            load(tmp_path, text, environ, **options)
        assert says in str(refused.value)
        assert "51Habcdef" not in str(refused.value)

    FOREIGN = (
        (
            "[target]\nbase-url = 'https://a.example'",
            {},
            "deadheat.toml: target: a.example is not this machine",
        ),
        (target(""), {"DEADHEAT_POSTGRES": "postgresql://u:p@a.example/x"}, "DEADHEAT_POSTGRES: a.example"),
        ("postgres = 'postgres://a.example/x'\n" + target(""), {}, "deadheat.toml: postgres: a.example"),
        ("stripe-mock = 'http://a.example:1'\n" + target(""), {}, "deadheat.toml: stripe-mock: a.example"),
        (target("env = { D = 'postgresql://a.example/x' }"), {}, "deadheat.toml: target.env.D: a.example"),
        (target(""), {"DEADHEAT_TARGET": "http://a.example"}, "DEADHEAT_TARGET: a.example"),
    )

    @pytest.mark.parametrize(("text", "environ", "says"), FOREIGN)
    def test_a_foreign_host(self, tmp_path: Path, text: str, environ: dict[str, str], says: str) -> None:
        with pytest.raises(Refused) as refused:
            load(tmp_path, text, environ)
        assert says in str(refused.value)
        assert ":p@" not in str(refused.value)

    @pytest.mark.parametrize(("text", "environ", "says"), FOREIGN)
    def test_a_foreign_host_that_is_allowed(
        self, tmp_path: Path, text: str, environ: dict[str, str], says: str
    ) -> None:
        settings = load(tmp_path, text + "\n[safety]\nallow-hosts = ['a.example']\n", environ)
        assert settings.allow_hosts == ("a.example",)

    def test_a_database_here_needs_no_leave(self, tmp_path: Path) -> None:
        settings = load(tmp_path, target(""), postgres="postgresql://u@localhost:5432/x")
        assert settings.postgres == "postgresql://u@localhost:5432/x"


def test_a_started_target_may_say_which_port_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "deadheat.toml").write_text(target("base-url = 'http://127.0.0.1:8000'"))
    settings = load_settings(options={}, environ={}, cwd=tmp_path)
    assert settings.target.base_url == "http://127.0.0.1:8000"
    assert settings.target.start is not None
