"""make and the scripts behind it, in a folder with a space in its name and with stubs for what they call."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from house_sources import TOP

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("sh", "env", "cat", "cksum", "cp", "dirname", "echo", "make", "mkdir", "rm")
# A Python that only says which it is: TOO_OLD and NO_VENV name those that are not what is wanted.
PYTHON = """#!/bin/sh
name=${0##*/}
case "$*" in
*version_info*) case " $TOO_OLD " in *" $name "*) exit 1 ;; esac ;;
*ensurepip*) case " $NO_VENV " in *" $name "*) exit 1 ;; esac ;;
"-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo "venv by $name" >>log ;;
"-m pip install "*) echo "$*" >>log; [ -z "$PIP_FAILS" ] || exit 1 ;;
esac
"""
# Says what reached it of its arguments and its environment.
ECHO = """#!/bin/sh
for word in "$@"; do echo "<$word>"; done
for name in VIRTUAL_ENV PYTHONPATH PIP_TARGET PIP_PREFIX PIP_INDEX_URL DEADHEAT_STRIPE_MOCK; do
    eval "echo \\"$name=\\${$name-unset}\\""
done
exit "${CODE:-0}"
"""


@dataclass(slots=True)
class Clone:
    """A folder with the scripts, and a PATH that holds only what is put there."""

    folder: Path
    bin: Path

    def put(self, path: str, text: str) -> None:
        """Write an executable file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755)

    def pythons(self, *names: str) -> None:
        """Have these Pythons."""
        for name in names:
            self.put(f"../bin/{name}", PYTHON)

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command here."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={"PATH": str(self.bin), **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    def log(self) -> list[str]:
        """Give what the stubs did since last asked."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path / "a clone", tmp_path / "bin")
    made.folder.mkdir()
    made.bin.mkdir()
    shutil.copytree(TOP / ".ci", made.folder / ".ci")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(TOP / name, made.folder)
    for name in TOOLS:
        found = shutil.which(name)
        assert found, f"this test needs {name}"
        (made.bin / name).symlink_to(found)
    return made


INSTALL = (
    "-m pip install --quiet --no-input --disable-pip-version-check --constraint constraints.txt --editable "
)


class TestEnvironment:
    """.ci/environment makes .venv once, and again when it has to."""

    def test_it_is_made_with_the_constraints_and_then_left_alone(self, clone: Clone) -> None:
        clone.pythons("python3")
        assert clone.run("sh", ".ci/environment", "dev").returncode == 0
        assert clone.log() == ["venv by python3", INSTALL + ".[dev]"]
        for extras in ((), ("dev",)):
            again = clone.run("sh", ".ci/environment", *extras)
            assert (again.returncode, again.stderr, clone.log()) == (0, "", [])

    def test_core_alone_does_not_do_for_dev(self, clone: Clone) -> None:
        clone.pythons("python3")
        clone.run("sh", ".ci/environment")
        clone.run("sh", ".ci/environment", "dev")
        assert clone.log() == ["venv by python3", INSTALL + ".", INSTALL + ".[dev]"]

    @pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
    def test_it_is_renewed_when_what_it_follows_changes(self, clone: Clone, changed: str) -> None:
        clone.pythons("python3")
        clone.run("sh", ".ci/environment")
        clone.log()
        times = os.stat(clone.folder / changed)
        (clone.folder / changed).write_text((clone.folder / changed).read_text() + "# more\n")
        os.utime(clone.folder / changed, (times.st_atime, times.st_mtime))
        clone.run("sh", ".ci/environment")
        assert clone.log() == [INSTALL + "."]

    def test_it_is_made_anew_when_the_clone_was_moved(self, clone: Clone) -> None:
        clone.pythons("python3")
        clone.run("sh", ".ci/environment")
        clone.log()
        clone.folder = clone.folder.rename(clone.folder.with_name("another place"))
        clone.run("sh", ".ci/environment")
        assert clone.log() == ["venv by python3", INSTALL + "."]

    def test_it_is_made_anew_when_its_python_is_gone(self, clone: Clone) -> None:
        clone.pythons("python3")
        clone.run("sh", ".ci/environment")
        (clone.folder / ".venv" / "bin" / "python").unlink()
        clone.log()
        clone.run("sh", ".ci/environment")
        assert clone.log() == ["venv by python3", INSTALL + "."]

    def test_a_failed_installation_is_tried_again(self, clone: Clone) -> None:
        clone.pythons("python3")
        assert clone.run("sh", ".ci/environment", PIP_FAILS="1").returncode != 0
        clone.log()
        assert clone.run("sh", ".ci/environment").returncode == 0
        assert clone.log() == [INSTALL + "."]

    @pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14", "python"])
    def test_another_python_does_where_python3_is_too_old(self, clone: Clone, name: str) -> None:
        clone.pythons("python3", name)
        assert clone.run("sh", ".ci/environment", TOO_OLD="python3").returncode == 0
        assert clone.log()[0] == f"venv by {name}"

    def test_another_python_does_where_one_cannot_make_environments(self, clone: Clone) -> None:
        clone.pythons("python3", "python3.12")
        assert clone.run("sh", ".ci/environment", NO_VENV="python3").returncode == 0
        assert clone.log()[0] == "venv by python3.12"

    def test_a_named_python_is_the_only_one_tried(self, clone: Clone) -> None:
        clone.pythons("python3", "mine")
        assert clone.run("sh", ".ci/environment", PYTHON="mine").returncode == 0
        assert clone.log()[0] == "venv by mine"
        shutil.rmtree(clone.folder / ".venv")
        assert clone.run("sh", ".ci/environment", PYTHON="mine", TOO_OLD="mine").returncode == 1
        assert clone.log() == []

    @pytest.mark.parametrize(
        ("names", "environ", "says"),
        [
            ((), {}, "Deadheat needs Python 3.11 or newer."),
            (
                ("python3",),
                {"TOO_OLD": "python3"},
                "needs Python 3.11 or newer; too old or broken here: python3.",
            ),
            (
                ("python3",),
                {"NO_VENV": "python3"},
                "Install them (Debian, Ubuntu: apt-get install python3-venv)",
            ),
        ],
    )
    def test_without_a_python_that_does_it_says_what_to_install(
        self, clone: Clone, names: tuple[str, ...], environ: dict[str, str], says: str
    ) -> None:
        clone.pythons(*names)
        done = clone.run("sh", ".ci/environment", **environ)
        assert done.returncode == 1
        assert says in done.stderr


class TestStripeMock:
    """.ci/stripe-mock fetches it once; what cannot be had is one line and no failure."""

    def test_it_is_installed_once(self, clone: Clone) -> None:
        clone.put(
            "../bin/go", '#!/bin/sh\necho "$*" >>log\nmkdir -p "$GOBIN" && cp "$0" "$GOBIN/stripe-mock"\n'
        )
        for _ in range(2):
            assert clone.run("sh", ".ci/stripe-mock").returncode == 0
        assert clone.log() == ["install github.com/stripe/stripe-mock@v0.197.0"]
        assert (clone.folder / ".tools" / "stripe-mock").exists()

    def test_without_go_one_line_says_so(self, clone: Clone) -> None:
        done = clone.run("sh", ".ci/stripe-mock")
        assert done.returncode == 0
        assert done.stderr.count("\n") == 1
        assert "takes Go" in done.stderr

    def test_where_it_cannot_be_fetched_one_line_says_so(self, clone: Clone) -> None:
        clone.put("../bin/go", "#!/bin/sh\necho no network >&2\nexit 1\n")
        done = clone.run("sh", ".ci/stripe-mock")
        assert done.returncode == 0
        assert "could not be fetched" in done.stderr.splitlines()[-1]
        assert (clone.folder / ".tools" / "stripe-mock.log").read_text() == "no network\n"


class TestMake:
    """make hands on what it was given, and keeps the outer environment out."""

    @pytest.fixture
    def ready(self, clone: Clone) -> Clone:
        """A clone in which everything is installed."""
        for name in ("deadheat", "python"):
            clone.put(f".venv/bin/{name}", ECHO)
        for name in ("environment", "stripe-mock"):
            clone.put(f".ci/{name}", "exit 0\n")
        return clone

    def test_race_races_the_reference(self, ready: Clone) -> None:
        done = ready.run("make", "race")
        assert [line for line in done.stdout.splitlines() if line.startswith("<")] == ["<run>"]

    def test_race_hands_on_target_and_arguments(self, ready: Clone) -> None:
        done = ready.run("make", "race", "TARGET=my app/deadheat.toml", "ARGS=--seconds 3 --keep all")
        words = [line for line in done.stdout.splitlines() if line.startswith("<")]
        assert words == [
            "<run>", "<--target>", "<my app/deadheat.toml>", "<--seconds>", "<3>", "<--keep>", "<all>",
        ]  # fmt: skip

    def test_race_fails_when_the_race_does(self, ready: Clone) -> None:
        assert ready.run("make", "race", CODE="1").returncode == 2

    def test_test_hands_on_arguments_to_pytest(self, ready: Clone) -> None:
        done = ready.run("make", "test", "ARGS=-k one")
        words = [line for line in done.stdout.splitlines() if line.startswith("<")]
        assert words[:2] == ["<-m>", "<pytest>"]
        assert words[-2:] == ["<-k>", "<one>"]

    @pytest.mark.parametrize("goal", ["race", "test"])
    def test_what_is_active_outside_stays_outside(self, ready: Clone, goal: str) -> None:
        outside = {"VIRTUAL_ENV": "/x", "PYTHONPATH": "/x", "PIP_TARGET": "/x", "PIP_PREFIX": "/x"}
        said = ready.run("make", goal, PIP_INDEX_URL="kept", **outside).stdout.splitlines()
        for name in outside:
            assert f"{name}=unset" in said
        assert "PIP_INDEX_URL=kept" in said

    @pytest.mark.parametrize("goal", ["race", "test"])
    def test_stripe_mock_is_passed_where_there_is_one_and_the_user_named_none(
        self, ready: Clone, goal: str
    ) -> None:
        assert "DEADHEAT_STRIPE_MOCK=unset" in ready.run("make", goal).stdout
        ready.put(".tools/stripe-mock", "")
        assert f"DEADHEAT_STRIPE_MOCK={ready.folder}/.tools/stripe-mock" in ready.run("make", goal).stdout
        assert "DEADHEAT_STRIPE_MOCK=off" in ready.run("make", goal, DEADHEAT_STRIPE_MOCK="off").stdout

    def test_alone_it_lists_what_there_is(self, ready: Clone) -> None:
        said = ready.run("make").stdout
        for goal in ("race", "test", "lint", "clean"):
            assert f"make {goal}" in said
