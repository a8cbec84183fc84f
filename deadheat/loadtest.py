"""What a locustfile uses of Deadheat: where to play, who comes, and how it is told.

Under ``deadheat soak`` a desk gives the `Stage` and hears everything; the invariants are judged
there. Without one (plain ``locust -f``) the operations are read from the target's settings file, and
nothing is told to anybody: that is load without a verdict, and without payments, which only the
owner of the simulated Stripe can make.

Locust patches sockets and locks of its process before this is imported, so that the plain ones used
here give way to other greenlets.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deadheat.adapter import HttpAnswer
from deadheat.engine.cast import Part
from deadheat.engine.soak.visit import Exchange, perform
from deadheat.engine.soak.wire import DESK, Acted, Joined, Left, Load, Named, Pass, Stage, line, read
from deadheat.errors import SettingsError
from deadheat.program import Do, Operation, World
from deadheat.safety import check_url
from deadheat.settings import load_settings
from deadheat.stripe_sim.catalog import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from deadheat.engine.soak.wire import Answered, Said
    from deadheat.program import Scenario

__all__ = ["Do", "Exchange", "HttpAnswer", "Load", "Operation", "Part", "Street", "check_host", "open_street"]

PEOPLE_MAX = 20_000
CONNECT_SECONDS = 10.0


class Desk:
    """The line to the desk; every greenlet may speak."""

    def __init__(self, where: str, *, plays: bool) -> None:
        address, _, word = where.partition("/")
        host, _, port = address.rpartition(":")
        self._lock = threading.Lock()
        self._socket = socket.create_connection((host, int(port)), CONNECT_SECONDS)
        self.tell(Pass(word=word, plays=plays))
        with self._socket.makefile("rb") as lines:
            stage = read(lines.readline())
        assert isinstance(stage, Stage)  # the desk says nothing else
        self.stage = stage
        self._socket.settimeout(None)

    def tell(self, said: Said) -> None:
        """Say one thing."""
        with self._lock:
            self._socket.sendall(line(said))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass(slots=True)
class Street:
    """Where one load process plays. People are made here, and what becomes of them is told from here."""

    stage: Stage
    desk: Desk | None = None
    made: int = 0
    under_way: list[str] = field(default_factory=list)  # the person of each operation
    closing: bool = False  # nobody begins anything new
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Say whether as many people were made as this process may make."""
        return self.made >= self.stage.people_max

    def offers(self, visit: Scenario) -> bool:
        """Say whether the target has what a visit needs."""
        return set(visit.needs) <= set(self.stage.operations)

    def world(self) -> World:
        """Give a fresh world for one visit."""
        self.made += 1
        return World(f"{self.stage.marker}{self.made:x}")

    def enter(self, operation: Operation) -> Part | None:
        """Give the person of an operation their part, and announce them if they are new."""
        user = getattr(operation, "user", None)
        if user is None:
            return None
        if user.id not in self.parts:
            self.parts[user.id] = Part.of(user, self.stage.price, self.stage.url)
            if self.desk is not None:
                self.desk.tell(Joined(id=user.id, email=user.email, name=user.name))
        return self.parts[user.id]

    def go(self, operation: Operation) -> None:
        """Forget the person of an operation: their visit is over."""
        user = getattr(operation, "user", None)
        if user is not None:
            self.parts.pop(user.id, None)

    def do(
        self, operation: Do, part: Part, tab: str, *, in_race: bool
    ) -> Generator[Exchange, HttpAnswer | None, Answered]:
        """Do an operation as `perform` does, and tell what it was answered."""
        calls = perform(self.stage.operations[operation.operation], part, tab, in_race=in_race)
        answer: HttpAnswer | None = None
        known = part.id
        self.under_way.append(part.user.id)
        try:
            while True:
                call = calls.send(answer)
                if part.id != known:
                    known = self._named(part)
                answer = yield call
        except StopIteration as over:
            answered: Answered = over.value
        finally:
            self.under_way.remove(part.user.id)
        if part.id != known:
            self._named(part)
        if self.desk is not None:
            self.desk.tell(answered)
        return answered

    def _named(self, part: Part) -> str:
        """Tell at once which id the target gave: whatever follows may be dropped before it is told."""
        if self.desk is not None:
            self.desk.tell(Named(person=part.user.id, user_id=part.id))
        return part.id

    def act(self, act: str, part: Part, tab: str) -> None:
        """Pay, cancel or refund, which happens at Stripe."""
        if self.desk is not None and act in ("pay", "cancel", "refund"):
            session = part.session_for(tab) if act == "pay" else None
            self.desk.tell(Acted(person=part.user.id, tab=tab, act=act, session=session))  # type: ignore[arg-type]

    def leave(self) -> None:
        """Tell that all was told."""
        if self.desk is not None:
            self.desk.tell(Left(cut=tuple(self.under_way)))

    def close(self, load: Load | None = None) -> None:
        """Tell the statistics, if this process has them, and hang up."""
        if self.desk is not None:
            if load is not None:
                self.desk.tell(load)
            self.desk.close()
            self.desk = None


def open_street(
    *, target: str | None = None, plays: bool = True, environ: Mapping[str, str] = os.environ
) -> Street:
    """Open the street: at the desk that ``environ`` names, else by the settings of ``target``.

    SettingsError for a target that cannot be read, or offers no operation.
    """
    if where := environ.get(DESK):
        desk = Desk(where, plays=plays)
        return Street(desk.stage, desk)
    settings = load_settings(options={"target": target}, environ=environ, cwd=Path.cwd())
    operations = settings.target.operations
    if not operations:
        raise SettingsError(
            f"{settings.target_name}: it has no [target.operations], so there is no load to make."
        )
    marker = os.urandom(4).hex()
    return Street(Stage(marker=marker, price=MONTHLY, people_max=PEOPLE_MAX, operations=operations))


def check_host(
    host: str | None, *, target: str | None = None, environ: Mapping[str, str] = os.environ
) -> None:
    """SettingsError without a host; Refused for one that is neither this machine nor allowed."""
    if not host:
        raise SettingsError(
            "where is the target? Give its address, as in --host http://127.0.0.1:8000, or in the web UI."
        )
    allow = load_settings(options={"target": target}, environ=environ, cwd=Path.cwd()).allow_hosts
    check_url(host, where="--host", allow=allow)
