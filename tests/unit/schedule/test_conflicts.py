"""Conflicting pairs: which steps make one, and whether they were seen in both orders."""

from __future__ import annotations

from deadheat.schedule import Held, Released, StepName, conflicts_of, pairs_in_both_orders


def step(strand: str, label: str, *, reads: str = "", writes: str = "") -> Held:
    return Held(
        name=StepName(strand, label),
        actor=strand[0],
        kind="flight",
        reads=frozenset(reads.split()),
        writes=frozenset(writes.split()),
    )


def trace(*steps: Held) -> list[Released]:
    return [Released((one,), (0,)) for one in steps]


LOOK = step("A1", "select profiles", reads="profiles")
WRITE = step("B1", "insert profiles", writes="profiles")


def test_a_look_and_a_write_of_another_conflict_in_the_order_in_which_they_went() -> None:
    assert conflicts_of(trace(LOOK, WRITE)) == {("select profiles", "insert profiles")}
    assert conflicts_of(trace(WRITE, LOOK)) == {("insert profiles", "select profiles")}


def test_two_looks_two_relations_and_one_actor_do_not() -> None:
    looks = step("B1", "select profiles", reads="profiles")
    elsewhere = step("B1", "insert plans", writes="plans")
    own = step("A1", "insert profiles", writes="profiles")
    assert conflicts_of(trace(LOOK, looks, elsewhere, own)) == {("select profiles", "insert profiles")}
    assert conflicts_of(trace(LOOK, elsewhere)) == conflicts_of(trace(LOOK, own)) == set()


def test_of_the_same_label_it_is_the_actors_that_make_the_order() -> None:
    mine = step("A1", "insert profiles", writes="profiles")
    one, other = conflicts_of(trace(mine, WRITE)), conflicts_of(trace(WRITE, mine))
    assert one == {("A insert profiles", "B insert profiles")}
    assert pairs_in_both_orders(one) == (1, 0)
    assert pairs_in_both_orders(one | other) == (1, 1)


def test_pairs_are_counted_once_whatever_their_order() -> None:
    found = conflicts_of(trace(LOOK, WRITE)) | conflicts_of(trace(WRITE, LOOK))
    assert pairs_in_both_orders(found) == (1, 1)
    assert pairs_in_both_orders(set()) == (0, 0)
