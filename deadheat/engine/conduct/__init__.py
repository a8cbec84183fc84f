"""The conductor and its parts: who does what, who waits for whom, and what comes next."""

from deadheat.engine.conduct.conductor import Conductor
from deadheat.engine.conduct.sequels import Sequels

__all__ = ["Conductor", "Sequels"]
