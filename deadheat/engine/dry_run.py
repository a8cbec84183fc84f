"""A dry run: what a run with these settings would start, send, read and delete, in lines; nothing is done.

Requests are filled for a sample user, as a run would fill them; what only an answer could give stands as
``captured-NAME``. Nothing here opens a connection or starts anything.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deadheat.engine.calls import outgoing
from deadheat.engine.cast import Part
from deadheat.engine.discover import lacking
from deadheat.engine.levels import reach_of
from deadheat.engine.postgres import Dsn
from deadheat.errors import DeadheatError
from deadheat.program import World, name_of
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.engine.levels import Reach
    from deadheat.program import Scenario
    from deadheat.settings import OperationSettings, Request, Settings

ASSIGNED = "http://127.0.0.1:PORT"  # a started target's port is drawn when it is started


def dry_lines(settings: Settings, scenarios: Sequence[Scenario]) -> Iterator[str]:
    """Give what a run would do, part by part."""
    reach = reach_of(settings)
    yield f"dry run of {settings.target_name}, {reach}; nothing is started, sent, read or written"
    yield from _started(settings)
    yield from _databases(settings, reach)
    yield from _operations(settings)
    yield from _webhooks(settings, reach)
    yield from _scenarios(settings, scenarios, reach)
    yield from _cleanup(settings)


def _started(settings: Settings) -> Iterator[str]:
    target = settings.target
    if target.start is None:
        yield f"target: {target.base_url}, which runs already; GET {target.ready} asks whether it is ready"
        return
    if target.migrate is not None:
        yield f"migrate, once, in {target.folder}: {target.migrate}"
    many = 1 if target.base_url else settings.workers
    yield f"start{f', {many} side by side' if many > 1 else ''}, in {target.folder}: {target.start}"
    for name, value in target.env.items():
        yield f"  {name}={value}"
    yield f"ready when GET {target.ready} answers below 500"


def _databases(settings: Settings, reach: Reach) -> Iterator[str]:
    if settings.target.start is None:
        if not reach.database:
            yield "database: none is named, and none is read"
            return
        dsn = _dsn(settings)
        yield f"database: {dsn.database} at {dsn.where}, the target's own; the mapped queries are run there"
        if reach.statements:
            yield f"  a proxy before it at 127.0.0.1:{settings.postgres_port} holds the target's statements"
    elif "://" in settings.postgres:
        dsn = _dsn(settings)
        yield f"databases: deadheat_… at {dsn.where} are created, migrated, and dropped at the end; no other"
    else:
        yield f"databases: on a Postgres of Deadheat's own ({settings.postgres}), gone at the end"
    for name, sql in settings.target.tables.items():
        yield f"  reads {name}: {' '.join(sql.split())}"


def _dsn(settings: Settings) -> Dsn:
    return Dsn.parse(settings.postgres, allow_hosts=settings.allow_hosts)


def _operations(settings: Settings) -> Iterator[str]:
    user = World("sample").user()
    base_url = settings.target.base_url or ASSIGNED
    part = Part.of(user, MONTHLY, base_url)
    yield f"operations, as {user.name} ({user.email}) would do them:"
    for operation in settings.target.operations.values():
        yield f"  {operation.name}"
        if not operation.calls:
            yield "    what its adapter sends is for its code to say"
        for call in operation.calls:
            yield from (f"    {line}" for line in _call(operation, call, part, base_url))


def _call(operation: OperationSettings, call: Request, part: Part, base_url: str) -> Iterator[str]:
    values = part.values(operation.name)
    for name in call.placeholders():
        if name not in values.shared:
            values.capture(name, f"/captured-{name}" if call.path == f"{{{name}}}" else f"captured-{name}")
    try:
        sent = outgoing(call, values)
    except DeadheatError:  # a number that only an answer could give
        yield f"{call.method} {base_url}{call.path} with what was captured"
        return
    yield f"{sent.method} {base_url}{sent.path}"
    for name, value in sent.headers.items():
        yield f"  {name}: {value}"
    if sent.body is not None:
        yield f"  {sent.body if isinstance(sent.body, str) else json.dumps(sent.body)}"


def _webhooks(settings: Settings, reach: Reach) -> Iterator[str]:
    if not settings.target.webhooks:
        yield "webhooks: none are sent, there is no [target.webhook]"
    elif not reach.stripe:
        yield f"webhooks: none are sent, Stripe is not ours at level {reach.level}"
    else:
        base_url = settings.target.base_url or ASSIGNED
        for hook in settings.target.webhooks:
            yield f"webhooks: signed events, sometimes twice, late or forged, to POST {base_url}{hook.path}"
            yield f"  types: {', '.join(hook.types) or 'every type'}"
    if reach.stripe:
        port = f"127.0.0.1:{settings.stripe_port}" if settings.stripe_port else "a port of its own"
        yield f"Stripe: a simulator at {port}; the real one is never called"


def _scenarios(settings: Settings, scenarios: Sequence[Scenario], reach: Reach) -> Iterator[str]:
    yield f"scenarios: {len(scenarios)}, each many times, with new users every time"
    for made in scenarios:
        if lack := lacking(made, settings.target, reach):
            yield f"  {made.name}: skipped, the target does not offer {', '.join(lack)}"
            continue
        program = reach.fit(made(World("sample")))
        race = " | ".join(", ".join(name_of(operation) for operation in actor) for actor in program.race)
        before = ", ".join(name_of(operation) for operation in program.before)
        failing = ", ".join(dict.fromkeys(fault.route for fault in program.faults))
        yield (
            f"  {made.name}: {f'first {before}; ' if before else ''}at once {race}"
            f"{f'; the simulator fails {failing}' if failing else ''}"
        )


def _cleanup(settings: Settings) -> Iterator[str]:
    foreign = settings.target.start is None
    if settings.target.cleanup:
        yield "cleanup, after each run, for its users only:"
        for sql in settings.target.cleanup:
            yield f"  {' '.join(sql.split())}"
    elif foreign:
        yield "cleanup: none is described, so what the runs' users did stays; [target.cleanup] takes it away"
    else:
        yield "cleanup: none is needed, the databases are dropped"
