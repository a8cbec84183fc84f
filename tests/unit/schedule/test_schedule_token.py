"""A schedule's two written forms: what is written reads back, and what is not whole is refused."""

from __future__ import annotations

import json
import re
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deadheat.errors import TokenError
from deadheat.schedule import TOKEN_MAX, Schedule, StepName, Switch, fingerprint_of
from deadheat.schedule.names import digest
from deadheat.schedule.token import EXAMPLE, LOOKS_LIKE, write

keys = st.builds(
    lambda strand, label, nth: StepName(strand, label, nth).key,
    st.sampled_from(["A1", "B2", "C1/customer.created/1/b", "unattributed"]),
    st.sampled_from(["flight insert profiles", "effect POST /v1/customers"]),
    st.integers(1, 3),
)
switches = st.builds(Switch, keys, st.lists(keys, min_size=1, max_size=2).map(tuple))
schedules = st.builds(
    Schedule,
    scenario=st.one_of(st.from_regex("[a-z0-9.-]+", fullmatch=True), st.text()),
    source=st.from_regex("[0-9a-f]{8}", fullmatch=True),
    seed=st.integers(0, 2**32 - 1),
    dropped=st.lists(keys, max_size=3).map(tuple),
    switches=st.lists(switches, max_size=12).map(tuple),
    yields=st.booleans(),
    steps=st.lists(keys, max_size=20).map(tuple),
)


def sealed(body: str) -> str:
    """Give a token whose end fits, so that it is the parts that have to be refused."""
    return f"{body}_k{digest(body, 3)}"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(schedules)
def test_a_token_reads_back_as_its_schedule(schedule: Schedule) -> None:
    token = schedule.token()
    if token is not None:
        assert re.fullmatch(r"dh1-[A-Za-z0-9._~-]{1,196}", token)
        read = Schedule.parse(token)
        assert read.steps == ()
        assert read == Schedule(
            **{
                name: getattr(schedule, name)
                for name in ("scenario", "source", "seed", "dropped", "switches", "yields", "fingerprint")
            }
        )


@given(schedules)
def test_only_length_keeps_a_token_from_being_written(schedule: Schedule) -> None:
    assert (schedule.token() is None) == (len(schedule._written()) > TOKEN_MAX)


def test_ten_switches_fit_and_twenty_do_not() -> None:
    switch = Switch(StepName("A1", "flight").key, (StepName("B1", "flight").key,))
    ten = Schedule(
        scenario="checkout.two-tabs", source="1a2b3c4d", switches=(switch,) * 10, steps=(switch.at,)
    )
    assert ten.token()
    twenty = Schedule(scenario="checkout.two-tabs", source="1a2b3c4d", switches=(switch,) * 20)
    assert twenty.token() is None


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(scenario="s", source="not hex!"),
        Schedule(scenario="s", source="1a2b3c4d", dropped=("A1.B1",)),
        Schedule(scenario="s", source="1a2b3c4d", dropped=("",)),
        Schedule(scenario="s", source="1a2b3c4d", switches=(Switch("A1-B1", ("C1",)),)),
        Schedule(scenario="s", source="1a2b3c4d", switches=(Switch("A1", ()),)),
        Schedule(scenario="s", source="1a2b3c4d", seed=-1),
    ],
)
def test_what_a_token_cannot_hold_has_none(schedule: Schedule) -> None:
    assert schedule.token() is None


@given(st.text(), st.sampled_from(["", "dh1-", "dh1-checkout.two-tabs_1a2b3c4d_", "dh2-", "dh1-@"]))
def test_any_text_is_read_or_refused(text: str, start: str) -> None:
    with pytest.raises(TokenError):
        Schedule.parse(start + text)


@given(
    st.text(alphabet="ab~0.-", max_size=8),
    st.text(alphabet="abcdef0123456789", min_size=7, max_size=9),
    st.lists(st.text(alphabet="dfpsyz1A.-~0", max_size=12), max_size=4),
)
@example("~ff", "1a2b3c4d", [])
@example("~61", "1a2b3c4d", [])
@example("a", "1a2b3c4d", ["s07"])
def test_what_reads_is_what_would_be_written(scenario: str, source: str, fields: list[str]) -> None:
    token = sealed("_".join([f"dh1-{scenario}", source, *fields]))
    try:
        read = Schedule.parse(token)
    except TokenError:
        return
    assert read.token() == token


