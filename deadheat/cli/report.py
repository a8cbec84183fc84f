"""``deadheat report``: where the HTML report is, in the reader's browser or served on a loopback port."""

from __future__ import annotations

import contextlib
import os
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from deadheat.cli.ending import one_message
from deadheat.engine.loopback import LOOPBACK
from deadheat.errors import SettingsError
from deadheat.report.disk import run_folder
from deadheat.report.html import NAME
from deadheat.report.plain import plain
from deadheat.settings import load_settings

HOSTS = ("127.0.0.1", "localhost")


@click.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@click.option("--no-open", is_flag=True, help="Only print where it is.")
@click.option("--serve", is_flag=True, help="Serve it on a loopback port until Ctrl-C; opens nothing.")
def report(run_id: str | None, no_open: bool, serve: bool) -> None:
    """Say where the HTML report is, and open it in a browser.

    It is that of the latest run, or of RUN, an ID below .deadheat/runs. Exit code: 0, or 2 where there
    is none.
    """
    with one_message():
        path = report_path(load_settings(options={}, environ=os.environ, cwd=Path.cwd()).state_folder, run_id)
        if serve:
            with served(path.read_bytes()) as server, contextlib.suppress(KeyboardInterrupt):
                click.echo(f"http://{LOOPBACK}:{server.server_port}/")
                server.serve_forever()
            return
        click.echo(path)
        if not no_open and not webbrowser.open(path.as_uri()):
            click.echo("no browser could be opened; --serve serves it to one elsewhere", err=True)


def report_path(state_folder: Path, run_id: str | None) -> Path:
    """Give the page of a run, or of the latest; SettingsError where there is none."""
    if run_id is None:
        path = state_folder / NAME
        if not path.is_file():
            raise SettingsError(f"there is no report at {path}. deadheat run writes one when it is over.")
        return path
    runs = state_folder / "runs"
    known = sorted(page.parent.name for page in runs.glob(f"*/{NAME}"))
    if run_id not in known:
        latest = f" The latest is {known[-1]}." if known else ""
        raise SettingsError(f"there is no report of a run {plain(run_id)} below {runs}.{latest}")
    return run_folder(state_folder, run_id) / NAME


def served(page: bytes) -> ThreadingHTTPServer:
    """Give a server of one page on a free port of 127.0.0.1; who asks by another host's name gets nothing."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_ours = self.headers.get("Host", "").rpartition(":")[0] in HOSTS
            status = HTTPStatus.OK if is_ours and self.path == "/" else HTTPStatus.NOT_FOUND
            body = page if status is HTTPStatus.OK else b""
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet: the address is all that there is to say."""

    return ThreadingHTTPServer((LOOPBACK, 0), Page)
