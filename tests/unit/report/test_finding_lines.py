"""Findings in words: those of one schedule together, how small, how sure, and the command at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sample_suite import COVERAGE, SCHEDULE, TOKEN, controlled, finding, proved

from deadheat.engine.events import Coverage, Exhausted, Verdict
from deadheat.report.coverage import coverage_lines
from deadheat.report.findings import group_lines, grouped, target_option
from deadheat.report.prose import exploration_lines, worth_line
from deadheat.schedule import Switch

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.engine.events import Finding


def told(*findings: Finding, replay_options: str = "") -> list[str]:
    (group,) = grouped(findings)
    return group_lines(group, None, replay_options)


def test_a_finding_that_was_made_minimal() -> None:
    lines = told(proved(), proved("answers-agree", says="Ada was told of cus_1 and cus_2."))
    assert lines == [
        "signup.two-at-once: one-customer-per-user and answers-agree are violated",
        "       A                                    B",
        "   1   => 200",
        "   2                                        => 303",
        "  >3   settling: => 200 GET",
        "   4   ? GET / (of nobody known)",
        "",
        "  one-customer-per-user holds when Stripe holds at most one live customer for each user, and the "
        "database points at it.",
        "    Ada (user u1) has two.",
        "    Shown in 7 of 24 runs of random-walk, first after 3 runs of the scenario.",
        "  answers-agree holds when every answer to one user named the same customer.",
        "    Ada was told of cus_1 and cus_2.",
        "    Shown in 7 of 24 runs of random-walk, first after 3 runs of the scenario.",
        "  2 actors, 1 switch (found after 3 runs, 38 choices; minimal 31; removed: 1 operation, "
        "3 deliveries, 4 switches)",
        "  replayed 20/20",
        "  The steps are those of run 12",
        f"  deadheat replay {TOKEN}",
    ]


def test_the_command_is_the_last_line_and_meets_the_same_target() -> None:
    assert (
        told(proved(), replay_options=" --target before")[-1] == f"  deadheat replay {TOKEN} --target before"
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"replays": (18, 20)}, "replayed 18/20"),
        ({"replays_diverged": 3}, "replayed 20/20 (3 of the 20 left the schedule)"),
        (
            {"replays": (18, 20), "replays_diverged": 20, "without_yields": (0, 20)},
            "replayed 18/20 with yield points (20 of the 20 left the schedule); without them 0/20",
        ),
        (
            {"without_yields": (3, 20)},
            "replayed 20/20 with yield points; without them 3/20",
        ),
        (
            {
                "schedule": replace(SCHEDULE, switches=(Switch("A1s1", ("A1s1", "B1s1")),)),
                "replays": (14, 20),
            },
            "two flights overlapped, and what happened within is chance; replayed 14/20",
        ),
    ],
)
def test_how_sure_it_is(changes: dict[str, Any], says: str) -> None:
    assert f"  {says}" in told(proved(**changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "found by barrage: cannot be replayed"),
        (
            {"strategy": "pct", "choices_before": 30, "replays": (0, 20)},
            "found by pct, and no replay showed it again: cannot be replayed",
        ),
        (
            {"strategy": "pct", "choices_before": 30},
            "found by pct, and not replayed: the search was ended before",
        ),
    ],
)
def test_what_cannot_be_replayed_says_so(changes: dict[str, Any], says: str) -> None:
    lines = told(finding(**changes))
    assert f"  {says}" in lines
    assert not [line for line in lines if "deadheat replay" in line]


def test_findings_are_grouped_by_schedule_and_without_one_by_run() -> None:
    other = replace(SCHEDULE, seed=5)
    findings = [
        proved("a"),
        proved("b", token="dh1-@1", schedule=other),
        proved("c"),
        proved("d", token="dh1-@2", schedule=other),  # too long for a token: each has a file of its own
        finding(invariant="e"),
        finding(invariant="f", run=13),
        finding(invariant="g"),
    ]
    assert [group.invariants for group in grouped(findings)] == [
        ("a", "c"), ("b", "d"), ("e", "g"), ("f",),
    ]  # fmt: skip


def test_groups_stand_apart() -> None:
    lines = exploration_lines(controlled(Verdict.VIOLATED, proved(), finding(invariant="e")), None)
    assert lines[lines.index(f"  deadheat replay {TOKEN}") + 1] == ""


def test_target_option(tmp_path: Path) -> None:
    assert target_option("reference", tmp_path) == ""
    assert target_option("before", tmp_path) == " --target before"
    assert target_option("a b.toml", tmp_path) == " --target 'a b.toml'"
    assert target_option("deadheat.toml", tmp_path) == ""
    (tmp_path / "deadheat.toml").write_text("")
    assert target_option("reference", tmp_path) == " --target reference"


def test_a_clean_exploration_says_what_it_covered() -> None:
    assert exploration_lines(controlled(), None) == [
        "signup.two-at-once is clean: with no violation in 24 runs of this sampler "
        "the violation rate is below 3/24 (95%), 12.5%",
        "  ordered: 20 distinct schedules, 410 choices",
        "  attribution: 4 (0.50%) nobody's, 8 (1.00%) doubtful, 2 (0.25%) late, of 800 steps",
        "  conflicts: 12 pairs of steps seen to conflict, 9 in both orders",
        "  silence: waited 3.2 s for who showed nothing, in 14 periods; a sleep between the target's tries "
        "costs nothing once [target.env] makes it short",
        "  inside statements: 3 flights overlapped another, their insides in no chosen order; writes were "
        "parked in 4 runs; every other flight was one step",
        "  run twice: 10 schedules, 1 differed, first: step 7 was to be A1s1, which never came; "
        "held: nothing",
        "  diverged: 1 replay left the schedule",
    ]


def test_coverage_adds_up_and_says_nothing_of_what_was_not() -> None:
    quiet = Coverage(schedules=1, choices=10, attributed=20)
    lines = list(coverage_lines([controlled(), replace(controlled(), coverage=quiet, strategies={"pct": 1})]))
    assert lines[0] == "ordered: 21 distinct schedules, 420 choices"
    assert list(coverage_lines([replace(controlled(), coverage=quiet, strategies={"pct": 1})])) == [
        "ordered: 1 distinct schedule, 10 choices",
        "attribution: 0 nobody's, 0 late, of 20 steps",
        "inside statements: every flight was one step",
    ]
    assert list(coverage_lines([replace(controlled(), coverage=Coverage())])) == [
        "ordered: nothing; no run was under control"
    ]
    assert list(coverage_lines([])) == []
    assert COVERAGE.diverged == 1


@pytest.mark.parametrize(
    ("violated", "waiting", "lost", "said"),
    [
        (0, 0, 0, "all 136 schedules of at most 1 preemption were run, and none violated an invariant"),
        (3, 0, 0, "all 136 schedules of at most 1 preemption were run, and 3 violated an invariant"),
        (
            0,
            7,
            0,
            "136 schedules of at most 1 preemption were run; at least 7 are left: "
            "the same command goes on with them",
        ),
        (
            0,
            0,
            2,
            "136 schedules of at most 1 preemption were run; 2 could not be followed, "
            "and what lies below them was not run",
        ),
    ],
)
def test_an_exhaustive_search_says_whether_it_ran_them_all(
    violated: int, waiting: int, lost: int, said: str
) -> None:
    search = Exhausted(preemptions=1, done=136, violated=violated, late=0, waiting=waiting, lost=lost)
    covered = Coverage(schedules=136, exhausted=search)
    clean = replace(
        controlled(), verdict=Verdict.CLEAN, findings=(), coverage=covered, strategies={"exhaustive": 136}
    )
    assert worth_line([clean]) == said
    assert worth_line([clean, replace(clean, coverage=Coverage())]).startswith("runs one after the other")


def test_short_silences_are_no_sleep() -> None:
    brief = replace(controlled().coverage, silent_s=0.7, silences=14)
    said = list(coverage_lines([replace(controlled(), coverage=brief)]))
    assert "silence: waited 0.7 s for who showed nothing, in 14 periods" in said


def test_an_exhaustive_search_says_how_many_of_its_schedules_violate() -> None:
    search = Exhausted(preemptions=1, done=136, violated=17, late=0, waiting=0, lost=2)
    found = replace(controlled(), coverage=Coverage(schedules=136, exhausted=search))
    (*_, said) = coverage_lines([found])
    assert said == (
        f"exhaustive: {controlled().scenario}, 136 schedules of at most 1 preemption run, 17 (12.50%) "
        "violated an invariant, 0 known to be left, 2 not to be followed"
    )


def test_an_exhaustive_search_says_where_steps_came_too_late_to_know_what_could_go() -> None:
    search = Exhausted(preemptions=1, done=136, violated=0, late=3, waiting=0, lost=0)
    clean = replace(controlled(), coverage=Coverage(schedules=136, exhausted=search), findings=())
    assert not search.is_complete
    assert worth_line([clean]) == (
        "136 schedules of at most 1 preemption were run; "
        "in 3 of them steps came late, and what else could have gone is not known"
    )
    (*_, said) = coverage_lines([clean])
    assert "0 violated an invariant, 3 with late steps, 0 known to be left" in said


def test_an_exhaustive_search_says_where_the_same_choices_brought_other_steps() -> None:
    search = Exhausted(preemptions=2, done=136, violated=0, late=0, waiting=0, lost=0, differed=4)
    clean = replace(controlled(), coverage=Coverage(schedules=136, exhausted=search), findings=())
    assert not search.is_complete
    assert worth_line([clean]) == (
        "136 schedules of at most 2 preemptions were run; "
        "in 4 of them the same choices brought other steps, which were not all run"
    )
    (*_, said) = coverage_lines([clean])
    assert "0 violated an invariant, 4 with other steps to choose from, 0 known to be left" in said


def test_an_exhaustive_search_says_how_many_of_its_schedules_are_of_earlier_commands() -> None:
    search = Exhausted(preemptions=2, done=114, violated=0, late=0, waiting=0, lost=0, earlier=40)
    clean = replace(controlled(), coverage=Coverage(schedules=74, exhausted=search), findings=())
    assert worth_line([clean]) == (
        "all 114 schedules of at most 2 preemptions were run (40 of them by earlier commands, of the target "
        "as it was then), and none violated an invariant"
    )
