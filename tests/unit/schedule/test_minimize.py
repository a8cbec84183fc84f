"""From a run that broke an invariant to a finding, on the toy world: confirmed, replayed, shared."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from toy_world import SCHEDULE, SIGN_UPS, Toy, play, sign_up, steps, two_customers

from deadheat.engine.events import Finding
from deadheat.engine.minimize import CONFIRMATIONS, REPLAYS, Minimal, minimize, strands_of, tidied
from deadheat.engine.run import Ran
from deadheat.engine.seen import Found
from deadheat.history import History
from deadheat.invariants.settled import Evidence, Judgement, Violation
from deadheat.schedule import RandomWalk, Replay, Schedule, strand_key

NOISY = Toy(
    actors={"A": (sign_up, steps(3)), "B": (sign_up,), "C": (steps(4),), "D": ()},
    deliveries={
        "D1/customer.created/1": steps(1),
        "D1/customer.created/1/b": steps(1),
        "D1/product.created/1": steps(1),
    },
    violated=two_customers,
)
ONCE = "one-customer-per-user"
BOTH = (ONCE, "answers-agree")


def violations(*invariants: str) -> tuple[Violation, ...]:
    return tuple(Violation(invariant=i, evidence=(Evidence(says="it is so"),)) for i in invariants)


def played(toy: Toy, strategy: RandomWalk | Replay, schedule: Schedule, run: int = 1) -> tuple[Ran, bool]:
    gone = [strand_key(name) for name in toy.deliveries if name.partition("/")[0] in schedule.dropped]
    made = play(toy, strategy, run, dropped=(*schedule.dropped, *gone))
    ran = Ran(
        history=History(),
        elapsed_s=0.0,
        trace=made.trace,
        strands={step.name.strand: "op" for choice in made.trace for step in choice.held},
        diverged=strategy.finished() if isinstance(strategy, Replay) else None,
    )
    return ran, made.violated


@dataclass
class Tries:
    """Plays candidates; ``breaks`` are the invariants that two customers break."""

    toy: Toy = NOISY
    breaks: tuple[str, ...] = (ONCE,)
    made: list[tuple[Schedule, Replay]] = field(default_factory=list)

    async def __call__(self, schedule: Schedule, replay: Replay) -> tuple[Ran, Judgement | None]:
        self.made.append((schedule, replay))
        ran, violated = played(self.toy, replay, schedule)
        return ran, self.judged(violated)

    def judged(self, violated: bool) -> Judgement | None:
        return Judgement(violations=violations(*self.breaks) if violated else ())


def found(toy: Toy = NOISY, *, yields: bool = False) -> Found:
    """Give the first run of a random walk that makes two customers."""
    walk = RandomWalk(5)
    schedule = replace(SCHEDULE, yields=yields)
    for run in range(1, 100):
        ran, violated = played(toy, walk, schedule, run)
        if violated:
            return Found(
                ran=ran,
                violation=violations(ONCE)[0],
                strategy="random-walk",
                run=run,
                schedule=schedule.recorded(ran.trace),
            )
    raise AssertionError("the walk finds it about every second time")


def minimized(tries: Tries, of: Found | None = None) -> Minimal | None:
    return asyncio.run(minimize(of or found(), tries))


def test_what_is_left_is_the_race_itself_and_replays_every_time() -> None:
    first = found()
    minimal = minimized(Tries(), first)
    assert minimal is not None
    assert (minimal.replays, minimal.shown, minimal.diverged) == (REPLAYS, {ONCE: REPLAYS}, 0)
    assert {step.actor for choice in minimal.ran.trace for step in choice.steps} == {"A", "B"}
    assert len(minimal.ran.trace) == 8 < len(first.ran.trace)
    assert len(minimal.schedule.switches) <= 2
    assert minimal.without_yields is None
    removed = minimal.shrunk.removed
    assert (removed["operations"], removed["deliveries"], removed["duplicates"]) == (3, 2, 1)


def test_the_same_run_is_made_minimal_the_same_way() -> None:
    one, two = minimized(Tries()), minimized(Tries())
    assert one is not None
    assert two is not None
    assert (one.schedule, one.shrunk.tried) == (two.schedule, two.shrunk.tried)


def test_its_token_alone_replays_it() -> None:
    minimal = minimized(Tries())
    assert minimal is not None
    token = minimal.schedule.token()
    assert token is not None
    schedule = Schedule.parse(token)
    replay = Replay(schedule)
    ran, violated = played(NOISY, replay, schedule)
    assert (violated, ran.diverged) == (True, None)


def test_the_whole_stream_is_dropped_in_one_word() -> None:
    minimal = minimized(Tries())
    assert minimal is not None
    assert set(minimal.schedule.dropped) == {"A2", "C1", "D1"}
    assert tidied(minimal.schedule) == minimal.schedule
    keeps = replace(SCHEDULE, dropped=("A1", "D1dabc1", "D10dabc1"))
    assert tidied(keeps) == keeps
    assert tidied(replace(keeps, dropped=("D1", "D10dabc1", "D1dabc1"))).dropped == ("D1", "D10dabc1")


def test_a_candidate_counts_only_if_it_violates_3_of_3() -> None:
    class Unsure(Tries):
        """Sees a candidate violate twice, and not the third time."""

        def judged(self, violated: bool) -> Judgement | None:
            third = [replay._strict for _, replay in self.made[-CONFIRMATIONS:]] == [False, True, True]
            return super().judged(violated and not third)

    first = found()
    minimal = minimized(Unsure(), first)
    assert minimal is not None
    assert minimal.shrunk.best.schedule == first.schedule, "nothing smaller was confirmed"
    assert minimal.schedule.steps == first.schedule.steps  # type: ignore[union-attr]


def test_each_candidate_is_tried_leniently_and_confirmed_to_the_letter_as_a_token_has_it() -> None:
    tries = Tries()
    minimized(tries)
    strict = [replay._strict for _, replay in tries.made]
    assert not strict[0]
    confirmed = [n for n in range(len(strict) - REPLAYS) if not strict[n] and strict[n + 1]]
    assert confirmed
    assert all(strict[n + 1 : n + CONFIRMATIONS] == [True] * (CONFIRMATIONS - 1) for n in confirmed)
    assert strict[-REPLAYS:] == [True] * REPLAYS
    assert not any(replay._schedule.steps for _, replay in tries.made if replay._strict)
    assert all(replay._schedule.fingerprint for _, replay in tries.made if replay._strict)


def test_without_a_judgement_nothing_is_confirmed_and_nothing_found() -> None:
    class Inconclusive(Tries):
        def judged(self, violated: bool) -> Judgement | None:
            return None

    assert minimized(Inconclusive()) is None


def test_another_invariant_does_not_count_for_this_one() -> None:
    assert minimized(Tries(breaks=("no-server-error",))) is None


def test_what_replays_only_now_and_then_is_counted_so() -> None:
    class Luck(Tries):
        replays = 0

        def judged(self, violated: bool) -> Judgement | None:
            _, replay = self.made[-1]
            if not replay._strict:
                return Judgement()
            self.replays += 1
            return super().judged(self.replays % 4 == 0)

    minimal = minimized(Luck())
    assert minimal is not None
    assert minimal.shown == {ONCE: REPLAYS // 4}
    assert minimal.violations[0].invariant == ONCE


def test_invariants_that_break_together_share_the_schedule() -> None:
    minimal = minimized(Tries(breaks=BOTH))
    assert minimal is not None
    assert minimal.shown == dict.fromkeys(BOTH, REPLAYS)
    findings = [minimal.finding(first_seen(invariant), "dh1-x") for invariant in BOTH]
    assert findings[0].schedule == findings[1].schedule == minimal.schedule
    assert [f.violation.invariant for f in findings] == list(BOTH)


def first_seen(invariant: str) -> Finding:
    return Finding(
        scenario="toy",
        invariant=invariant,
        violation=violations(invariant)[0],
        strategy="random-walk",
        run=3,
        history=History(),
        runs_until_found=3,
        shown_in=1,
        runs=9,
        choices_before=40,
    )


def test_a_finding_tells_what_was_there_before_and_what_is_left() -> None:
    minimal = minimized(Tries())
    assert minimal is not None
    finding = minimal.finding(first_seen(ONCE), "dh1-x")
    assert (finding.token, finding.replays, finding.without_yields) == ("dh1-x", (REPLAYS, REPLAYS), None)
    assert (finding.choices_before, finding.choices_after) == (40, 8)
    assert (finding.actors, finding.removed) == (2, dict(minimal.shrunk.removed))
    assert finding.switches == minimal.shrunk.best.switches
    assert (finding.run, finding.runs, finding.shown_in) == (3, 9, 1), "how it was found stays"


def test_of_invariants_that_break_in_turns_only_that_of_the_kept_run_is_told() -> None:
    class Turns(Tries):
        def judged(self, violated: bool) -> Judgement | None:
            _, replay = self.made[-1]
            if not replay._strict:
                return Judgement()
            return Judgement(violations=violations(BOTH[len(self.made) % 2]))

    minimal = minimized(Turns())
    assert minimal is not None
    assert minimal.shown[BOTH[1]] >= minimal.shown[BOTH[0]] > 0
    assert [violation.invariant for violation in minimal.violations] == [ONCE]


def test_replays_that_left_the_schedule_are_counted_and_told() -> None:
    class Astray(Tries):
        strict = 0

        async def __call__(self, schedule: Schedule, replay: Replay) -> tuple[Ran, Judgement | None]:
            ran, judgement = await super().__call__(schedule, replay)
            self.strict += replay._strict
            return replace(ran, diverged="elsewhere" if self.strict % 4 == 1 else None), judgement

    class Never(Astray):
        def judged(self, violated: bool) -> Judgement | None:
            return super().judged(violated and self.made[-1][1]._strict)

    minimal = minimized(Never())
    assert minimal is not None
    assert (minimal.shown[ONCE], minimal.diverged) == (REPLAYS, REPLAYS // 4), "they count, and that is said"
    assert minimal.finding(first_seen(ONCE), "").replays_diverged == REPLAYS // 4


def test_a_schedule_with_yield_points_is_run_without_them_as_well() -> None:
    class OnlyWith(Tries):
        def judged(self, violated: bool) -> Judgement | None:
            return super().judged(violated and self.made[-1][0].yields)

    tries = OnlyWith()
    minimal = minimized(tries, found(yields=True))
    assert minimal is not None
    assert minimal.schedule.yields
    assert (minimal.shown[ONCE], minimal.without_yields) == (REPLAYS, 0)
    assert [schedule.yields for schedule, _ in tries.made[-REPLAYS:]] == [False] * REPLAYS
    minimal = minimized(Tries(), found(yields=True))
    assert minimal is not None
    assert minimal.finding(first_seen(ONCE), "").without_yields == (REPLAYS, REPLAYS)


def test_strands_that_can_be_left_out_are_those_of_the_race() -> None:
    names = ["A1", "C1/x.y/1", "C1/x.y/1/b", "before/1", "stripe/settling/x.y/7", "?", "A/again"]
    ran = Ran(history=History(), elapsed_s=0.0, strands=dict.fromkeys(names, "op"))
    assert [(s.actor, s.kind) for s in strands_of(ran)] == [
        ("A", "operation"),
        ("C", "operation"),
        ("C", "delivery"),
        ("C", "duplicate"),
    ]


def test_a_plain_race_of_two_is_left_as_it_is_but_for_its_switches() -> None:
    minimal = minimized(Tries(SIGN_UPS), found(SIGN_UPS))
    assert minimal is not None
    assert minimal.schedule.dropped == ()
    assert len(minimal.ran.trace) == 8
