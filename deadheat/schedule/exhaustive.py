"""Exhaustive: every schedule of a program with so many preemptions at most, depth first.

Musuvathi, Qadeer: "Iterative Context Bounding for Systematic Testing of Multithreaded Programs",
PLDI 2007: most bugs need few preemptions, and the schedules with at most c of them are polynomially
many. A *preemption* leaves somebody who could go on; to choose who goes on when the one that moved
last cannot is free. An actor counts as one who moves, and so does each delivery.

Nothing of a run is kept but the keys of its steps. A run goes along a prefix that was handed out and
follows the default policy from there; at each of its own choices every other held step that the bound
allows makes a new prefix. So each schedule is run exactly once, in any number of runs side by side.

It has seen every schedule only if the same choices always bring the same steps to be chosen from. A
prefix that could not be followed in several runs is counted (`lost`): what lies below it was not run.
Neither is it certain what could have been chosen where a step came *late*, after another had gone already:
such a run is made again, and where it is late every time it is taken as it is, and counted (`late`). The
same goes for a run that had something else to choose from where it leaves the run that it branched off
(`differed`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from deadheat.errors import TokenError
from deadheat.schedule.names import digest
from deadheat.schedule.pct import unit_of
from deadheat.schedule.strategy import default_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held

PREEMPTIONS = 2
TRIES_MAX = 3  # of a prefix that cannot be followed, or is late: a machine may be busy
JSON_VERSION = 3


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first choices of a run, as keys of steps, and how many of them were preemptions.

    ``held`` is a digest of what there was to choose from at the last of them; ``tries`` counts the runs that
    could not follow it.
    """

    steps: tuple[str, ...] = ()
    preemptions: int = 0
    held: str = ""
    tries: int = 0


