"""What a parsed statement touches: the relations it names, the functions it calls, the rows it locks.

One walk over libpg_query's tree. A name that a WITH clause defines is no relation, in the scope that
Postgres gives it (manual, "WITH Queries"): in what follows and in the body, under RECURSIVE also in
itself and before. What triggers, foreign keys, views and functions touch cannot be seen here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

_CHANGES: Final = {
    "InsertStmt": "insert",
    "UpdateStmt": "update",
    "DeleteStmt": "delete",
    "MergeStmt": "merge",
}
_MESSAGE: Final = FieldDescriptor.TYPE_MESSAGE
_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class Touched:
    """What a walk has found, each in order of appearance."""

    reads: dict[str, None] = field(default_factory=dict)
    changes: dict[tuple[str, str], None] = field(default_factory=dict)  # (verb, relation)
    created: dict[str, None] = field(default_factory=dict)  # what SELECT INTO or CREATE TABLE AS makes
    functions: dict[str, None] = field(default_factory=dict)
    locks_rows: bool = False


def touched(tree: Any) -> Touched:
    """Walk a statement, a protobuf message of libpg_query."""
    found = Touched()
    _walk(tree, _NOBODY, found)
    return found


def relation(name: Any) -> str:
    """Give a RangeVar's name, with its schema if the text has one."""
    return f"{name.schemaname}.{name.relname}" if name.schemaname else str(name.relname)


def dotted(parts: Any) -> str:
    """Give a list of String nodes as one name."""
    return ".".join(part.string.sval for part in parts)


def _walk(node: Any, scope: frozenset[str], found: Touched) -> None:
    kind = node.DESCRIPTOR.name
    if kind == "RangeVar":
        if node.schemaname or node.relname not in scope:
            found.reads[relation(node)] = None
        return
    if kind == "IntoClause":
        found.created[relation(node.rel)] = None
        return
    if kind == "FuncCall":
        found.functions[dotted(node.funcname)] = None
    elif kind == "LockingClause":
        found.locks_rows = True
        return  # it names relations of the FROM clause, or their aliases
    skip = ""
    if kind in _CHANGES:
        found.changes[_CHANGES[kind], relation(node.relation)] = None
        skip = "relation"
    below = scope
    for descriptor, value in node.ListFields():
        if descriptor.name == "with_clause":
            below = _with(value, scope, found)
    for descriptor, value in node.ListFields():
        if descriptor.type != _MESSAGE or descriptor.name in ("with_clause", skip):
            continue
        for child in value if _is_many(value) else (value,):
            _walk(child, below, found)


def _with(clause: Any, scope: frozenset[str], found: Touched) -> frozenset[str]:
    """Walk a WITH clause; gives the scope of the statement that it belongs to."""
    tables = [each.common_table_expr for each in clause.ctes]
    if clause.recursive:
        scope |= {table.ctename for table in tables}
    for table in tables:
        _walk(table.ctequery, scope, found)
        scope |= {table.ctename}
    return scope


def _is_many(value: Any) -> bool:
    return not hasattr(value, "DESCRIPTOR")
