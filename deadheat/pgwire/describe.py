"""What a statement is, from its text: a label for people, what it touches, and whether it may pass.

libpg_query (Postgres' own grammar) reads the text; what it cannot read gets a label from its first
words and never passes. All of it labels steps and ranks choices. Only ``passes`` decides anything, so it
is narrow: a statement passes when it can wait for nobody and no other connection can tell when it ran.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import postgast
from google.protobuf.message import DecodeError

from deadheat.pgwire import lexical
from deadheat.pgwire.limits import DESCRIBED_MAX, PARSED_MAX
from deadheat.pgwire.touches import Touched, touched
from deadheat.pgwire.utility import utility

LABEL_MAX: Final = 60
# Functions that a select without tables may call and still pass: they tell of this session alone.
_QUIET: Final = frozenset(
    {
        "version",
        "now",
        "current_schema",
        "current_schemas",
        "current_database",
        "current_setting",
        "set_config",  # SET as a function
        "pg_backend_pid",
        "pg_is_in_recovery",
    }
)
_UNLOCK_ALL: Final = "pg_advisory_unlock_all"
_SESSION_LOCK: Final = re.compile(r"(?:pg_catalog\.)?pg_(?:try_)?advisory_lock(?:_shared)?")
# Functions of pg_catalog that act on others, or wait: a select that calls one does not pass.
_ACTING: Final = re.compile(
    r"(?:pg_catalog\.)?(?:pg_(?:try_)?advisory_\w+|pg_(?:terminate|cancel)_backend|pg_notify|pg_sleep\w*|nextval|setval|lo_\w+)"
)
_CATALOG: Final = re.compile(r"(?:pg_catalog|information_schema)\.|pg_[^.]*\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One statement, described.

    ``reads`` and ``writes`` name relations as the text does; ``begins`` and ``ends`` tell of a transaction;
    ``advisory_lock``: it takes an advisory lock of the session; ``resets``: part of a pool's reset query.
    """

    label: str
    verb: str
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    passes: bool = False
    begins: bool = False
    ends: bool = False
    advisory_lock: bool = False
    resets: bool = False


UNKNOWN: Final = Described(label="unknown statement", verb="other")


def describe(sql: str) -> tuple[Described, ...]:
    """Describe each statement of a text; an empty text has none. Never raises.

    >>> describe("insert into profiles select * from seeds")[0].label
    'insert profiles'
    """
    return tuple(described for _, described in statements(sql))


def statements(sql: str) -> tuple[tuple[str, Described], ...]:
    """Give each statement of a text with its own text; a single one keeps the text as it was.

    A text over `PARSED_MAX` counts as one statement, known by its first words.
    """
    return _statements(sql) if len(sql) <= PARSED_MAX else ((sql, _first_words(sql)),)


@lru_cache(maxsize=DESCRIBED_MAX)
def _statements(sql: str) -> tuple[tuple[str, Described], ...]:
    if "\0" in sql:
        return _by_words(sql)
    try:
        parsed = postgast.parse(sql).stmts
    except (postgast.PgQueryError, DecodeError, UnicodeError):
        return _by_words(sql)
    if len(parsed) == 1:
        found = [(sql, _described(parsed[0].stmt))]
    else:
        encoded = sql.encode()
        found = [(_part(encoded, raw), _described(raw.stmt)) for raw in parsed]
    return _resets(found)


def shortened(label: str) -> str:
    """Bring a label to one line of at most `LABEL_MAX` characters."""
    line = _CONTROL.sub(" ", label)
    return line if len(line) <= LABEL_MAX else f"{line[: LABEL_MAX - 1]}…"


def _part(encoded: bytes, raw: Any) -> str:
    end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(encoded)
    return encoded[raw.stmt_location : end].decode(errors="replace").strip()


def _described(node: Any) -> Described:
    kind = node.WhichOneof("node")
    tree = getattr(node, kind)
    if kind == "select_stmt":
        return _select(touched(tree))
    if kind in ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"):
        return _change(touched(tree), kind.removesuffix("_stmt"))
    found = utility(kind, tree)
    return Described(
        label=shortened(found.label),
        verb=found.verb,
        reads=frozenset(found.reads),
        writes=frozenset(found.writes),
        passes=found.passes,
        begins=found.begins,
        ends=found.ends,
        advisory_lock=found.advisory_lock or any(map(_SESSION_LOCK.fullmatch, found.functions)),
        resets=found.resets,
    )


def _select(found: Touched) -> Described:
    if found.changes:
        return _change(found, next(iter(found.changes))[0])
    called = [name for name in found.functions if name.removeprefix("pg_catalog.") not in _QUIET]
    writes = frozenset(found.created)
    if found.reads:
        calls = False
        label = f"select {', '.join(found.reads)}{' for update' if found.locks_rows else ''}"
        passes = all(map(_CATALOG.match, found.reads)) and not any(map(_ACTING.fullmatch, called))
    else:
        calls = bool(called)
        label = f"call {', '.join(f'{name}()' for name in called)}" if called else _constant(found)
        passes = not called
    return Described(
        label=shortened(label),
        verb="call" if calls else "select",
        reads=frozenset(found.reads),
        writes=writes,
        passes=passes and not writes and not found.locks_rows,
        advisory_lock=any(map(_SESSION_LOCK.fullmatch, called)),
        resets=not found.reads and [name.removeprefix("pg_catalog.") for name in called] == [_UNLOCK_ALL],
    )


def _constant(found: Touched) -> str:
    return f"select {', '.join(f'{name}()' for name in found.functions)}" if found.functions else "select"


def _change(found: Touched, verb: str) -> Described:
    """Describe what changes rows; one that hides in a WITH clause counts as if it stood alone."""
    label = ", ".join(f"{each} {relation}" for each, relation in found.changes)
    return Described(
        label=shortened(label),
        verb=verb,
        reads=frozenset(found.reads),
        writes=frozenset(relation for _, relation in found.changes),
        advisory_lock=any(map(_SESSION_LOCK.fullmatch, found.functions)),
    )


def _resets(found: list[tuple[str, Described]]) -> tuple[tuple[str, Described], ...]:
    """Mark a pool's reset query: all that passes beside a DISCARD ALL or pg_advisory_unlock_all().

    asyncpg puts a ROLLBACK before it when a transaction is open; that one stays a choice.
    """
    quiet = all(each.passes or each.resets or each.verb == "rollback" for _, each in found)
    if not quiet or not any(each.resets for _, each in found):
        return tuple(found)
    return tuple(
        (sql, described if described.verb == "rollback" else replace(described, resets=True, passes=True))
        for sql, described in found
    )


def _by_words(sql: str) -> tuple[tuple[str, Described], ...]:
    """Describe what cannot be parsed by its first words."""
    return tuple((part, _first_words(part)) for part in lexical.split(sql))


def _first_words(sql: str) -> Described:
    found = [*lexical.words(sql[:PARSED_MAX], 3), "", "", ""]
    verb, relation = found[0], ""
    if verb == "insert" or verb == "delete" or verb == "merge":
        relation = found[2]
    elif verb == "update":
        relation = found[1] if found[1] != "only" else found[2]
    if relation:
        writes = frozenset({relation})
        return Described(label=shortened(f"{verb} {relation}"), verb=verb, writes=writes)
    label = shortened(" ".join(found[:2]).strip() or "unreadable statement")
    ends = verb in ("commit", "rollback", "end", "abort")
    known = ("select", "set", "show", "listen", "copy", "call", "commit", "rollback", "begin")
    return Described(label=label, verb=verb if verb in known else "other", ends=ends, begins=verb == "begin")
