"""``deadheat report``: where the page is, opened in the reader's browser, or served to one elsewhere."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from conftest import deadheat, environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which two runs have left their pages."""
    for run_id, text in (("20260102-030405-abcd", "the first"), ("20260102-040506-abcd", "the second")):
        run = tmp_path / ".deadheat" / "runs" / run_id
        run.mkdir(parents=True)
        for path in (run / "report.html", tmp_path / ".deadheat" / "report.html"):
            path.write_text(f"<!doctype html>{text}")
    return tmp_path


def test_it_opens_the_latest_in_the_readers_browser(folder: Path) -> None:
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/opened\n')
    browser.chmod(0o755)
    ended = deadheat("report", folder=folder, BROWSER=f"{browser} %s")
    page = folder / ".deadheat" / "report.html"
    assert (ended.code, ended.out.strip()) == (0, str(page)), ended.err
    assert (folder / "opened").read_text() == page.as_uri()


def test_no_open_only_says_where_it_is(folder: Path) -> None:
    ended = deadheat("report", "20260102-030405-abcd", "--no-open", folder=folder, BROWSER="false %s")
    assert ended.code == 0, ended.err
    assert ended.out.strip() == str(folder / ".deadheat/runs/20260102-030405-abcd/report.html")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("20260102-000000-abcd",), "no report of a run 20260102-000000-abcd"),
        (("../..",), "no report of a run ../.."),
    ],
)
def test_a_run_that_is_not_there_ends_with_two(arguments: tuple[str, ...], says: str, folder: Path) -> None:
    ended = deadheat("report", *arguments, folder=folder)
    assert ended.code == 2
    assert says in ended.err
    assert "The latest is 20260102-040506-abcd." in ended.err


def test_without_any_report_it_says_what_makes_one(tmp_path: Path) -> None:
    ended = deadheat("report", folder=tmp_path)
    assert ended.code == 2
    assert "deadheat run writes one" in ended.err


def test_it_is_served_on_loopback_until_ctrl_c_and_to_nobody_by_another_name(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "deadheat", "report", "--serve"],
        cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            assert url.startswith("http://127.0.0.1:")
            port = int(url.rstrip("/").rpartition(":")[2])

            def asked(path: str, host: str) -> tuple[int, bytes]:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", path, headers={"Host": f"{host}:{port}"})
                response = connection.getresponse()
                return response.status, response.read()

            assert asked("/", "localhost") == (200, b"<!doctype html>the second")
            assert asked("/summary.json", "127.0.0.1") == (404, b"")
            assert asked("/", "evil.example") == (404, b"")
        finally:
            os.kill(process.pid, signal.SIGINT)
        assert process.wait(10) == 0
