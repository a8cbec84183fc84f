"""The table ``[target.operations]``: what people do at the target, call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.errors import SettingsError, closest
from deadheat.program import ACTS, DELIVERIES
from deadheat.settings import kinds
from deadheat.settings.model import OperationSettings, Request

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from deadheat.settings.table import Table

# What can stand in a request beside what was captured.
OF_THE_USER = ("user.id", "user.email", "user.name", "price", "target.url")

_OF_A_CALL = ("request", "json", "form", "headers", "follow", "success", "capture")


def read_operations(table: Table) -> dict[str, OperationSettings]:
    """Read the operations of ``[target]``; SettingsError also for a placeholder that nothing fills."""
    operations = {name: _operation(name, inner) for name, inner in table.tables("operations").items()}
    _check_placeholders(operations, table)
    return operations


def check_names(names: Collection[str], known: Collection[str], where: str) -> None:
    """Refuse the first placeholder that nothing fills, naming the closest."""
    for name in names:
        if name not in known:
            raise SettingsError(
                f"{where}: nothing fills {{{name}}}."
                f"{closest(name, known) or ' There are ' + ', '.join(known) + '.'}"
            )


def _operation(name: str, table: Table) -> OperationSettings:
    if name in ACTS or name == DELIVERIES:
        raise SettingsError(
            f"{table.titled()}: {name} is Stripe's own act and always there. Call the operation otherwise."
        )
    operation = OperationSettings(
        name=name,
        calls=_calls(table),
        customer=table.take("customer", kinds.place, None),
        checkout_session=table.take("checkout-session", kinds.place, None),
        session=table.take("session", kinds.place, None),
        refusals=table.take("refusals", kinds.statuses, ()),
    )
    table.refuse_unknown()
    both = sorted(set(operation.refusals) & {status for call in operation.calls for status in call.success})
    if both:
        raise SettingsError(f"{table.where('refusals')}: {both[0]} is also a success. It can be only one.")
    return operation


def _calls(table: Table) -> tuple[Request, ...]:
    if ("request" in table) == ("calls" in table):
        raise SettingsError(
            f"{table.titled()} needs either request (one call) or calls (a list of them)"
            f"{', not both' if 'calls' in table else ''}."
        )
    if "calls" not in table:
        table.knows("calls")
        return (_call(table),)
    for key in _OF_A_CALL[1:]:
        if key in table:
            raise SettingsError(f"{table.where(key)} belongs into one of the calls.")
    table.knows("request")
    calls = []
    for inner in table.list_of_tables("calls"):
        calls.append(_call(inner))
        inner.refuse_unknown()
    return tuple(calls)


def _call(table: Table) -> Request:
    method, path = table.require("request", kinds.request_line)
    if "json" in table and "form" in table:
        raise SettingsError(f"{table.titled()} has both json and form. A call has one body.")
    return Request(
        method=method,
        path=path,
        json=table.take("json", kinds.json_object, None),
        form=table.take("form", kinds.form, None),
        headers=table.take("headers", kinds.headers, {}),
        follow=table.take("follow", kinds.switch, False),
        success=table.take("success", kinds.statuses, (200,)),
        capture=table.strings("capture", kinds.place),
    )


def _check_placeholders(operations: Mapping[str, OperationSettings], table: Table) -> None:
    """Refuse a placeholder that nothing can fill: neither the user nor any capture of the file."""
    calls = [call for operation in operations.values() for call in operation.calls]
    known = (*OF_THE_USER, *(name for call in calls for name in call.capture))
    for operation in operations.values():
        for call in operation.calls:
            check_names(call.placeholders(), known, f"{table.where('operations')}.{operation.name}")
