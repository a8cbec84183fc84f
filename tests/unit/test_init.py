"""What `deadheat init` recognises, and that what it writes is read once it is filled in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from deadheat.cli import main
from deadheat.cli.init import MARK, recognise, starter
from deadheat.errors import SettingsError
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

DJANGO = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nfrom django.core import x\n"
PACKAGE = {"express": "5"}
FOLDERS = [
    ({"manage.py": DJANGO}, "Django", "{python} manage.py runserver --noreload 127.0.0.1:{port}"),
    ({"manage.py": DJANGO, "requirements.txt": "gunicorn\n"}, "Django", "gunicorn shop.wsgi:application"),
    ({"Gemfile": "gem 'rails', '~> 8.0'\n"}, "Rails", "bin/rails server"),
    ({"package.json": json.dumps({"dependencies": {"next": "15"}})}, "Next.js", "next start"),
    ({"package.json": json.dumps({"dependencies": PACKAGE, "main": "a.js"})}, "Express", "node a.js"),
    ({"package.json": json.dumps({"scripts": {"start": "node a.js"}})}, "Node", "npm start"),
    ({"go.mod": "module shop\n"}, "Go", "go run ."),
    ({"main.py": "app = FastAPI(title='x')\n"}, "FastAPI", "uvicorn main:app"),
    ({"src/web.py": "api: Starlette = Starlette()\n"}, "Starlette", "uvicorn src.web:api"),
    ({"shop/__init__.py": "app = flask.Flask(__name__)\n"}, "Flask", "flask --app shop:app"),
    ({"README": "?"}, "no framework", MARK),
    ({"package.json": "not JSON", "Gemfile": "gem 'sinatra'"}, "no framework", MARK),
    ({"venv/lib/x.py": "app = FastAPI()\n"}, "no framework", MARK),
]
FILLED = {
    "start": "serve {port}",
    "migrate": "migrate",
    "request": "POST /there",
    "capture": "$.id",
    "checkout-session": "$.sessionId",
    "path": "/hook",
    "customers": "select 1",
    "subscriptions": "select 2",
}


def laid_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def filled(text: str) -> str:
    """Put something into every marked place, by the key of its line."""
    lines = []
    for line in text.splitlines():
        key = line.partition(" = ")[0]
        if MARK in line and not line.startswith("#"):
            marked = line.split(" # ")[0]
            value = FILLED[key] if key != "start" else "serve"
            line = marked.replace(MARK, value)
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize(("files", "name", "start"), FOLDERS)
def test_a_framework_is_told_by_its_files(
    files: dict[str, str], name: str, start: str, tmp_path: Path
) -> None:
    found = recognise(laid_out(tmp_path, files))
    assert name in found.name
    assert start in found.start


@pytest.mark.parametrize(("files", "name", "start"), FOLDERS)
def test_what_is_written_is_read_once_filled_in(
    files: dict[str, str], name: str, start: str, tmp_path: Path
) -> None:
    text = starter(recognise(laid_out(tmp_path, files)))
    (tmp_path / "deadheat.toml").write_text(filled(text))
    target = load_settings(options={}, environ={}, cwd=tmp_path).target
    assert set(target.operations) == {"sign-up", "check-out"}
    assert set(target.tables) == {"customers", "subscriptions"}
    assert target.env["DATABASE_URL"] == "{postgres.url}"
    assert target.webhooks


def test_what_go_stumbles_over_is_said_where_it_is_filled_in(tmp_path: Path) -> None:
    text = starter(recognise(laid_out(tmp_path, {"go.mod": "module shop\n"})))
    (database,) = [line for line in text.splitlines() if line.startswith("DATABASE_URL")]
    assert "{postgres.url}?sslmode=disable" in database
    assert '# api-version = "' in text


def test_each_place_left_out_is_refused_by_its_name(tmp_path: Path) -> None:
    text = starter(recognise(laid_out(tmp_path, {"main.py": "app = FastAPI()\n"})))
    whole = filled(text).splitlines()
    marked = [n for n, line in enumerate(text.splitlines()) if MARK in line and not line.startswith("#")]
    refused = [n for n in marked if " migrate" not in f" {text.splitlines()[n]}"]
    assert len(refused) == 7
    for n in refused:
        lines = [*whole]
        lines[n] = text.splitlines()[n]
        (tmp_path / "deadheat.toml").write_text("\n".join(lines))
        with pytest.raises(SettingsError, match=MARK):
            load_settings(options={}, environ={}, cwd=tmp_path)


def test_it_says_where_to_fill_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(laid_out(tmp_path, {"go.mod": "module shop\n"}))
    done = CliRunner().invoke(main, ["init"])
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "deadheat.toml").read_text().splitlines()
    said = [int(word.strip(",")) for word in done.output.split() if word.strip(",").isdigit()]
    assert said == [n for n, line in enumerate(lines, 1) if MARK in line and not line.startswith("#")]
    assert "Go module" in done.output


@pytest.mark.parametrize("there", ["deadheat.toml", "pyproject.toml"])
def test_nothing_is_written_over(there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = "# mine\n[tool.deadheat]\nschedules = 1\n"
    monkeypatch.chdir(laid_out(tmp_path, {there: own}))
    done = CliRunner().invoke(main, ["init"])
    assert done.exit_code == 2
    assert there in done.output
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == own
