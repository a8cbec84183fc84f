"""docs/fidelity.md says what the tests show: no more, no less, and nothing old."""

from __future__ import annotations

import fidelity
import pytest
from fidelity import Mark
from fidelity_list import BEHAVIOURS, BORROWED, Behaviour

from deadheat.stripe_sim.routes import match

FOUND = tuple(fidelity.marks(fidelity.sources()))
KEYS = Behaviour("Idempotency", "A key replays", (r"replay",))
LOST = Behaviour("Idempotency", "A lost answer")


def test_the_page_is_what_the_tests_say() -> None:
    assert fidelity.PAGE.read_text() == fidelity.page(BEHAVIOURS, FOUND), f"stale: run {fidelity.COMMAND}"


def test_each_behaviour_is_shown_or_missing() -> None:
    assert not "\n".join(fidelity.contradictions(BEHAVIOURS, FOUND))


def test_each_behaviour_stands_once() -> None:
    texts = [(behaviour.area, behaviour.text) for behaviour in BEHAVIOURS]
    assert len(texts) == len(set(texts))


def test_what_is_called_borrowed_is_not_modelled() -> None:
    assert [route for route in BORROWED if match(*route.split(" "))] == []


def test_marks_of_functions_classes_and_modules() -> None:
    source = """
pytestmark = [pytest.mark.slow, pytest.mark.fidelity("one")]

@pytest.mark.fidelity("two")
@pytest.mark.fidelity("over "
    "lines")
def test_a(): ...

@pytest.mark.fidelity("four")
class TestB:
    @pytest.mark.fidelity("five")
    async def test_c(self): ...
"""
    assert list(fidelity.marks({"t.py": source})) == [
        Mark("t.py", "one"),
        Mark("t.py::test_a", "two"),
        Mark("t.py::test_a", "over lines"),
        Mark("t.py::TestB", "four"),
        Mark("t.py::TestB::test_c", "five"),
    ]


@pytest.mark.parametrize("mark", ["fidelity()", "fidelity(TEXT)", "fidelity('a', 'b')", "fidelity('')"])
def test_a_mark_that_cannot_be_read_is_refused(mark: str) -> None:
    with pytest.raises(ValueError, match=r"t\.py::test_a: write the behaviour"):
        list(fidelity.marks({"t.py": f"@pytest.mark.{mark}\ndef test_a(): ..."}))


def test_a_behaviour_needs_a_test_or_a_reason_and_not_both() -> None:
    shown, missing = (
        Mark("t.py::test_a", "keys replay"),
        Behaviour("Idempotency", "A key replays", (), "not yet"),
    )
    assert not list(fidelity.contradictions([KEYS], [shown]))
    assert not list(fidelity.contradictions([missing], [shown]))
    (neither,) = fidelity.contradictions([LOST], [shown])
    assert neither.startswith("A lost answer: no test shows it")
    (both,) = fidelity.contradictions([missing], [Mark("t.py::test_a", "Idempotency: a key replays")])
    assert both.startswith("A key replays: called missing, but t.py::test_a shows it")


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        ("a key REPLAYS", True),
        ("Objects: a key replays", False),
        ("no such area: replays", True),
        ("errors", False),
    ],
)
def test_a_mark_keeps_to_the_area_that_it_names(says: str, shown: bool) -> None:
    assert KEYS.shown_by(says) == shown


def test_rows_of_the_page() -> None:
    missing = Behaviour("Idempotency", "A lost answer", (), "nobody loses any")
    marks = [
        Mark("t.py::TestK::test_a", "it replays"),
        Mark("u.py::test_b", "idempotency: more | of them"),
        Mark("u.py::test_c", "odd"),
    ]
    text = fidelity.page([KEYS, missing], marks)
    assert text.startswith("# What the Stripe simulator does")
    keys, _, further = text.partition("## Further")
    assert "| A key replays | [test_a](../t.py) |" in keys
    assert "| A lost answer | **missing**: nobody loses any |" in keys
    assert "| More \\| of them | [test_b](../u.py) |" in keys
    assert "| Odd | [test_c](../u.py) |" in further
    assert "2 behaviours were asked for, 1 of them missing" in " ".join(text.split())
    assert "| `/v1/customers` | GET, POST |" in further
