"""The lines between load processes and the desk, and the desk itself over a real socket."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.engine.soak.desk import Desk
from deadheat.engine.soak.wire import (
    Acted,
    Answered,
    Joined,
    Left,
    Load,
    Named,
    Pass,
    Said,
    Stage,
    line,
    read,
)
from deadheat.settings import OperationSettings, Request

texts = st.text(max_size=20)
maybe = st.none() | texts
requests = st.builds(
    Request,
    method=texts,
    path=texts,
    json=st.none() | st.dictionaries(texts, texts, max_size=2),
    form=st.none() | st.dictionaries(texts, texts | st.lists(texts, max_size=2), max_size=2),
    headers=st.dictionaries(texts, texts, max_size=2),
    follow=st.booleans(),
    success=st.lists(st.integers(100, 599), max_size=3).map(tuple),
    capture=st.dictionaries(texts, texts, max_size=2),
)
operations = st.builds(
    OperationSettings,
    name=texts,
    calls=st.lists(requests, max_size=2).map(tuple),
    customer=maybe,
    checkout_session=maybe,
    session=maybe,
    refusals=st.lists(st.integers(100, 599), max_size=2).map(tuple),
)
said = st.one_of(
    st.builds(Pass, word=texts, plays=st.booleans()),
    st.builds(
        Stage,
        marker=texts,
        price=texts,
        people_max=st.integers(0),
        operations=st.dictionaries(texts, operations, max_size=2),
    ),
    st.builds(Joined, id=texts, email=texts, name=texts),
    st.builds(Named, person=texts, user_id=texts),
    st.builds(
        Answered,
        person=texts,
        tab=texts,
        operation=texts,
        user_id=texts,
        status=st.none() | st.integers(100, 599),
        success=st.booleans(),
        customer=maybe,
        body=texts,
    ),
    st.builds(
        Acted, person=texts, tab=texts, act=st.sampled_from(["pay", "cancel", "refund"]), session=maybe
    ),
    st.builds(
        Load,
        requests=st.integers(0),
        failures=st.integers(0),
        per_s=st.floats(0, 1e6),
        p50_ms=st.floats(0, 1e6),
        p95_ms=st.floats(0, 1e6),
    ),
    st.builds(Left, cut=st.lists(texts, max_size=2).map(tuple)),
)


@given(said)
def test_what_is_said_is_what_is_heard(one: Said | Stage) -> None:
    text = line(one)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert read(text) == one


@pytest.mark.parametrize("text", [b'{"kind":"nobody"}', b"[]", b"{}", b'{"kind":"joined"}', b"not json"])
def test_a_line_of_somebody_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"soak|Expecting"):
        read(text)


STAGE = Stage(marker="m", price="p", people_max=3, operations={})
ADA = Joined(id="1", email="ada@example.test", name="Ada")


async def at_the_desk(
    *lines: bytes, processes: int = 1, word: str | None = None
) -> tuple[Desk, list[Said], bytes]:
    """Say lines to a desk on one connection, after the pass; gives what it heard and answered."""
    heard: list[Said] = []
    async with Desk(STAGE, heard.append, processes=processes) as desk:
        host, _, rest = desk.where.partition(":")
        port, _, shown = rest.partition("/")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(line(Pass(word=shown if word is None else word, plays=True)) + b"".join(lines))
        writer.write_eof()
        answered = await reader.read()
        await desk.heard_out(5)
        writer.close()
    return desk, heard, answered


def test_a_process_is_given_a_stage_and_heard_until_it_leaves() -> None:
    load = Load(requests=2, failures=0, per_s=1.0, p50_ms=1.0, p95_ms=2.0)
    desk, heard, answered = asyncio.run(at_the_desk(line(ADA), line(Left(cut=("1",))), line(load)))
    assert heard == [ADA, Left(cut=("1",))]
    assert desk.over.is_set()
    assert desk.load == load
    stage = read(answered)
    assert isinstance(stage, Stage)
    assert stage.marker.startswith("m")
    assert stage.marker != "m", "each process has a marker of its own"


def test_a_process_that_hangs_up_has_not_left() -> None:
    desk, heard, _ = asyncio.run(at_the_desk(line(ADA)))
    assert heard == [ADA]
    assert (desk.playing, desk.left, desk.over.is_set()) == (1, 0, False)


def test_it_is_over_when_all_have_left() -> None:
    desk, _, _ = asyncio.run(at_the_desk(line(Left()), processes=2))
    assert (desk.left, desk.over.is_set()) == (1, False)


def test_nobody_is_heard_without_the_pass() -> None:
    desk, heard, answered = asyncio.run(at_the_desk(line(ADA), word="guessed"))
    assert (heard, answered, desk.playing) == ([], b"", 0)


def test_nonsense_is_a_failure_of_the_desk() -> None:
    desk, _, _ = asyncio.run(at_the_desk(json.dumps({"kind": "joined", "x": 1}).encode() + b"\n"))
    assert isinstance(desk.failure, ValueError)
