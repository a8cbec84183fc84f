"""What a report is: a consumer of the engine's stream of events. Reports know nothing of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deadheat.engine.events import Event


class Consumer(Protocol):
    """Is started once, handed every event in order, and finished however the block is left.

    ``start`` raises SettingsError for what cannot work (a file that cannot be written), before the
    first run. ``finish`` is called also after an interrupt, when no `SuiteFinished` may have come.
    """

    def start(self) -> None:
        """Get ready."""

    def handle(self, event: Event) -> None:
        """Take in one event; unknown ones are passed over."""

    def finish(self) -> None:
        """Let go of everything."""
