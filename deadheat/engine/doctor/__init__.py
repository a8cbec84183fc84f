"""The doctor: tries, for real, everything that a run needs, and says what can be controlled and checked.

`examine` tells one `Check` after the other: this machine first, then what the settings leave out, then
the target, put up as for a run: its operations are done by fresh users, its webhook is sent a true
event and three forged ones, its mapped queries are run. It judges nothing: that is what runs are for.
"""

from deadheat.engine.doctor.check import Check, Health, run_possible
from deadheat.engine.doctor.examine import examine

__all__ = ["Check", "Health", "examine", "run_possible"]
