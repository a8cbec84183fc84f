"""What a target whose wires are not all ours can be raced with, and what is then not checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deadheat import Program, World
from deadheat.engine.discover import lacking
from deadheat.engine.levels import WHOLE, Reach, reach_of
from deadheat.invariants import BUILT_IN
from deadheat.invariants.judge import why_not
from deadheat.invariants.settled import Settled, Tables
from deadheat.program import Scenario
from deadheat.settings import OperationSettings, Settings, TargetSettings

ANSWERS = Reach(database=False, stripe=False, statements=False)
DATABASE = Reach(stripe=False, statements=False)
STRIPE = Reach(statements=False)
DSN = "postgresql://me@127.0.0.1/app"


def checkout(world: World) -> Program:
    ada = world.user()
    return Program(
        before=[ada.do("sign-up"), world.deliveries()],
        race=[[ada.do("check-out"), ada.pay()], [ada.do("check-out")], [world.deliveries()]],
    )


def named(program: Program) -> list[list[str]]:
    return [[getattr(o, "operation", type(o).__name__) for o in actor] for actor in program.race]


@pytest.mark.parametrize(
    ("reach", "level", "says"),
    [
        (ANSWERS, 0, "level 0 of 3: answers only"),
        (DATABASE, 1, "level 1 of 3: answers and the database"),
        (STRIPE, 2, "level 2 of 3: answers, the database and Stripe"),
        (WHOLE, 3, "level 3 of 3: answers, the database, Stripe and statements"),
        (Reach(database=False, statements=False), 2, "level 2 of 3: answers and Stripe"),
    ],
)
def test_a_level_says_what_is_seen(reach: Reach, level: int, says: str) -> None:
    assert (reach.level, str(reach)) == (level, says)
    assert len(reach.cannot()) == 3 - (reach.database + reach.stripe + reach.statements)


def test_what_the_settings_name_makes_the_level() -> None:
    url = TargetSettings(folder=Path(), base_url="http://127.0.0.1:1")
    given = {"postgres": DSN, "stripe_port": 2, "postgres_port": 3}
    assert reach_of(Settings(target=url)) == ANSWERS
    assert reach_of(Settings(target=url, postgres=DSN)) == DATABASE
    assert reach_of(Settings(target=url, postgres=DSN, stripe_port=2)) == STRIPE
    assert reach_of(Settings(target=url, **given)) == WHOLE  # type: ignore[arg-type]
    assert reach_of(Settings(target=TargetSettings(folder=Path(), start="serve"))) == WHOLE


def test_what_stripe_would_do_is_left_out_of_a_program() -> None:
    program = checkout(World("x"))
    fitted = DATABASE.fit(program)
    assert named(fitted) == [["check-out"], ["check-out"]]
    assert len(fitted.before) == 1
    assert DATABASE.left_out(program) == ("deliveries", "pay")
    assert STRIPE.fit(program) is program
    assert STRIPE.left_out(program) == ()


@pytest.mark.parametrize(
    ("name", "races", "lacks"),
    [
        ("checkout", ("check-out", "check-out"), ()),
        ("paid-before", (), ("pay",)),
        ("webhook-alone", (), ("deliveries",)),
        ("raced-with", ("check-out", "deliveries"), ("deliveries",)),
        ("fault", (), ("faults",)),
    ],
)
def test_a_scenario_whose_race_would_be_gone_is_skipped_by_name(
    name: str, races: tuple[str, ...], lacks: tuple[str, ...]
) -> None:
    def build(world: World) -> Program:
        ada = world.user()
        do = ada.do("check-out")
        return {
            "checkout": checkout(world),
            "paid-before": Program(before=[do, ada.pay()], race=[[do], [do]]),
            "webhook-alone": Program(race=[[do], [world.deliveries()]]),
            "raced-with": Program(race=[[do], [do], [world.deliveries()]]),
            "fault": Program(race=[[do], [do]], faults=[world.stripe_fails(ada, "POST /v1/customers")]),
        }[name]

    made = Scenario(name=name, needs=("check-out",), races=races, build=build, about="")
    target = TargetSettings(
        folder=Path(), operations={"check-out": OperationSettings(name="check-out", calls=())}
    )
    assert lacking(made, target, DATABASE) == tuple(f"{lack} (at level 1)" for lack in lacks)
    assert lacking(made, target, STRIPE) == ()
    nothing = TargetSettings(folder=Path())
    assert lacking(made, nothing, DATABASE) == ("check-out",)


def checked(reach: Reach) -> set[str]:
    whole = Tables(customers=(), subscriptions=(), effects=())
    settled = Settled(people=(), before_again=whole, unseen=reach.unseen())
    return {i.id for i in BUILT_IN if why_not(replace(i, moot=None), settled, {}) is None}


def test_each_level_checks_more_than_the_one_below() -> None:
    assert checked(ANSWERS) == {"answers-agree", "no-server-error"}
    assert checked(DATABASE) - checked(ANSWERS) == {
        "one-profile-per-user",
        "customer-ids-agree",
        "one-row-per-subscription",
    }
    assert checked(STRIPE) == checked(WHOLE) == {i.id for i in BUILT_IN}


def test_an_invariant_that_cannot_be_seen_says_at_which_level() -> None:
    settled = Settled(people=(), before_again=Tables(), unseen=ANSWERS.unseen())
    reasons = {i.id: why_not(i, settled, {}) for i in BUILT_IN}
    assert reasons["one-profile-per-user"] == "at level 0 there is no database to read"
    assert reasons["charged-once"] == "at level 0 what Stripe holds is not seen"
    assert reasons["applied-once"] == "at level 0 webhooks are Stripe's own"
