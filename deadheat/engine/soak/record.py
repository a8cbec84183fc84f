"""The record of a soak: of each crossing the step that ends it, no more.

A run keeps six steps for each call of its few. A soak makes tens of thousands; what its evidence
points at are answers, effects and answered deliveries, and only those are numbered, kept and written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.history import Plane, Recorder, Step, StepKind

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = frozenset(
    {
        (Plane.HTTP, StepKind.ANSWER),
        (Plane.STRIPE, StepKind.EFFECT),
        (Plane.WEBHOOK, StepKind.ANSWER),
    }
)


class SoakRecorder(Recorder):
    """Numbers and keeps the steps that are `KEPT`; the others are given back unnumbered (seq 0)."""

    def record(
        self,
        *,
        actor: str,
        plane: Plane,
        kind: StepKind,
        label: str,
        conn: int | None = None,
        attribution: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Step:
        """Add a step if it is of a kind that is kept."""
        if (plane, kind) not in KEPT:
            return Step(run=self.run, seq=0, t_us=0, actor=actor, plane=plane, kind=kind, label="")
        return super().record(
            actor=actor,
            plane=plane,
            kind=kind,
            label=label,
            conn=conn,
            attribution=attribution,
            data=data,
        )
