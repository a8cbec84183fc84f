"""Soak with locust: everybody is one person after another, each racing themselves in several tabs.

``deadheat soak`` (or ``make soak``) runs this and judges what it left. By itself, with locust's web
UI, it is load without a verdict:

    locust -f loadtests/locustfile.py --host http://127.0.0.1:8000 --target my/deadheat.toml

``--target`` (or DEADHEAT_TARGET) says whose operations these are: reference, before or a settings
file; without it, the deadheat.toml of the working folder, else the reference. ``--host`` is where it
runs, which may also be typed into the web UI. What people do is in visits.py.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import gevent
from locust import FastHttpUser, between, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner
from visits import VISITS

from deadheat import DeadheatError, Program
from deadheat.loadtest import Do, HttpAnswer, Load, Street, check_host, open_street

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from locust.env import Environment

    from deadheat.loadtest import Exchange, Operation, Part

log = logging.getLogger("deadheat")
SECONDS_MAX = 30.0
DRAIN_SECONDS = 35.0  # longer than a call may take, so that each has its answer or its time-out
street: Street


@events.init_command_line_parser.add_listener
def add_arguments(parser: ArgumentParser, **_: Any) -> None:
    """Add --target; bind what locust opens to this machine unless told otherwise."""
    parser.add_argument(
        "--target",
        default=os.environ.get("DEADHEAT_TARGET") or None,
        include_in_web_ui=False,
        help="Whose operations to do: reference, before or a settings file (DEADHEAT_TARGET)",
    )
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")


@events.init.add_listener
def open_the_street(environment: Environment, **_: Any) -> None:
    """Learn what to do and where, or say what is missing and end."""
    global street
    options = environment.parsed_options
    assert options is not None
    try:
        street = open_street(target=options.target, plays=not isinstance(environment.runner, MasterRunner))
        if street.desk is None and (options.host or options.headless):
            check_host(options.host, target=options.target)
    except (DeadheatError, OSError) as error:
        log.error("%s", error)
        sys.exit(2)
    offered = [visit.name for visit in VISITS if street.offers(visit)]
    if not offered:
        log.error(
            "The target offers what no visit needs; its operations: %s", ", ".join(street.stage.operations)
        )
        sys.exit(2)
    log.info("Visits: %s", ", ".join(offered))
    if street.desk is None:
        log.info("No payments, no webhooks and no verdict: for these, run deadheat soak.")


@events.test_start.add_listener
def look_at_the_host(environment: Environment, **_: Any) -> None:
    """Refuse a host that was typed into the web UI and is not this machine."""
    options = environment.parsed_options
    assert options is not None
    if street.desk is not None:
        return
    try:
        check_host(environment.host, target=options.target)
    except DeadheatError as error:
        log.error("%s", error)
        environment.host = None
        if environment.runner is not None:
            environment.runner.quit() if options.headless else environment.runner.stop()


@events.test_start.add_listener
def keep_the_time(environment: Environment, **_: Any) -> None:
    """Under a desk, let everybody end what they are doing before locust does."""
    if street.stage.seconds is not None and not isinstance(environment.runner, MasterRunner):
        gevent.spawn(close_the_street, street.stage.seconds)


def close_the_street(seconds: float) -> None:
    """Let nothing begin after ``seconds``, and tell the desk when all has ended."""
    gevent.sleep(seconds)
    street.closing = True
    with gevent.Timeout(DRAIN_SECONDS, exception=False):
        while street.under_way:
            gevent.sleep(0.05)
    street.leave()


@events.quitting.add_listener
def tell_the_load(environment: Environment, **_: Any) -> None:
    """Tell the desk what was counted."""
    street.close(None if isinstance(environment.runner, WorkerRunner) else load_of(environment))


def load_of(environment: Environment) -> Load:
    """Give locust's statistics."""
    total = environment.stats.total
    return Load(
        requests=total.num_requests,
        failures=total.num_failures,
        per_s=total.total_rps,
        p50_ms=total.get_response_time_percentile(0.5),
        p95_ms=total.get_response_time_percentile(0.95),
        operations={
            name: {
                "requests": entry.num_requests,
                "failures": entry.num_failures,
                "p50_ms": entry.get_response_time_percentile(0.5),
                "p95_ms": entry.get_response_time_percentile(0.95),
            }
            for (name, _), entry in sorted(environment.stats.entries.items())
        },
    )


class Visitor(FastHttpUser):
    """Somebody at a browser: a new person with every visit."""

    wait_time = between(0.05, 0.3)
    network_timeout = SECONDS_MAX
    connection_timeout = SECONDS_MAX

    def on_start(self) -> None:
        """Leave cookies and redirects to the operations: both are part of the answers."""
        self.client.cookiejar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.client.client.redirect_response_codes = frozenset()  # type: ignore[misc]
        self.visits = {visit: weight for visit, weight in VISITS.items() if street.offers(visit)}

    @task
    def visit(self) -> None:
        """Make one visit, by weight."""
        if street.full or street.closing:
            raise StopUser
        (chosen,) = random.choices(list(self.visits), list(self.visits.values()))
        self.play(chosen(street.world()))

    def play(self, program: Program) -> None:
        """Do what comes before, then let the tabs race."""
        self.new_connections()
        self.tab(program.before, "before", in_race=False)
        self.new_connections()
        tabs = [
            gevent.spawn(self.tab, actor, name) for name, actor in zip("ABCDEFGH", program.race, strict=False)
        ]
        try:
            gevent.joinall(tabs, raise_error=True)
        finally:
            gevent.killall(tabs)
            for operation in program.operations():
                street.go(operation)

    def new_connections(self) -> None:
        """Begin with new connections: a server closes idle ones, which would look like no answer."""
        self.client.client.clientpool.close()

    def tab(self, operations: Sequence[Operation], name: str, *, in_race: bool = True) -> None:
        """Do operations one after the other; what an earlier one did not give ends it."""
        for operation in operations:
            part = street.enter(operation)
            if part is None:
                continue
            if street.closing:
                return
            if not isinstance(operation, Do):
                street.act(type(operation).__name__.lower(), part, name)
            elif not self.do(operation, part, name, in_race=in_race):
                return

    def do(self, operation: Do, part: Part, name: str, *, in_race: bool) -> bool:
        """Do one operation call by call; False when it lacked something, say a link never sent."""
        calls = street.do(operation, part, name, in_race=in_race)
        answer: HttpAnswer | None = None
        try:
            while True:
                answer = self.exchange(calls.send(answer))
        except StopIteration:
            return True
        except DeadheatError:
            return False

    def exchange(self, call: Exchange) -> HttpAnswer | None:
        """Make one call; None when no answer came."""
        with self.client.request(
            call.method,
            call.path,
            name=call.label,
            json=call.json,
            data=call.form,
            headers=dict(call.headers),
            catch_response=True,
        ) as response:
            status = response.status_code
            if status in call.expected:
                response.success()
            elif status:
                response.failure(f"answered {status}")
            if not status:
                return None
            pairs = tuple((key.lower(), value) for key, value in response.headers.items())
            return HttpAnswer(status, pairs, response.content or b"")
