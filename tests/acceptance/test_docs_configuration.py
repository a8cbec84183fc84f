"""Every key that a settings file may have stands in an example of the docs, and every example loads.

The keys are not listed here: they are those that the readers ask for while they read the examples.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from conftest import CHECKOUT
from documented import blocks

from deadheat.settings import load_settings
from deadheat.settings.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.settings import Settings

PAGES = ("configuration.md", "invariants.md", "levels.md")
EXAMPLES = [
    (page, n, text) for page in PAGES for n, text in enumerate(blocks(CHECKOUT / "docs" / page, "toml"), 1)
]
ENVIRON = {"STRIPE_SECRET_KEY": "sk_" + "test_of_the_docs", "STRIPE_WEBHOOK_SECRET": "whsec_of_the_docs"}
NAMED = "target.operations.", "invariants."  # tables whose last part is a name of the team's own
FREE = {"target.env", "target.statuses", "invariants"}  # tables whose keys are the team's own


def whole(text: str) -> str:
    """Make a part of a file one that can be read: with a target that is started."""
    return (
        text
        if re.search(r"^\[target\]", text, re.MULTILINE)
        else f'[target]\nstart = "serve {{port}}"\n{text}'
    )


def load(text: str, folder: Path) -> Settings:
    """Load an example, the modules of the docs beside it."""
    for page in PAGES:
        for module in blocks(CHECKOUT / "docs" / page, "python"):
            name = re.match(r"# (\w+\.py)\n", module)
            assert name, module
            (folder / name[1]).write_text(module)
    (folder / "deadheat.toml").write_text(whole(text))
    return load_settings(options={}, environ=ENVIRON, cwd=folder)


@pytest.mark.parametrize(
    ("page", "n", "text"), EXAMPLES, ids=[f"{page}-{n}" for page, n, _ in EXAMPLES]
)  # fmt: skip
def test_an_example_loads(page: str, n: int, text: str, tmp_path: Path) -> None:
    assert load(text, tmp_path).target


def kind_of(table: str) -> str:
    """Name a table without what the team calls its parts."""
    table = re.sub(r"\[\d+\]", "", table).removesuffix(".calls")
    for prefix in NAMED:
        if table.startswith(prefix) and table.count(".") == prefix.count("."):
            return f"{prefix}NAME"
    return table


def test_every_key_stands_in_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, set[str]] = defaultdict(set)
    shown: dict[str, set[str]] = defaultdict(set)
    refuse_unknown = Table.refuse_unknown

    def noting(table: Table) -> None:
        refuse_unknown(table)
        asked[kind_of(table.name)] |= set(table._asked)
        shown[kind_of(table.name)] |= set(table.data)

    monkeypatch.setattr(Table, "refuse_unknown", noting)
    for _, _, text in EXAMPLES:
        load(text, tmp_path)
    missing = {table: keys - shown[table] for table, keys in asked.items() if table not in FREE}
    assert {table: keys for table, keys in missing.items() if keys} == {}
    assert {"", "target", "target.operations.NAME", "target.webhook", "target.webhooks", "target.tables",
            "target.cleanup", "invariants.NAME", "safety"} <= set(asked)  # fmt: skip


def test_the_invariants_of_the_docs_are_the_two(tmp_path: Path) -> None:
    own = [i.id for _, _, text in EXAMPLES for i in load(text, tmp_path).own_invariants]
    assert own == ["one-credit-an-invoice", "credits-are-paid-for"]
