"""Which invariants of a team's own have ever been violated: only those are known to be able to.

A query that can give no row would hold for ever and say nothing. Until one has been violated as it
stands now, by a bug put in on purpose or by a real one, reports call it *unproven*.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from deadheat.invariants.invariant import Invariant


@dataclass(frozen=True, slots=True)
class Proven:
    """The record, a file of ``{invariant: hash of its text}``."""

    path: Path
    own: Sequence[Invariant]

    def without(self, violated: Collection[str]) -> tuple[str, ...]:
        """Note those that were violated by now; give the ones that never were, as they stand."""
        if not self.own:
            return ()
        record = self._read()
        known = {invariant.id: _digest(invariant) for invariant in self.own}
        new = {name: digest for name, digest in known.items() if name in violated}
        if new.items() - record.items():
            record.update(new)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return tuple(name for name, digest in known.items() if record.get(name) != digest)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _digest(invariant: Invariant) -> str:
    return blake2b(invariant.source.encode(), digest_size=4).hexdigest()
