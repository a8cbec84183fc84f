"""The table ``[target]``: what is raced, how it is started, and what its operations are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from deadheat.errors import SettingsError, closest
from deadheat.program import ACTS, DELIVERIES
from deadheat.settings import kinds
from deadheat.settings.model import OperationSettings, Request, TargetSettings, WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from deadheat.settings.table import Table

RELATIONS = ("customers", "subscriptions", "effects")
# What can stand in a request beside what was captured, and in a target's commands and environment.
OF_THE_USER = ("user.id", "user.email", "user.name", "price")
OF_THE_RUN = (
    "postgres.url",
    "stripe.url",
    "stripe.key",
    "stripe.webhook-secret",
    "python",
    "port",
    "workers",
)

# A shell's ${NAME} in a command is the shell's.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([a-zA-Z_][\w.-]*)\}")
_OF_A_CALL = ("request", "json", "success", "capture")
_ONLY_WITH_START = ("env", "migrate", "workers")


def read_target(table: Table, folder: Path) -> TargetSettings:
    """Read ``[target]``; ``folder`` is where the file stands, and where its commands run."""
    operations = {name: _operation(name, inner) for name, inner in table.tables("operations").items()}
    _check_placeholders(operations, table)
    webhook = table.table("webhook")
    target = TargetSettings(
        folder=folder,
        start=table.take("start", kinds.text, None),
        base_url=table.take("base-url", kinds.url, None),
        ready=table.take("ready", kinds.path, "/"),
        ready_seconds=table.take("ready-seconds", kinds.seconds, 30.0),
        migrate=table.take("migrate", kinds.text, None),
        workers=table.take("workers", kinds.whole_number(1, 64), 1),
        env=table.strings("env", kinds.any_text),
        operations=operations,
        webhook=None if webhook is None else _webhook(webhook),
        tables=_tables(table),
    )
    if "cleanup" in table:
        raise SettingsError(
            f"{table.where('cleanup')} is not supported yet: what a run makes in a database of yours "
            "stays there. Take the table away to go on."
        )
    table.refuse_unknown()
    _check_way_in(table)
    _check_names(target.start or "", OF_THE_RUN, table.where("start"))
    _check_names(target.migrate or "", OF_THE_RUN, table.where("migrate"))
    for name, value in target.env.items():
        _check_names(value, OF_THE_RUN, f"{table.where('env')}.{name}")
    return target


def _check_way_in(table: Table) -> None:
    """Refuse a target that is neither started nor called, and what says how to start one that is not.

    With both, ``base-url`` says on which port of its own the started target listens.
    """
    if "start" in table:
        return
    if "base-url" not in table:
        raise SettingsError(
            f"{table.titled()} needs either start (a command to run) or base-url (where it runs already)."
        )
    useless = [key for key in _ONLY_WITH_START if key in table]
    if useless:
        raise SettingsError(
            f"{table.where(useless[0])} says how to start the target, and without start nothing is started."
        )


def _operation(name: str, table: Table) -> OperationSettings:
    if name in ACTS or name == DELIVERIES:
        raise SettingsError(
            f"{table.titled()}: {name} is Stripe's own act and always there. Call the operation otherwise."
        )
    if ("request" in table) == ("calls" in table):
        raise SettingsError(
            f"{table.titled()} needs either request (one call) or calls (a list of them)"
            f"{', not both' if 'calls' in table else ''}."
        )
    if "calls" in table:
        _refuse_beside_calls(table)
        calls = tuple(_call(inner, alone=True) for inner in table.list_of_tables("calls"))
    else:
        calls = (_call(table),)
    table.knows("request", "calls")
    operation = OperationSettings(
        name=name,
        calls=calls,
        customer=table.take("customer", kinds.place, None),
        checkout_session=table.take("checkout-session", kinds.place, None),
        session=table.take("session", kinds.place, None),
        refusals=table.take("refusals", kinds.statuses, ()),
    )
    table.refuse_unknown()
    both = sorted(set(operation.refusals) & {status for call in calls for status in call.success})
    if both:
        raise SettingsError(f"{table.where('refusals')}: {both[0]} is also a success. It can be only one.")
    return operation


def _refuse_beside_calls(table: Table) -> None:
    for key in _OF_A_CALL[1:]:
        if key in table:
            raise SettingsError(f"{table.where(key)} belongs into one of the calls.")


def _call(table: Table, *, alone: bool = False) -> Request:
    """Read a call; ``alone`` when the table holds nothing else."""
    method, path = table.require("request", kinds.request_line)
    call = Request(
        method=method,
        path=path,
        json=table.take("json", kinds.json_object, None),
        success=table.take("success", kinds.statuses, (200,)),
        capture=table.strings("capture", kinds.place),
    )
    if alone:
        table.refuse_unknown()
    return call


def _webhook(table: Table) -> WebhookSettings:
    webhook = WebhookSettings(
        path=table.require("path", kinds.path),
        api_version=table.take("api-version", kinds.text, None),
        types=table.take("types", kinds.list_of(kinds.text, "event types"), ()),
    )
    table.refuse_unknown()
    return webhook


def _tables(table: Table) -> dict[str, str]:
    inner = table.table("tables")
    if inner is None:
        return {}
    found = {name: inner.take(name, kinds.query, None) for name in RELATIONS}
    inner.refuse_unknown()
    return {name: query for name, query in found.items() if query is not None}


def _check_placeholders(operations: Mapping[str, OperationSettings], table: Table) -> None:
    """Refuse a placeholder that nothing can fill: neither the user nor any capture of the file."""
    calls = [call for operation in operations.values() for call in operation.calls]
    known = (*OF_THE_USER, *(name for call in calls for name in call.capture))
    for operation in operations.values():
        for call in operation.calls:
            for text in (call.path, *_strings(call.json)):
                _check_names(text, known, f"{table.where('operations')}.{operation.name}")


def _check_names(text: str, known: Collection[str], where: str) -> None:
    for name in _PLACEHOLDER.findall(text):
        if name not in known:
            raise SettingsError(
                f"{where}: nothing fills {{{name}}}."
                f"{closest(name, known) or ' There are ' + ', '.join(known) + '.'}"
            )


def _strings(value: Any) -> Iterator[str]:
    """Give every string of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
