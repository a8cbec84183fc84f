"""Keys of steps: short, of letters and digits only, and read back without a doubt."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.schedule import StepName, strand_key
from deadheat.schedule.names import actor_of, strand_of

# What the simulator emits.
EVENT_TYPES = (
    "charge.refunded",
    "charge.succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "product.created",
)

operations = st.builds("{}{}".format, st.sampled_from("ABCZ"), st.integers(1, 120))
deliveries = st.builds(
    lambda head, kind, number, duplicate: f"{head}/{kind}/{number}{duplicate}",
    operations,
    st.sampled_from(EVENT_TYPES),
    st.integers(1, 30),
    st.sampled_from(["", *(f"/{letter}" for letter in string.ascii_lowercase[1:])]),
)
strands = st.one_of(operations, deliveries)
names = st.builds(StepName, st.one_of(strands, st.text()), st.text(), st.integers(1, 300))


def test_an_operation_is_its_own_key() -> None:
    assert strand_key("A1") == "A1"


def test_keys_stay_what_they_are() -> None:
    # A key stands in tokens that people keep: another hash would make every one of them diverge.
    assert StepName("A1", "flight insert profiles").key == "A1s4f2"
    assert StepName("C1/customer.created/1/b", "delivery", 2).key == "C1dcyc1Bsi8y2"


@given(names)
def test_a_key_is_letters_and_digits(name: StepName) -> None:
    assert re.fullmatch("[A-Za-z0-9]+", name.key)


@given(names)
def test_a_steps_key_says_its_strand(name: StepName) -> None:
    assert strand_of(name.key) == strand_key(name.strand)


@given(strands, strands)
def test_different_strands_have_different_keys(one: str, other: str) -> None:
    assert (strand_key(one) == strand_key(other)) == (one == other)


@given(st.tuples(strands, st.integers(1, 300)), st.tuples(strands, st.integers(1, 300)), st.text(), st.text())
def test_keys_of_different_strands_or_numbers_never_meet(
    one: tuple[str, int], other: tuple[str, int], label: str, other_label: str
) -> None:
    if one != other:
        assert StepName(one[0], label, one[1]).key != StepName(other[0], other_label, other[1]).key


def test_no_two_event_types_share_a_hash() -> None:
    assert len({strand_key(f"C1/{kind}/1") for kind in EVENT_TYPES}) == len(EVENT_TYPES)


@pytest.mark.parametrize(
    ("strand", "actor"),
    [
        ("A1", "A"),
        ("AB12", "AB"),
        ("C1/customer.created/1/b", "C"),
        ("C1dvyp1B", "C"),
        ("unattributed", "unattributed"),
    ],
)
def test_a_strand_names_its_actor(strand: str, actor: str) -> None:
    assert actor_of(strand) == actor


def test_a_step_reads_as_a_person_says_it() -> None:
    assert str(StepName("A1", "flight insert profiles")) == "A1 flight insert profiles"
    assert str(StepName("A1", "flight insert profiles", 2)) == "A1 flight insert profiles #2"
