"""Where the reference and the scenarios are found: a checkout's own, else what the wheel carries."""

from __future__ import annotations

from pathlib import Path

import pytest

import deadheat
from deadheat.bundled import NAMES, bundled
from deadheat.errors import SetupError

CHECKOUT = Path(deadheat.__file__).resolve().parents[1]


def installed(top: Path, *, carries: tuple[str, ...] = NAMES) -> Path:
    """Lay out a package as a wheel leaves it in site-packages, and give its folder."""
    for name in carries:
        (top / "deadheat" / "bundled" / name).mkdir(parents=True)
    return top / "deadheat"


def test_a_checkout_uses_its_own_folders() -> None:
    assert bundled("reference_impl") == CHECKOUT / "reference_impl"
    assert bundled("scenarios") == CHECKOUT / "scenarios"


def test_an_installation_uses_what_it_carries(tmp_path: Path) -> None:
    package = installed(tmp_path)
    for name in NAMES:
        assert bundled(name, package=package) == package / "bundled" / name


@pytest.mark.parametrize(
    "pyproject", [None, '[project]\nname = "other"\n', "[tool.x]\n", 'project = "deadheat"\n', "no toml ["]
)
def test_folders_beside_an_installation_are_somebody_elses(tmp_path: Path, pyproject: str | None) -> None:
    package = installed(tmp_path)
    (tmp_path / "scenarios").mkdir()
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    assert bundled("scenarios", package=package) == package / "bundled" / "scenarios"


def test_an_incomplete_installation_says_so(tmp_path: Path) -> None:
    package = installed(tmp_path, carries=("scenarios",))
    with pytest.raises(SetupError, match=r"incomplete: .*sql is missing"):
        bundled("sql", package=package)


def test_only_what_is_bundled_is_found() -> None:
    with pytest.raises(ValueError, match="reference_impl, scenarios, sql, loadtests"):
        bundled("tests")
