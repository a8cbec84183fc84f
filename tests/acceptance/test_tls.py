"""A whole run on a server that demands TLS: ordered and replayed there as on any other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import deadheat

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SERVERS = Path(__file__).parents[1] / "integration"
PROGRAM = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from tls_servers import demanding, tls_front
from deadheat.engine.postgres import open_postgres

async def main():
    async with open_postgres("embedded") as server, tls_front(server) as front:
        front.ca.cert_pem.write_to_path(sys.argv[2])
        url = server.dsn_for("postgres")
        print(demanding(url, front.port, "verify-full", sslrootcert=sys.argv[2]).url("postgres"), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    argv = [sys.executable, "-c", PROGRAM, str(SERVERS), str(ca)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def test_a_race_is_found_and_replayed_behind_tls(dsn: str, tmp_path: Path) -> None:
    ended = deadheat(
        "run", "signup.two-at-once", "--target", "before", "--schedules", "12", "--seed", "1",
        "--stripe-mock", "off", "--postgres", dsn, folder=tmp_path,
    )  # fmt: skip
    assert ended.code == 1, ended.out + ended.err
    assert ended.summary["level"] == 3
    findings = ended.scenario("signup.two-at-once")["findings"]
    assert findings
    assert {finding["replays"] for finding in findings} == {"20/20"}


def test_the_doctor_says_who_speaks_tls(dsn: str, tmp_path: Path) -> None:
    ended = deadheat(
        "doctor", "--target", "before", "--stripe-mock", "off", "--postgres", dsn, "--json", "doctor.json",
        folder=tmp_path,
    )  # fmt: skip
    checks = json.loads((tmp_path / "doctor.json").read_text())["checks"]
    said = {f"{check['area']}: {check['name']}": check["seen"] for check in checks}
    assert "spoken to the database server" in said["control: TLS"]
    assert said["control: level"].startswith("level 3"), ended.out
