"""Statements that are neither SELECT nor a change of rows: transactions, settings, cursors, COPY, DDL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import postgast.pg_query_pb2 as pb

from deadheat.pgwire.touches import dotted, relation, touched

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """What is known of a utility statement; the label is not shortened yet."""

    label: str
    verb: str = "other"
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    passes: bool = False
    begins: bool = False
    ends: bool = False
    advisory_lock: bool = False
    resets: bool = False


def utility(kind: str, tree: Any) -> Utility:
    """Describe a statement by its kind, a field name of libpg_query's Node, such as "copy_stmt"."""
    known = _KNOWN.get(kind)
    return known(tree) if known is not None else _other(kind, tree)


_TRANSACTIONS: Final = {
    pb.TRANS_STMT_BEGIN: Utility(label="begin", verb="begin", passes=True, begins=True),
    pb.TRANS_STMT_START: Utility(label="begin", verb="begin", passes=True, begins=True),
    pb.TRANS_STMT_COMMIT: Utility(label="commit", verb="commit", ends=True),
    pb.TRANS_STMT_ROLLBACK: Utility(label="rollback", verb="rollback", ends=True),
    pb.TRANS_STMT_SAVEPOINT: Utility(label="savepoint", verb="savepoint", passes=True),
    pb.TRANS_STMT_RELEASE: Utility(label="release savepoint", verb="savepoint", passes=True),
    pb.TRANS_STMT_ROLLBACK_TO: Utility(label="rollback to savepoint", verb="rollback"),
    pb.TRANS_STMT_PREPARE: Utility(label="prepare transaction", ends=True),
    pb.TRANS_STMT_COMMIT_PREPARED: Utility(label="commit prepared", verb="commit"),
    pb.TRANS_STMT_ROLLBACK_PREPARED: Utility(label="rollback prepared", verb="rollback"),
}


def _transaction(tree: Any) -> Utility:
    if tree.chain:
        verb = "commit" if tree.kind == pb.TRANS_STMT_COMMIT else "rollback"
        return Utility(label=f"{verb} and chain", verb=verb, begins=True, ends=True)
    return _TRANSACTIONS.get(tree.kind) or Utility(label="transaction")


def _set(tree: Any) -> Utility:
    if tree.kind in (pb.VAR_RESET, pb.VAR_RESET_ALL):
        return Utility(label=f"reset {tree.name or 'all'}", verb="set", passes=True)
    return Utility(label=f"set {tree.name}".rstrip(), verb="set", passes=True)


def _show(tree: Any) -> Utility:
    return Utility(label=f"show {tree.name}", verb="show", passes=True)


def _discard(tree: Any) -> Utility:
    everything = tree.target == pb.DISCARD_ALL
    return Utility(label="discard all" if everything else "discard", passes=True, resets=everything)


def _copy(tree: Any) -> Utility:
    found = touched(tree.query)
    if tree.HasField("relation"):
        names = (relation(tree.relation),)
        if tree.is_from:
            return Utility(label=f"copy {names[0]} from", verb="copy", writes=names)
        return Utility(label=f"copy {names[0]} to", verb="copy", reads=names)
    return Utility(
        label="copy query to",
        verb="copy",
        reads=tuple(found.reads),
        writes=tuple(name for _, name in found.changes),
        functions=tuple(found.functions),
    )


def _call(tree: Any) -> Utility:
    return Utility(label=f"call {dotted(tree.funccall.funcname)}()", verb="call")


def _prepare(tree: Any) -> Utility:
    return Utility(label="prepare", reads=tuple(touched(tree.query).reads))


def _cursor(tree: Any) -> Utility:
    found = touched(tree.query)
    label = f"declare cursor {', '.join(found.reads)}".rstrip()
    return Utility(label=label, reads=tuple(found.reads), functions=tuple(found.functions))


def _explain(tree: Any) -> Utility:
    found = touched(tree.query)
    return Utility(
        label="explain",
        reads=tuple(found.reads),
        writes=tuple(name for _, name in found.changes),
        functions=tuple(found.functions),
    )


def _lock(tree: Any) -> Utility:
    names = tuple(relation(each.range_var) for each in tree.relations)
    return Utility(label=f"lock {', '.join(names)}", writes=names)


def _truncate(tree: Any) -> Utility:
    names = tuple(relation(each.range_var) for each in tree.relations)
    return Utility(label=f"truncate {', '.join(names)}", verb="ddl", writes=names)


def _drop(tree: Any) -> Utility:
    names = tuple(dotted(each.list.items) for each in tree.objects if each.WhichOneof("node") == "list")
    return Utility(label=f"drop {', '.join(names)}".rstrip(), verb="ddl", writes=names)


_DDL: Final = (
    "alter_",
    "cluster_",
    "comment_",
    "composite_type_",
    "create_",
    "define_",
    "grant_",
    "import_foreign_schema_",
    "index_",
    "refresh_",
    "reindex_",
    "rename_",
    "rule_",
    "view_",
)


def _other(kind: str, tree: Any) -> Utility:
    """Describe the rest by the name that libpg_query has for it: most of it is DDL."""
    found = touched(tree)
    name = kind.removesuffix("_stmt").replace("_", " ")
    if not kind.startswith(_DDL):
        return Utility(label=name, reads=tuple(found.reads), functions=tuple(found.functions))
    target = ""
    for field in ("relation", "view", "into"):
        if field in tree.DESCRIPTOR.fields_by_name and tree.HasField(field):
            holder = getattr(tree, field)
            target = relation(holder.rel if field == "into" else holder)
            break
    reads = tuple(each for each in found.reads if each != target)
    writes = (target,) if target else ()
    return Utility(label=f"{name} {target}".rstrip(), verb="ddl", reads=reads, writes=writes)


def _fixed(**what: Any) -> Callable[[Any], Utility]:
    found = Utility(**what)
    return lambda tree: found


_KNOWN: Final[dict[str, Callable[[Any], Utility]]] = {
    "transaction_stmt": _transaction,
    "variable_set_stmt": _set,
    "variable_show_stmt": _show,
    # Unlike SET it may check deferred constraints, and so wait for others and fail.
    "constraints_set_stmt": _fixed(label="set constraints", verb="set"),
    "discard_stmt": _discard,
    "deallocate_stmt": _fixed(label="deallocate", passes=True),
    "close_portal_stmt": _fixed(label="close", passes=True),
    "listen_stmt": lambda tree: Utility(label=f"listen {tree.conditionname}", verb="listen", passes=True),
    "unlisten_stmt": _fixed(label="unlisten", verb="listen", passes=True),
    "notify_stmt": lambda tree: Utility(label=f"notify {tree.conditionname}"),
    "copy_stmt": _copy,
    "call_stmt": _call,
    "do_stmt": _fixed(label="do", verb="call"),
    "prepare_stmt": _prepare,
    "execute_stmt": lambda tree: Utility(label=f"execute {tree.name}"),
    "declare_cursor_stmt": _cursor,
    "fetch_stmt": _fixed(label="fetch", verb="select"),
    "explain_stmt": _explain,
    "lock_stmt": _lock,
    "truncate_stmt": _truncate,
    "drop_stmt": _drop,
}
