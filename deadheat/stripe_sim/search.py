"""Search: the query language over what can be searched, and its lag behind everything else.

What was made less than `Ledger.search_lag` seconds ago, by the run's clock, is not found, and what was
changed since then is found as it was before. At Stripe that takes up to a minute, and more in an outage,
which is why "search, then create" makes duplicates. Source: Stripe docs, "Search", "Data freshness".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.params import integer, text
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json, Shelf
    from deadheat.stripe_sim.wire import Call

LAG = 60
SEARCH = {"query": text(unset=False), "limit": integer(1, 100), "page": text(unset=False)}

_CLAUSE = re.compile(
    r"""\s*(?P<not>-)?(?P<field>[a-z_]+)(?:\[(?P<q>["'])(?P<key>.*?)(?P=q)\])?"""
    r"""(?P<op>:|~|[<>]=?)"""
    r"""(?:(?P<q2>["'])(?P<value>(?:\\.|(?!(?P=q2)).)*)(?P=q2)|(?P<number>[0-9]{1,18})|(?P<null>null))\s*"""
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_JOIN = re.compile(r"(AND|OR)\b", re.IGNORECASE)
_FIELDS = {
    "charge": ("amount", "created", "currency", "customer", "disputed", "metadata", "refunded", "status"),
    "customer": ("created", "email", "metadata", "name", "phone"),
    "invoice": ("created", "currency", "customer", "metadata", "number", "status", "subscription", "total"),
    "payment_intent": ("amount", "created", "currency", "customer", "metadata", "status"),
    "price": ("active", "currency", "lookup_key", "metadata", "product", "type"),
    "product": ("active", "description", "metadata", "name", "url"),
    "subscription": ("canceled_at", "created", "metadata", "status"),
}
"""What each kind is searched by. Source: Stripe docs, "Search", "Query fields"."""
_NUMBERS = frozenset({"amount", "canceled_at", "created", "total"})
_FLAGS = frozenset({"active", "disputed", "refunded"})
_KEPT_AS = {"subscription": "_subscription"}
_COMPARED = {":": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


def of(kind: str) -> Callable[[Ledger, Call], Json]:
    """Give what GET /v1/KINDs/search does."""
    return lambda ledger, call: _search(ledger, call, kind)


def _search(ledger: Ledger, call: Call, kind: str) -> Json:
    clauses, every = _parse(call.args["query"], _FIELDS[kind])
    limit = call.args.get("limit", 10)
    skip = _skipped(call.args.get("page"))
    shelf = ledger.shelves[kind]
    found: list[Json] = []
    for kept in shelf.as_searched(ledger.now - ledger.search_lag, _places(shelf, clauses, every)):
        verdicts = (clause.holds(kept) for clause in clauses)
        if all(verdicts) if every else any(verdicts):
            found.append(kept)
            if len(found) > skip + limit:
                break
    has_more = len(found) > skip + limit
    return {
        "object": "search_result",
        "data": [present(kept, call.api_version) for kept in found[skip : skip + limit]],
        "has_more": has_more,
        "next_page": str(skip + limit) if has_more else None,
        "url": call.request.path,
    }


def _places(shelf: Shelf, clauses: Sequence[_Clause], every: bool) -> Sequence[int] | None:
    """Give the places to look at, oldest first; None where no index tells (all but ``field:'value'``)."""
    told = [shelf.places(c.field, c.term) for c in clauses if c.exact]
    if every:
        return min(told, key=len, default=None)
    return sorted({*chain(*told)}) if len(told) == len(clauses) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clause:
    """One clause of a query: ``-field[key]~'value'``, the value case-folded, a number or None for null."""

    field: str
    key: str | None
    op: str
    value: str | int | None
    negated: bool

    @property
    def exact(self) -> bool:
        """Whether only objects that say just this match."""
        said = self.op == ":" and isinstance(self.value, str) and not self.negated
        return said and self.field not in _FLAGS

    @property
    def term(self) -> Any:
        """What an index files it under."""
        return self.value if self.key is None else (self.key, self.value)

    def holds(self, kept: Json) -> bool:
        """Say whether an object matches."""
        value = kept[self.field] if self.key is None else kept[self.field].get(self.key)
        return self._matches(value) != self.negated

    def _matches(self, value: Any) -> bool:
        if value is None or self.value is None:
            return value is self.value
        if isinstance(self.value, int):
            return bool(_COMPARED[self.op](value, self.value))
        said = str(value).casefold()
        return self.value in said if self.op == "~" else said == self.value

    @property
    def makes_sense(self) -> bool:
        """Whether the field can be asked this: times are compared, words match or are null."""
        if self.field in _NUMBERS:
            return isinstance(self.value, int) and self.op in _COMPARED
        has_key = self.key is not None
        asked = self.op == ":" if self.value is None else self.op in ":~"
        return asked and not isinstance(self.value, int) and has_key == (self.field == "metadata")


def _parse(query: str, fields: tuple[str, ...]) -> tuple[list[_Clause], bool]:
    """Read a query: its clauses, and whether all must hold (AND) or one (OR)."""
    clauses: list[_Clause] = []
    joins: set[str] = set()
    at = 0
    while True:
        read = _CLAUSE.match(query, at)
        clause = _read(read) if read is not None and read["field"] in fields else None
        if read is None or clause is None or not clause.makes_sense:
            raise invalid(f"We were unable to parse your search query: {query[:200]}", param="query")
        clauses.append(clause)
        at = read.end()
        if at == len(query):
            break
        join = _JOIN.match(query, at)
        joins.add(join[1].upper() if join else "AND")
        at = join.end() if join else at
    if len(joins) > 1:
        raise invalid("Search queries can use either AND or OR, not both.", param="query")
    return clauses, joins != {"OR"}


def _read(read: re.Match[str]) -> _Clause:
    value: str | int | None = None
    if read["number"] is not None:
        value = int(read["number"])
    elif read["value"] is not None:
        value = _ESCAPED.sub(r"\1", read["value"]).casefold()
    return _Clause(
        field=_KEPT_AS.get(read["field"], read["field"]),
        key=read["key"],
        op=read["op"],
        value=value,
        negated=read["not"] is not None,
    )


def _skipped(page: str | None) -> int:
    """Read how many results the pages before this one had."""
    if page is None:
        return 0
    if not re.fullmatch("[0-9]{1,9}", page):
        raise invalid(f"Invalid page: {page[:100]}", param="page")
    return int(page)
