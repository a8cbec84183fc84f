"""A step survives its line, a recorder numbers what it is given, and no secret gets through."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deadheat.history import History, Plane, Recorder, Step, StepKind, redact, redacted

SECRETS = (
    "sk_test_51AbCdEf",
    "sk_live_51AbCdEf",
    "rk_live_51AbCdEf",
    "pk_test_51AbCdEf",
    "whsec_5f4dcc3b5aa7",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/=",
)

texts = st.text(max_size=20)
json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
steps = st.builds(
    Step,
    run=st.integers(min_value=0),
    seq=st.integers(min_value=1),
    t_us=st.integers(min_value=0),
    actor=texts,
    plane=st.sampled_from(Plane),
    kind=st.sampled_from(StepKind),
    label=texts,
    conn=st.none() | st.integers(),
    attribution=st.none() | texts,
    data=st.dictionaries(texts, json_data, max_size=4),
)
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Texts made of the pieces that the masks look for, so that their borders are tried and not only hoped for.
tricky = st.lists(
    st.sampled_from([*SECRETS, "://", ":", "@", '"', "'", "\n", "\\", " ", "v1=", "0" * 64, "password="]),
    max_size=8,
).map("".join)


def step(**changes: object) -> Step:
    values: dict[str, object] = {
        "run": 1,
        "seq": 1,
        "t_us": 5,
        "actor": "A",
        "plane": Plane.STRIPE,
        "kind": StepKind.EFFECT,
        "label": "POST /v1/customers",
    }
    return Step(**{**values, **changes})  # type: ignore[arg-type]


@UNTIMED
@given(steps)
def test_a_step_survives_its_line(one: Step) -> None:
    line = one.line()
    assert "\n" not in line
    assert Step.parse(line) == one


@UNTIMED
@given(st.dictionaries(tricky, tricky, max_size=4), tricky)
def test_masking_never_breaks_a_line_and_never_lets_a_key_through(data: dict[str, str], label: str) -> None:
    line = step(data=data, label=label).line()
    assert Step.parse(line).seq == 1
    assert not [secret for secret in SECRETS if secret in line]


@UNTIMED
@given(st.dictionaries(tricky, json_data | tricky | st.sets(tricky, max_size=2), max_size=4))
def test_what_is_recorded_is_masked_text_by_text(data: dict[str, object]) -> None:
    recorder = Recorder(1)
    kept = recorder.record(actor="A", plane=Plane.SQL, kind=StepKind.FLIGHT, label="select 1", data=data).data
    assert kept == redacted(data)


def test_the_line_has_the_keys_of_the_format_in_their_order() -> None:
    record = json.loads(step(conn=3, attribution="value", data={"id": "cus_1"}).line())
    assert list(record) == [
        "v",
        "run",
        "seq",
        "t_us",
        "actor",
        "plane",
        "step",
        "conn",
        "attribution",
        "label",
        "data",
    ]
    assert (record["v"], record["plane"], record["step"]) == (1, "stripe", "effect")


@pytest.mark.parametrize(
    "line",
    [
        '{"v":1,"run":1,"scenario":"s","strategy":"serial","verdict":"clean"}',
        step().line().replace('"v":1', '"v":2'),
        '{"v":1,"seq":1,"run":1}',
        step().line().replace('"stripe"', '"carrier pigeon"'),
        "3",
        "not json",
        "",
    ],
)
def test_what_is_no_step_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Step.parse(line)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "key={}", "x\n{}", 'my_{}"', "[{}]", "Bearer {}", "https://{}@host"]
)
def test_keys_are_masked_wherever_they_stand(secret: str, around: str) -> None:
    line = step(label=around.format(secret), data={"a": [{"b": around.format(secret)}], secret: 1}).line()
    assert secret not in line
    assert secret[-8:] not in line


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://me:pw@localhost:5432/db", "postgres://me:***@localhost:5432/db"),
        ("redis://:pw@localhost", "redis://:***@localhost"),
        ("postgres://me:p@ss:w@localhost/db", "postgres://me:***@localhost/db"),
        ("host=x password=pw user=me", "host=x password=*** user=me"),
        ("host=x password='p w' user=me", "host=x password=*** user=me"),
        (f"t=1700000000,v1={'ab' * 32},v0={'cd' * 32}", "t=1700000000,v1=***,v0=***"),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer ***"),
        ("authorization: Basic c2tfdGVzdF8xMjM0Og==", "authorization: Basic ***"),
        ("pi_123_secret_AbCdEfGh12", "pi_123_secret_***"),
    ],
)
def test_passwords_signatures_and_tokens_are_masked(text: str, masked: str) -> None:
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8000/auth/sign-up",
        "mail to ada@example.test about https://example.test/a:b",
        "insert into desk_test (id) values ($1)",
        "the Basic plan",
        '{"url": "http://localhost", "email": "ada@example.test", "at": "12:30"}',
        "v1=short",
        "risk_test_1",
        "cus_123 sub_456 evt_789",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_data_becomes_plain_json() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd sk_test_51AbCdEf"

    assert redacted({1: (Odd(), b"x", {2.5, None} - {2.5})}) == {"1": ["odd sk_test_***", "b'x'", [None]]}


def test_a_recorder_numbers_stamps_and_hands_on() -> None:
    seen: list[Step] = []
    recorder = Recorder(7, seen.append)
    made = [
        recorder.record(actor=actor, plane=plane, kind=StepKind.REQUEST, label="x")
        for actor, plane in (("A", Plane.HTTP), ("B", Plane.HTTP), ("A", Plane.STRIPE))
    ]
    assert [one.seq for one in seen] == [1, 2, 3]
    assert {one.run for one in seen} == {7}
    assert [one.t_us for one in seen] == sorted(one.t_us for one in seen)
    assert seen == made == list(recorder.history())
    assert len(recorder) == len(recorder.history()) == 3


def test_a_recorded_step_is_masked_and_keeps_what_was_then() -> None:
    carried = {"key": "sk_test_51AbCdEf", "ids": ["cus_1"]}
    recorder = Recorder(1)
    recorder.record(
        actor="A", plane=Plane.STRIPE, kind=StepKind.RECEIVED, label="sk_test_51AbCdEf", data=carried
    )
    carried["ids"] = []
    (one,) = recorder.history()
    assert one.label == "sk_test_***"
    assert one.data == {"key": "sk_test_***", "ids": ["cus_1"]}
    assert Step.parse(one.line()) == one


def test_a_history_gives_the_steps_of_a_plane() -> None:
    effect = step(seq=1)
    response = step(seq=2, kind=StepKind.RESPONSE)
    answer = step(seq=3, plane=Plane.HTTP, kind=StepKind.ANSWER)
    history = History((effect, response, answer))
    assert history.of(Plane.STRIPE) == (effect, response)
    assert history.of(Plane.STRIPE, StepKind.RESPONSE) == (response,)
    assert history.of(Plane.SQL) == ()
