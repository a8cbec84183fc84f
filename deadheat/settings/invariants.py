"""The table ``[invariants]``: switches of those that are built in, and those of a team's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deadheat.errors import SettingsError
from deadheat.invariants import BUILT_IN, check_settings
from deadheat.invariants.own import of_function, of_query
from deadheat.settings import kinds
from deadheat.settings.python import load, reference
from deadheat.settings.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.invariants.invariant import Invariant

NEEDS = ("customers", "subscriptions", "effects", "webhook", "stripe")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def read_invariants(top: Table, folder: Path) -> tuple[dict[str, str], tuple[Invariant, ...]]:
    """Give the switches by invariant, and the invariants of the team's own."""
    table = top.table("invariants")
    if table is None:
        return {}, ()
    own = {name: Table(value, file=table.file, name=f"{table.name}.{name}")
           for name, value in table.data.items() if isinstance(value, dict)}  # fmt: skip
    switches = {name: table.require(name, kinds.text) for name in table.data if name not in own}
    try:
        check_settings(switches)
    except SettingsError as error:
        raise SettingsError(f"{top.file}: {error}") from None
    return switches, tuple(_own(name, inner, folder) for name, inner in own.items())


def _own(name: str, table: Table, folder: Path) -> Invariant:
    if name in {invariant.id for invariant in BUILT_IN}:
        raise SettingsError(
            f"{table.titled()}: {name} is built in. Call yours otherwise; write "
            f'{name} = "off" to switch that one off.'
        )
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{table.titled()}: an invariant is named in kebab-case, as in credits-add-up.")
    holds_when = table.take("holds-when", kinds.text, None)
    if ("sql" in table) == ("python" in table):
        raise SettingsError(
            f"{table.titled()} needs either sql (a query whose rows offend) or python (a function)"
            f"{', not both' if 'sql' in table else ''}."
        )
    if "sql" in table:
        made = of_query(name, table.require("sql", kinds.query), holds_when=holds_when)
        table.knows("python")
    else:
        named = table.require("python", reference)
        needs = table.take("needs", kinds.list_of(kinds.one_of(*NEEDS), "what it looks at"), ())
        table.knows("sql")
        function = load(named, folder, table.where("python"))
        made = of_function(name, function, holds_when=holds_when, needs=needs)
    table.refuse_unknown()
    return made
