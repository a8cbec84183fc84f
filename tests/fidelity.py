"""Makes docs/fidelity.md from the tests: `python tests/fidelity.py` writes it anew.

Tests say what they show by ``@pytest.mark.fidelity("area: behaviour")``; the marks are read from the
sources, nothing is run. `fidelity_list` names the behaviours that Deadheat answers for: a mark belongs
to each behaviour whose pattern its text matches, and one that matches none gets a row of its own. A
behaviour without a test must say why it is missing, and one with a test must not.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fidelity_list import BEHAVIOURS, BORROWED, NOT_THERE, Behaviour

from deadheat.stripe_sim.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

TOP = Path(__file__).resolve().parents[1]
PAGE = TOP / "docs" / "fidelity.md"
COMMAND = "python tests/fidelity.py"
_FURTHER = "Further"


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A test and one line that it carries; ``test`` is its pytest id, the path from the checkout's top."""

    test: str
    says: str


def marks(sources: Mapping[str, str]) -> Iterator[Mark]:
    """Find the marks in sources by path; those of a class or a module count for the class, the module.

    ValueError for a mark whose text is not written where it stands: it could not be read here.
    """
    for path, source in sources.items():
        module = ast.parse(source)
        for node in module.body:
            if isinstance(node, ast.Assign) and [_name(t) for t in node.targets] == ["pytestmark"]:
                listed = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
                yield from _said(listed, path)
        yield from _below(module, path)


def _below(scope: ast.Module | ast.ClassDef, at: str) -> Iterator[Mark]:
    for node in scope.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _said(node.decorator_list, f"{at}::{node.name}")
        if isinstance(node, ast.ClassDef):
            yield from _below(node, f"{at}::{node.name}")


def _said(decorators: Sequence[ast.expr], at: str) -> Iterator[Mark]:
    for found in decorators:
        if isinstance(found, ast.Call) and _name(found.func) == "pytest.mark.fidelity":
            text = found.args[0] if len(found.args) == 1 else None
            if not (isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value):
                raise ValueError(f"{at}: write the behaviour into the mark, as one string")
            yield Mark(at, " ".join(text.value.split()))


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def contradictions(behaviours: Iterable[Behaviour], found: Sequence[Mark]) -> Iterator[str]:
    """Find behaviours that no test shows and that are not called missing, and those that are both."""
    for behaviour in behaviours:
        tests = [mark.test for mark in found if behaviour.shown_by(mark.says)]
        if not tests and not behaviour.missing:
            yield f"{behaviour.text}: no test shows it. Mark one, or say in fidelity_list why it is missing."
        if tests and behaviour.missing:
            yield f"{behaviour.text}: called missing, but {tests[0]} shows it. Take the word away."


def page(behaviours: Sequence[Behaviour], found: Sequence[Mark]) -> str:
    """Give the page."""
    rows: dict[str, list[str]] = {behaviour.area: [] for behaviour in behaviours}
    for behaviour in behaviours:
        tests = sorted({mark.test for mark in found if behaviour.shown_by(mark.says)})
        shown = "<br>".join(map(_link, tests)) or f"**missing**: {behaviour.missing}"
        rows[behaviour.area].append(f"| {behaviour.text} | {shown} |")
    further: dict[tuple[str, str], list[str]] = {}
    for mark in sorted(found):
        if not any(behaviour.shown_by(mark.says) for behaviour in behaviours):
            further.setdefault(_placed(mark.says, rows), []).append(mark.test)
    for (area, says), tests in sorted(further.items()):
        rows.setdefault(area, []).append(f"| {says} | {'<br>'.join(map(_link, tests))} |")
    parts = [_head(behaviours, found), *(_table(area, lines) for area, lines in rows.items()), _routes()]
    return "\n".join(parts)


def _placed(says: str, areas: Iterable[str]) -> tuple[str, str]:
    """Give the area and the text of a mark that belongs to no listed behaviour."""
    prefix, colon, text = says.partition(": ")
    area = {name.casefold(): name for name in areas}.get(prefix.casefold()) if colon else None
    text = (text if area else says).replace("|", "\\|")
    return area or _FURTHER, text if "_" in text.partition(" ")[0] else text[0].upper() + text[1:]


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name.rpartition('::')[2] or Path(path).name}](../{path})"


def _head(behaviours: Sequence[Behaviour], found: Sequence[Mark]) -> str:
    missing = sum(bool(behaviour.missing) for behaviour in behaviours)
    return (
        "# What the Stripe simulator does as Stripe does\n\n"
        f"Made by `{COMMAND}` from the marks of the tests; a test fails when this page is stale. Each\n"
        "behaviour that a race can depend on has a row, with the tests that show it; one that is not there\n"
        f"says so. {len(behaviours)} behaviours were asked for, {missing} of them missing;\n"
        f"{len({mark.test for mark in found})} tests carry a mark. Those of Stripe's Node library are\n"
        "skipped, by name, where node or npm is missing, and those of stripe-mock where there is none.\n"
    )


def _table(area: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {area}\n", "| behaviour | shown by |", "|---|---|", *lines, ""])


def _routes() -> str:
    by_path: dict[str, list[str]] = {}
    for route in ROUTES:
        method, _, path = route.template.partition(" ")
        by_path.setdefault(path, []).append(method)
    modelled = [f"| `{path}` | {', '.join(sorted(methods))} |" for path, methods in sorted(by_path.items())]
    borrowed = ", ".join(f"`{name}`" for name in BORROWED)
    return "\n".join(
        [
            "## Routes\n",
            "Modelled, with state, events and idempotency keys:\n",
            "| path | methods |",
            "|---|---|",
            *modelled,
            "",
            "Every other route of API v1 is answered by stripe-mock, where there is one, under our request",
            "ids and idempotency keys: the shapes are Stripe's, nothing is remembered, no event is emitted,",
            "which is told once for each route that writes. Without stripe-mock it is a 404 that says so.",
            "What billing code asks for most among them:",
            f"{borrowed}.",
            "",
            "Not there, with stripe-mock or without:\n",
            *(f"- {line}" for line in NOT_THERE),
            "",
        ]
    )


def sources() -> dict[str, str]:
    """Give the sources of the tests by their path from the checkout's top, in order."""
    tests = sorted((TOP / "tests").rglob("test_*.py"))
    return {
        path.relative_to(TOP).as_posix(): path.read_text(encoding="utf-8")
        for path in tests
        if "node_modules" not in path.parts
    }


def main() -> None:
    """Write the page."""
    found = tuple(marks(sources()))
    PAGE.write_text(page(BEHAVIOURS, found), encoding="utf-8")
    for line in contradictions(BEHAVIOURS, found):
        print(line)


if __name__ == "__main__":
    main()
