"""Exhaustive searches on disk, ``.deadheat/searches/ID.json``: one that was cut short is taken up again.

A file holds what is still to be run (`Frontier`), of one target, scenario and bound. It is dropped when
the search is over, and when the scenario, the target's settings or the engine are others than when it was
begun. Whether the target's code is another one is not seen: a search that was taken up says how much of it
was run earlier.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from deadheat.errors import TokenError
from deadheat.schedule import Frontier

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.program import Scenario
    from deadheat.settings import TargetSettings


@dataclass(frozen=True, slots=True)
class Searches:
    """The searches of one target below ``folder``: by its name and its settings, `written` down.

    ``version`` is the engine's.
    """

    folder: Path
    target: str
    settings: str
    version: str

    def begin(self, scenario: Scenario, preemptions: int) -> Frontier:
        """Take up the search that was cut short, or begin one."""
        try:
            data = json.loads(self._path(scenario, preemptions).read_text(encoding="utf-8"))
            if data["of"] == self._of(scenario):
                return Frontier.from_json(data["frontier"])
        except (OSError, ValueError, KeyError, TypeError, TokenError):
            pass  # there is none, or none that can be gone on with
        return Frontier(preemptions=preemptions)

    def end(self, scenario: Scenario, frontier: Frontier) -> None:
        """Keep what is still to be run; nothing where all was."""
        path = self._path(scenario, frontier.preemptions)
        if not (frontier.waiting or frontier.under_way):
            path.unlink(missing_ok=True)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        data = {"of": self._of(scenario), "frontier": frontier.to_json()}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(data) + "\n", encoding="utf-8")
        part.replace(path)

    def _of(self, scenario: Scenario) -> str:
        """Give a digest of all that must be the same for a search to be gone on with."""
        parts = f"{scenario.source}\0{self.version}\0{self.settings}"
        return blake2b(parts.encode(), digest_size=8).hexdigest()

    def _path(self, scenario: Scenario, preemptions: int) -> Path:
        identity = f"{self.target}\0{scenario.name}\0{preemptions}"
        return self.folder / f"{blake2b(identity.encode(), digest_size=5).hexdigest()}.json"


def written(target: TargetSettings) -> str:
    """Write a target's settings down, the same in every process."""
    statuses = sorted((name, sorted(stand_for)) for name, stand_for in target.statuses.items())
    return f"{replace(target, statuses={})!r} {statuses!r}"
