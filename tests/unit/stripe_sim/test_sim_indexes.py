"""Search and lists by their indexes against a plain scan over everything, whatever was written before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.stripe_sim import Account, ApiRequest
from deadheat.stripe_sim.form import encode
from deadheat.stripe_sim.packed import Packing
from deadheat.stripe_sim.search import LAG

pytestmark = pytest.mark.slow
Objects = dict[str, dict[str, Any]]
KEY = "sk_test_search"
EMAILS = st.sampled_from(["a@x.test", "A@x.test", "b@x.test", ""])
NAMES = st.sampled_from(["Ada", "ada", "Straße", "STRASSE", ""])
TAGS = st.dictionaries(st.sampled_from(["k", "K", "0"]), st.sampled_from(["1", "a", "A", ""]), max_size=2)
WRITE = st.one_of(
    st.tuples(st.just("create"), st.just(0), EMAILS, NAMES, TAGS),
    st.tuples(st.just("update"), st.integers(0, 9), EMAILS, NAMES, TAGS),
    st.tuples(st.sampled_from(["delete", "search", "tick"]), st.integers(0, 9), EMAILS, NAMES, TAGS),
)
FIELD = st.one_of(
    st.sampled_from(["email", "name"]), st.sampled_from(["metadata['k']", 'metadata["K"]', "metadata['0']"])
)
CLAUSE = st.tuples(
    st.booleans(),
    FIELD,
    st.sampled_from([":", "~"]),
    st.sampled_from(["a@x.test", "ADA", "strasse", "1", "a", ""]),
)


@given(st.lists(WRITE, min_size=1, max_size=25), st.lists(CLAUSE, min_size=1, max_size=3), st.booleans())
def test_search_finds_what_a_scan_finds(writes: list[Any], clauses: list[Any], every: bool) -> None:
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    query = f" {'AND' if every else 'OR'} ".join(
        f"{'-' if negated else ''}{field}{op}'{value}'" for negated, field, op, value in clauses
    )
    plain, written_at, before = _play(account, writes, query)
    seen = [
        kept if written_at[object_id] <= account.now - LAG else before.get(object_id)
        for object_id, kept in reversed(plain.items())
    ]
    expected = [
        kept["id"]
        for kept in seen
        if kept is not None
        and not kept.get("deleted")
        and (all if every else any)(_holds(kept, *clause) for clause in clauses)
    ]
    found: list[str] = []
    page: dict[str, str] = {}
    while True:
        said = _get(account, "/v1/customers/search", {"query": query, "limit": "2", **page})
        found += [kept["id"] for kept in said["data"]]
        if not said["has_more"]:
            break
        page = {"page": said["next_page"]}
    assert found == expected


@given(st.lists(WRITE, min_size=1, max_size=25), EMAILS, st.integers(1, 3), st.booleans())
def test_lists_by_email_give_what_a_scan_gives(
    writes: list[Any], email: str, limit: int, backward: bool
) -> None:
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    plain, _, _ = _play(account, writes, "email:'a@x.test'")
    where = {"email": email} if email else {}
    there = [k for k in reversed(plain.values()) if not k.get("deleted")]
    expected = [k["id"] for k in there if not email or k["email"] == email]
    cursor, ids = ("ending_before", list[str]()) if backward else ("starting_after", list[str]())
    start = there[-1]["id"] if backward and there else None
    if start in expected[-1:]:
        expected.pop()
    while True:
        params = {**where, "limit": str(limit), **({cursor: start} if start else {})}
        said = _get(account, "/v1/customers", params)
        page = [kept["id"] for kept in said["data"]]
        ids = page + ids if backward and start else ids + page
        if not said["has_more"]:
            break
        start = page[0] if backward else page[-1]
    assert ids == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0])
    | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4), min_size=1, max_size=8))
def test_what_is_packed_comes_out_as_it_was(objects: list[dict[str, Any]]) -> None:
    packing = Packing()
    packed = [packing.pack(made) for made in objects]
    assert [json.dumps(packing.unpack(p)) for p in packed] == [json.dumps(made) for made in objects]


def _play(account: Account, writes: list[Any], query: str) -> tuple[Objects, dict[str, int], Objects]:
    """Write, and search now and then, so that indexes are made before the first write, or between, or after.

    Gives the objects, when each was written, and each as search finds it while that is too new.
    """
    plain: Objects = {}
    written_at: dict[str, int] = {}
    before: Objects = {}
    for act, number, email, name, tags in writes:
        living = [object_id for object_id, kept in plain.items() if not kept.get("deleted")]
        if act == "tick":
            account.tick(number * 10)
        elif act == "search":
            _get(account, "/v1/customers/search", {"query": query})
            _get(account, "/v1/customers", {"email": "a@x.test"})
        elif act == "create" or living:
            there = "" if act == "create" else f"/{living[number % len(living)]}"
            form = {} if act == "delete" else {"email": email, "name": name, "metadata": tags}
            made = _ask(account, "DELETE" if act == "delete" else "POST", f"/v1/customers{there}", body=form)
            object_id, old = made["id"], plain.get(made["id"])
            if made == old:
                continue
            if made.get("deleted"):
                before.pop(object_id, None)
            elif old is not None and written_at[object_id] <= account.now - LAG:
                before[object_id] = old
            plain[object_id], written_at[object_id] = made, account.now
    return plain, written_at, before


def _holds(kept: dict[str, Any], negated: bool, field: str, op: str, value: str) -> bool:
    said = kept["metadata"].get(field[10]) if field.startswith("metadata") else kept[field]
    if said is None:
        return negated
    wanted, there = value.casefold(), said.casefold()
    return bool((wanted in there if op == "~" else wanted == there) != negated)


def _get(account: Account, path: str, params: dict[str, str]) -> dict[str, Any]:
    return _ask(account, "GET", path, query=params)


def _ask(account: Account, method: str, path: str, *, query: Any = None, body: Any = None) -> dict[str, Any]:
    call = account.parse(
        ApiRequest(
            method=method,
            path=path,
            query=encode(query or {}),
            body=encode(body or {}).encode(),
            headers={"authorization": f"Bearer {KEY}"},
        )
    )
    account.received(call)
    account.effect(call)
    response = account.response(call)
    assert response.status == 200, response.body
    said: dict[str, Any] = json.loads(response.body)
    return said
