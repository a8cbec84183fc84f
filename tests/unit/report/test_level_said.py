"""Each report says the level of control, and what of the target was not ours."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from sample_suite import clean, finished, started

from deadheat.engine.levels import Reach
from deadheat.report.closing import closing_lines
from deadheat.report.junit import junit_xml
from deadheat.report.summary import summary

ONE = Reach(stripe=False, statements=False)


def test_the_console_ends_with_it() -> None:
    lines = closing_lines(finished([clean()]), started([clean()], reach=ONE))
    assert "  level 1 of 3: answers and the database" in lines
    assert [line for line in lines if line.startswith("  not ours: Stripe: ")]
    assert [line for line in lines if line.startswith("  not ours: statements: ")]
    assert not [line for line in lines if "stripe-mock" in line]  # it has seen no call
    whole = closing_lines(finished([clean()]), started([clean()]))
    assert "  level 3 of 3: answers, the database, Stripe and statements" in whole
    assert not [line for line in whole if "not ours" in line]


def test_the_summary_has_it() -> None:
    data = summary(started([clean()], reach=ONE), finished([clean()]))
    assert data["level"] == 1
    assert data["not_ours"] == list(ONE.cannot())


def test_junit_has_it_as_a_property() -> None:
    document = ET.fromstring(junit_xml(started([clean()], reach=ONE), finished([clean()])))
    properties = {p.get("name"): p.get("value") for p in document.iter("property")}
    assert properties["level"] == "level 1 of 3: answers and the database"
