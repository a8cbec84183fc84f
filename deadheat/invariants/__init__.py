"""What must hold once a run has settled."""

from deadheat.invariants.judge import BUILT_IN, Tally, check_settings, judge

__all__ = ["BUILT_IN", "Tally", "check_settings", "judge"]
