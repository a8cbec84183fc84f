"""Measures in how many runs plain concurrency shows each mutant, and writes measured.json.

python -m zoo.measure [NAME …]        those mutants, or all; to be run from tests/
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .zoo import MEASURED, ZOO, Mutant, settings_file

RUNS = 200


def barrage(mutant: Mutant, folder: Path, *, mended: bool = False) -> dict[str, Any]:
    """Race a mutant or its twin without control; gives the summary of `deadheat run`."""
    file = settings_file(mutant, folder, mended=mended)
    command = [sys.executable, "-m", "deadheat", "run", mutant.scenario, "--target", str(file)]
    command += ["--strategy", "barrage", "--schedules", str(RUNS), "--workers", "1", "--seed", "1"]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    summary: dict[str, Any] = json.loads((file.parent / ".deadheat" / "summary.json").read_text())
    return summary


def measure(mutant: Mutant, folder: Path) -> dict[str, Any]:
    """Give what is measured of a mutant: runs in which it broke its invariant, and its twin any."""
    broken = barrage(mutant, folder)
    mended = barrage(mutant, folder, mended=True)
    return {
        "scenario": mutant.scenario,
        "invariant": mutant.invariant,
        "barrage": {
            "runs": broken["runs"],
            "violated": broken["invariants"][mutant.invariant]["violated"],
        },
        "mended": {
            "runs": mended["runs"],
            "violated": max(counts["violated"] for counts in mended["invariants"].values()),
        },
    }


def main(names: list[str]) -> None:
    """Measure these mutants, or all, and keep what was measured of the others."""
    known = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for mutant in ZOO:
            if not names or mutant.name in names:
                known[mutant.name] = measure(mutant, Path(folder))
                print(mutant.name, known[mutant.name], flush=True)
    ordered = {mutant.name: known[mutant.name] for mutant in ZOO if mutant.name in known}
    MEASURED.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
