"""``deadheat init``: a commented ``deadheat.toml`` for the application in this folder.

What can be told from the files is written down: the framework, the command that starts it, how it
migrates, where its Stripe library takes its base address from. What cannot is marked FILL-IN, which no
key of the settings takes, so that a place left out is named before anything starts. An existing file is
never written over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deadheat.cli.ending import one_message
from deadheat.errors import SettingsError
from deadheat.settings.file import OWN_NAME, project_file

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "FILL-IN"
FILES_SEEN_MAX = 500
_NOT_THE_APPLICATION = {"node_modules", "venv", "env", "site-packages", "tests", "test", "migrations"}
_APP = re.compile(r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(FastAPI|Starlette|Flask)\(", re.MULTILINE)
_PROJECT = re.compile(r"DJANGO_SETTINGS_MODULE['\"]\s*,\s*['\"](\w+)\.")

PYTHON = 'StripeClient(key, base_addresses={"api": os.environ["STRIPE_API_BASE"]}), or stripe.api_base = …'
RUBY = 'Stripe.api_base = ENV["STRIPE_API_BASE"]'
NODE = 'new Stripe(key, { protocol: "http", host: …, port: … }) from this URL'
GO_POSTGRES = "lib/pq asks for TLS unless told: {postgres.url}?sslmode=disable"
GO = "stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{URL: stripe.String(…)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What the files of a folder say: the framework, its commands, and how requests and Stripe are spoken."""

    name: str
    start: str
    stripe_base: str
    migrate: str | None = None
    postgres: str = ""
    body: str = "json"
    env: tuple[str, ...] = ()


@click.command()
def init() -> None:
    """Write a commented deadheat.toml for the application in this folder.

    It never writes over a file. Exit code: 0 when it was written, 2 when not.
    """
    with one_message():
        folder = Path.cwd()
        found = recognise(folder)
        text = starter(found)
        _write(folder, text)
        marked = [n for n, line in enumerate(text.splitlines(), 1) if MARK in line and line[0] != "#"]
        click.echo(f"Wrote {OWN_NAME}: {found.name}.")
        click.echo(f"Fill in lines {', '.join(map(str, marked))} (marked {MARK}), then: deadheat doctor")


def _write(folder: Path, text: str) -> None:
    path = folder / OWN_NAME
    if not path.exists() and project_file(folder, {}) is not None:
        raise SettingsError("pyproject.toml has a table [tool.deadheat] already; init writes no second file.")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SettingsError(f"{OWN_NAME} is there already, and init never writes over it.") from None
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None


def recognise(folder: Path) -> Recognised:
    """Say which framework the application in a folder is of, by its files; none of them is run."""
    for found in (_django(folder), _rails(folder), _node(folder), _go(folder), _python(folder)):
        if found is not None:
            return found
    return Recognised(
        name="no framework was recognised", start=f"{MARK} {{port}}", stripe_base="its Stripe base address"
    )


def _django(folder: Path) -> Recognised | None:
    manage = _text(folder / "manage.py")
    if "django" not in manage.lower():
        return None
    project = _PROJECT.search(manage)
    start = "{python} manage.py runserver --noreload 127.0.0.1:{port}"
    if project and "gunicorn" in _requirements(folder):
        start = (
            f"{{python}} -m gunicorn {project[1]}.wsgi:application --bind 127.0.0.1:{{port}} "
            "--workers {workers} --threads 4"
        )
    return Recognised(
        name="a Django project (manage.py)",
        start=start,
        migrate="{python} manage.py migrate",
        stripe_base=PYTHON,
        body="form",
    )


def _rails(folder: Path) -> Recognised | None:
    if not re.search(r"""gem\s+['"]rails['"]""", _text(folder / "Gemfile")):
        return None
    return Recognised(
        name="a Rails application (Gemfile)",
        start="bin/rails server --binding 127.0.0.1 --port {port}",
        migrate="bin/rails db:migrate",
        stripe_base=RUBY,
        body="form",
        env=('RAILS_ENV = "development"',),
    )


def _node(folder: Path) -> Recognised | None:
    try:
        package = json.loads(_text(folder / "package.json") or "null")
    except ValueError:
        package = None
    if not isinstance(package, dict):
        return None
    depends, scripts = package.get("dependencies") or {}, package.get("scripts") or {}
    if "next" in depends:
        return Recognised(
            name="a Next.js application (package.json), built by: next build",
            start="node_modules/.bin/next start --hostname 127.0.0.1 --port {port}",
            stripe_base=NODE,
        )
    main = package.get("main")
    start = "npm start" if "start" in scripts or not isinstance(main, str) else f"node {main}"
    framework = next((name for name in ("express", "fastify", "koa", "hono") if name in depends), "Node")
    return Recognised(
        name=f"a Node application, {framework.title()} (package.json)",
        start=start,
        stripe_base=NODE,
        env=('PORT = "{port}"',),
    )


