"""Search: the query language over customers and subscriptions, and its lag behind everything else.

What was made or changed less than `LAG` seconds ago, by the run's clock, is not found as it is now:
a new object is missing, and a changed one too. At Stripe the lag is up to a minute and more in an
outage, which is why "search, then create" makes duplicates. Source: Stripe docs, "Search".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.params import integer, text
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

LAG = 60
SEARCH = {"query": text(unset=False), "limit": integer(1, 100), "page": text(unset=False)}

_CLAUSE = re.compile(
    r"""\s*(?P<not>-)?(?P<field>[a-z_]+)(?:\[(?P<q>["'])(?P<key>.*?)(?P=q)\])?"""
    r"""(?P<op>:|~)(?P<q2>["'])(?P<value>(?:\\.|(?!(?P=q2)).)*)(?P=q2)\s*"""
)
_JOIN = re.compile(r"(AND|OR)\b", re.IGNORECASE)
_FIELDS = {"customer": ("email", "name", "phone", "metadata"), "subscription": ("status", "metadata")}


def customers(ledger: Ledger, call: Call) -> Json:
    """GET /v1/customers/search by e-mail, name, phone or metadata."""
    return _search(ledger, call, "customer")


def subscriptions(ledger: Ledger, call: Call) -> Json:
    """GET /v1/subscriptions/search by status or metadata."""
    return _search(ledger, call, "subscription")


def _search(ledger: Ledger, call: Call, kind: str) -> Json:
    clauses, every = _parse(call.args["query"], _FIELDS[kind])
    limit = call.args.get("limit", 10)
    skip = int(call.args["page"]) if call.args.get("page", "").isdigit() else 0
    found: list[Json] = []
    for kept in ledger.shelves[kind].newest_first({}):
        if kept.get("deleted") or ledger.written_at(kept["id"]) > ledger.now - LAG:
            continue
        verdicts = (_holds(clause, kept) for clause in clauses)
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


def _parse(query: str, fields: tuple[str, ...]) -> tuple[list[re.Match[str]], bool]:
    """Read a query: its clauses, and whether all must hold (AND) or one (OR)."""
    clauses: list[re.Match[str]] = []
    joins: set[str] = set()
    at = 0
    while True:
        clause = _CLAUSE.match(query, at)
        if clause is None or clause["field"] not in fields:
            raise invalid(f"We were unable to parse your search query: {query[:200]}", param="query")
        clauses.append(clause)
        at = clause.end()
        if at == len(query):
            break
        join = _JOIN.match(query, at)
        joins.add(join[1].upper() if join else "AND")
        at = join.end() if join else at
    if len(joins) > 1:
        raise invalid("Search queries can use either AND or OR, not both.", param="query")
    return clauses, joins != {"OR"}


def _holds(clause: re.Match[str], kept: Json) -> bool:
    wanted = re.sub(r"\\(.)", r"\1", clause["value"]).casefold()
    value = kept["metadata"].get(clause["key"]) if clause["field"] == "metadata" else kept[clause["field"]]
    present_value = "" if value is None else str(value).casefold()
    holds = value is not None and (
        wanted in present_value if clause["op"] == "~" else present_value == wanted
    )
    return holds != bool(clause["not"])