def test_a_changed_or_lost_character_is_noticed() -> None:
    # The check is three characters of 36: it misses one change in 46,656. Here are all 3,400 changes
    # of one character of one token.
    for place in range(len(EXAMPLE)):
        for other in ("", *string.ascii_letters, *string.digits, *"._~-"):
            changed = EXAMPLE[:place] + other + EXAMPLE[place + 1 :]
            if changed != EXAMPLE:
                with pytest.raises(TokenError):
                    Schedule.parse(changed)


EVERY_MISTAKE = [
    ("checkout.two-tabs", "it does not begin with dh1-"),
    ("", "it does not begin with dh1-"),
    ("dh2-x_1a2b3c4d_k00", "it was made by another version of Deadheat, which writes dh2-"),
    ("dh1-@0f3a", "it only names a file, .deadheat/findings/0f3a.json; replay that file"),
    (f"{EXAMPLE[:-1]}", "a character of it is missing or changed: its end does not fit the rest"),
    (EXAMPLE.replace("two", "tow"), "a character of it is missing or changed: its end does not fit the rest"),
    (EXAMPLE.replace("_", " "), "it holds ' ', which no token does"),
    (write("x", "1a2b3c4", {}), "its scenario's source, '1a2b3c4', is not eight hex digits"),
    (write("x", "1a2b3c4d", {"z": "1"}), "it holds a part that is not understood, 'z1'"),
    (write("x", "1a2b3c4d", {"p": "A1"}), "it holds a part that is not understood, 'pA1'"),
    (
        write("x", "1a2b3c4d", {"s": "1_d2"}),
        "its parts are repeated, out of order, or not as Deadheat writes them",
    ),
]


@pytest.mark.parametrize(("token", "why"), EVERY_MISTAKE)
def test_an_error_says_what_is_wrong_and_what_a_token_looks_like(token: str, why: str) -> None:
    with pytest.raises(TokenError) as caught:
        Schedule.parse(token)
    assert str(caught.value) == f"{token!r} is no schedule: {why}. {LOOKS_LIKE}"


def test_a_text_too_long_is_shown_shortened() -> None:
    with pytest.raises(TokenError, match=re.escape("a…' is no schedule: it has 304 characters, 200 at most")):
        Schedule.parse("dh1-" + "a" * 300)


def test_the_example_in_the_errors_is_a_token() -> None:
    assert Schedule.parse(EXAMPLE).token() == EXAMPLE


def test_a_fingerprint_tells_orders_apart() -> None:
    assert fingerprint_of(["A1", "B1"]) != fingerprint_of(["B1", "A1"])
    assert Schedule(scenario="s", source="1a2b3c4d", steps=("A1",)).fingerprint == fingerprint_of(["A1"])


@given(schedules)
def test_json_keeps_all_of_it(schedule: Schedule) -> None:
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


@given(schedules, st.sampled_from(["scenario", "source", "seed", "dropped", "switches", "steps"]), anything)
@example(Schedule(scenario="s", source="1a2b3c4d"), "switches", {})
def test_any_json_is_read_or_refused(schedule: Schedule, name: str, value: Any) -> None:
    data = schedule.to_json() | {name: value}
    try:
        read = Schedule.from_json(data)
    except TokenError:
        return
    assert read.to_json() | {"fingerprint": ""} == data | {"fingerprint": ""}


@given(anything)
def test_json_of_something_else_is_refused(data: Any) -> None:
    with pytest.raises(TokenError, match="This is no schedule: it is not a JSON object"):
        Schedule.from_json(data)


def test_json_of_another_version_is_named() -> None:
    data = Schedule(scenario="s", source="1a2b3c4d").to_json() | {"v": 2}
    with pytest.raises(TokenError, match="its v is 2, this one reads 1"):
        Schedule.from_json(data)


def test_json_with_a_bad_part_names_the_part() -> None:
    data = Schedule(scenario="s", source="1a2b3c4d").to_json() | {"switches": [{"at": "A1"}]}
    with pytest.raises(TokenError, match=r'its "switches" is \[\{\'at\': \'A1\'\}\]'):
        Schedule.from_json(data)