def _go(folder: Path) -> Recognised | None:
    if not (folder / "go.mod").is_file():
        return None
    return Recognised(
        name="a Go module (go.mod)",
        start="go run .",
        postgres=GO_POSTGRES,
        stripe_base=GO,
        env=('PORT = "{port}"',),
    )


def _python(folder: Path) -> Recognised | None:
    for path in _sources(folder):
        app = _APP.search(_text(path))
        if app is None:
            continue
        module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        name = f"a {app[2]} application ({path.relative_to(folder)})"
        if app[2] == "Flask":
            start = f"{{python}} -m flask --app {module}:{app[1]} run --host 127.0.0.1 --port {{port}}"
            return Recognised(name=name, start=start, stripe_base=PYTHON, body="form")
        start = f"{{python}} -m uvicorn {module}:{app[1]} --host 127.0.0.1 --port {{port}}"
        return Recognised(name=name, start=start, stripe_base=PYTHON)
    return None


def _sources(folder: Path) -> Iterator[Path]:
    """Give the Python files of a folder and the two levels below it, nearest first."""
    seen = 0
    for pattern in ("*.py", "*/*.py", "*/*/*.py"):
        for path in sorted(folder.glob(pattern)):
            parts = path.relative_to(folder).parts[:-1]
            if any(part in _NOT_THE_APPLICATION or part.startswith(".") for part in parts):
                continue
            seen += 1
            if seen > FILES_SEEN_MAX:
                return
            yield path


def _requirements(folder: Path) -> str:
    return "".join(_text(path) for path in (*folder.glob("requirements*.txt"), folder / "pyproject.toml"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def starter(found: Recognised) -> str:
    """Give the file: TOML with comments, every place that nothing was known for marked."""
    migrate = f'migrate = "{found.migrate}"' if found.migrate else f'migrate = "{MARK}"'
    postgres = f"  # {found.postgres}" if found.postgres else ""
    env = "".join(f"{line}\n" for line in found.env)
    return f"""# How Deadheat starts and drives this application: {found.name}.
# Fill in every {MARK}, take away what the application does not have, then: deadheat doctor

[target]
start = "{found.start}"
ready = "/"  # any path that answers below 500 once it is up
{migrate}  # run once, in an empty database; take the line away if start does it
workers = 1

# The environment is this, PATH, HOME and locale; the names on the left are the application's own.
# {{python}} is the Python that runs Deadheat.
[target.env]
DATABASE_URL = "{{postgres.url}}"{postgres}
STRIPE_API_BASE = "{{stripe.url}}"  # {found.stripe_base}
STRIPE_SECRET_KEY = "{{stripe.key}}"
STRIPE_WEBHOOK_SECRET = "{{stripe.webhook-secret}}"
{env}
# What people do. Their names are those that scenarios ask for: sign-up, check-out, create-customer, …
[target.operations.sign-up]
request = "{MARK}"  # "POST /sign-up"
{found.body} = {{ email = "{{user.email}}", name = "{{user.name}}" }}
success = [200]
refusals = [409]  # said no, and rightly so
capture = {{ "user.id" = "{MARK}" }}  # where the answer holds the id it gave: "$.id", "header:X-User", …
# customer = "$.customer"  # where it names the Stripe customer, if it does
# session = "cookie:session"  # what proves a login

[target.operations.check-out]
request = "{MARK}"  # "POST /checkout"
{found.body} = {{ user = "{{user.id}}", price = "{{price}}" }}  # {{price}} is a price of the simulator
success = [200]
refusals = [409]
checkout-session = "{MARK}"  # where it names the session to pay: "$.sessionId"

[target.webhook]
path = "{MARK}"  # "/webhooks/stripe"
# types = ["checkout.session.completed", "customer.subscription.*"]  # without it every type comes
# api-version = "2025-09-30.clover"  # of its events; the libraries of Go, .NET and Java want their own

# Queries over the application's own schema; a run reads its own users' rows only.
[target.tables]
customers = "{MARK}"  # select id as user_id, stripe_customer_id from users
subscriptions = "{MARK}"  # select user_id, stripe_subscription_id, stripe_customer_id, status from …

# In a database that is not Deadheat's, what a run's users left behind can be taken away:
# [target.cleanup]
# sql = "delete from users where id = any(:users)"

# [invariants]
# one-live-subscription = "per-price"

# scenarios = ["scenarios"], at the top of the file, names folders of your own.
"""