@dataclass(slots=True, kw_only=True)
class Frontier:
    """What is still to be run of the schedules of one program; runs of several strategies share it.

    ``done`` counts schedules that were run, ``violated`` those of them that violated an invariant, ``late``
    those in which steps were late every time, ``differed`` those that had something else to choose from every
    time; ``lost`` those that could not be followed. Of ``done``, ``earlier`` were run before it was read.
    """

    preemptions: int = PREEMPTIONS
    waiting: list[Prefix] = field(default_factory=lambda: [Prefix()])
    under_way: list[Prefix] = field(default_factory=list)
    done: int = 0
    violated: int = 0
    late: int = 0
    differed: int = 0
    lost: int = 0
    earlier: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every schedule was run."""
        return not (self.waiting or self.under_way or self.lost or self.late or self.differed)

    def take(self) -> Prefix | None:
        """Hand out the prefix of a run, deepest first; None where there is none at the moment."""
        if not self.waiting:
            return None
        self.under_way.append(self.waiting.pop())
        return self.under_way[-1]

    def finish(
        self,
        prefix: Prefix,
        found: Sequence[Prefix],
        *,
        violated: bool = False,
        late: bool = False,
        differed: bool = False,
    ) -> None:
        """Take in a run that followed its prefix, with what else could have been chosen after it."""
        self.under_way.remove(prefix)
        if (late or differed) and self._tries_again(prefix):
            return
        self.done += 1
        self.late += late
        self.differed += differed
        self.violated += violated
        self.waiting.extend(found)

    def lose(self, prefix: Prefix) -> None:
        """Take in a run that could not follow its prefix: it is tried again, a few times."""
        self.under_way.remove(prefix)
        self.lost += not self._tries_again(prefix)

    def _tries_again(self, prefix: Prefix) -> bool:
        """Try once more when all else is done, and the machine not so busy perhaps; False: often enough."""
        if prefix.tries + 1 < TRIES_MAX:
            self.waiting.insert(0, replace(prefix, tries=prefix.tries + 1))
            return True
        return False

    def give_back(self, prefix: Prefix) -> None:
        """Take back the prefix of a run that came to nothing."""
        self.under_way.remove(prefix)
        self.waiting.append(prefix)

    def to_json(self) -> dict[str, Any]:
        """Give the whole of it as JSON values; what is under way is still to be run."""
        prefixes = [*self.waiting, *self.under_way]
        return {
            "v": JSON_VERSION,
            "preemptions": self.preemptions,
            "done": self.done,
            "violated": self.violated,
            "late": self.late,
            "differed": self.differed,
            "lost": self.lost,
            "waiting": [[" ".join(prefix.steps), prefix.preemptions, prefix.held] for prefix in prefixes],
        }

    @classmethod
    def from_json(cls, data: Any) -> Frontier:
        """Read what `to_json` gave; TokenError where it is something else."""
        try:
            if data["v"] != JSON_VERSION:
                raise TokenError(f"this search was written by another version of Deadheat (v {data['v']!r})")
            waiting = [
                Prefix(tuple(steps.split()), int(used), str(held)) for steps, used, held in data["waiting"]
            ]
            search = cls(preemptions=int(data["preemptions"]), waiting=waiting)
            search.done, search.violated = int(data["done"]), int(data["violated"])
            search.late, search.lost = int(data["late"]), int(data["lost"])
            search.differed, search.earlier = int(data["differed"]), search.done
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TokenError(f"this is no search of Deadheat's: {error!r}") from None
        return search


class Exhaustive:
    """Goes along the prefixes of a frontier: `take` one, run it, and tell the frontier how it `ended`."""

    name = "exhaustive"
    controlled = True
    yields = False
    faults = 0

    def __init__(self, frontier: Frontier) -> None:
        self.frontier = frontier
        self._prefix = Prefix()
        self._made: list[str] = []
        self._used = 0
        self._last: str | None = None
        self._mover: str | None = None
        self._found: list[Prefix] = []
        self._lost = self._differed = False

    def take(self) -> bool:
        """Take the prefix of the next run; False where there is none at the moment."""
        prefix = self.frontier.take()
        if prefix is None:
            return False
        self._prefix = prefix
        return True

    def begin(self, run: int) -> None:
        """Start the run of the prefix that was taken; it is numbered for others."""
        self._made, self._found = [], []
        self._used, self._lost, self._differed = self._prefix.preemptions, False, False
        self._last = self._mover = None

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give the prefix's next step, or nothing while it is not held; after it the default policy's."""
        chosen = default_choice(held, self._last)
        if not self._lost and len(self._made) < len(self._prefix.steps):
            wanted = self._prefix.steps[len(self._made)]
            at = next((i for i, step in enumerate(held) if step.name.key == wanted), None)
            if at is None:
                return ()
            chosen = at
            if len(self._made) + 1 == len(self._prefix.steps):
                self._differed = digest_of(held) != self._prefix.held
        elif not self._lost:
            self._branch(held, chosen)
        self._made.append(held[chosen].name.key)
        self._last, self._mover = held[chosen].name.strand, unit_of(held[chosen])
        return (chosen,)

    def give_up(self) -> None:
        """Take note that the prefix's next step never came."""
        self._lost = True

    def ended(self, *, judged: bool, violated: bool = False, late: bool = False) -> None:
        """Take in the end of the run; one that was not ``judged`` is to be run again, and a ``late`` one."""
        short = len(self._made) < len(self._prefix.steps)
        if self._lost or (judged and short):
            self.frontier.lose(self._prefix)
        elif judged:
            self.frontier.finish(
                self._prefix, self._found, violated=violated, late=late, differed=self._differed
            )
        else:
            self.frontier.give_back(self._prefix)

    def _branch(self, held: Sequence[Held], default: int) -> None:
        """Note what else could go here, the step that would be tried first last."""
        can_go_on = any(unit_of(step) == self._mover for step in held)
        shown = digest_of(held) if len(held) > 1 else ""
        for at in reversed(range(len(held))):
            if at == default:
                continue
            preempts = can_go_on and unit_of(held[at]) != self._mover
            used = self._used + preempts
            if used <= self.frontier.preemptions:
                self._found.append(Prefix((*self._made, held[at].name.key), used, shown))


def digest_of(held: Sequence[Held]) -> str:
    """Give a short digest of what there is to choose from, in whatever order it is held."""
    return digest(" ".join(sorted(step.name.key for step in held)), 6)
