"""The table ``[target.operations]``: what people do at the target, call by call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from deadheat.errors import SettingsError, closest
from deadheat.program import ACTS, DELIVERIES, Cancel, Pay, Refund, Renew
from deadheat.settings import kinds
from deadheat.settings.model import OperationSettings, Request
from deadheat.settings.python import load, reference

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from deadheat.settings.table import Table

# What can stand in a request beside what was captured.
OF_THE_USER = ("user.id", "user.email", "user.name", "price", "target.url")

# What happens at Stripe to a person's own things, say in its customer portal.
OF_A_PERSON: Mapping[str, type[Pay | Cancel | Renew | Refund]] = {
    "pay": Pay,
    "cancel": Cancel,
    "renew": Renew,
    "refund": Refund,
}

_OF_A_CALL = ("request", "json", "form", "headers", "follow", "success", "capture")


def read_operations(table: Table, folder: Path) -> dict[str, OperationSettings]:
    """Read the operations of ``[target]``, and those of its adapter that the table does not describe.

    SettingsError also for a placeholder that nothing fills.
    """
    operations = {name: _operation(name, inner) for name, inner in table.tables("operations").items()}
    adapter = table.take("adapter", reference, None)
    if adapter is not None:
        where = table.where("adapter")
        operations = {**_of_adapter(load(adapter, folder, where), where), **operations}
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
    _check_free(name, table.titled())
    at_stripe = table.take("at-stripe", kinds.one_of(*OF_A_PERSON), None)
    operation = OperationSettings(
        name=name,
        calls=_calls(table, at_stripe),
        customer=table.take("customer", kinds.place, None),
        checkout_session=table.take("checkout-session", kinds.place, None),
        session=table.take("session", kinds.place, None),
        refusals=table.take("refusals", kinds.statuses, ()),
        at_stripe=OF_A_PERSON[at_stripe] if at_stripe else None,
    )
    table.refuse_unknown()
    both = sorted(set(operation.refusals) & {status for call in operation.calls for status in call.success})
    if both:
        raise SettingsError(f"{table.where('refusals')}: {both[0]} is also a success. It can be only one.")
    return operation


def _of_adapter(made: type[Any], where: str) -> dict[str, OperationSettings]:
    """Give an operation for each public method of an adapter."""
    try:
        adapter = made()
    except Exception as error:
        raise SettingsError(f"{where}: it cannot be made: {type(error).__name__}: {error}") from error
    keeps = getattr(made, "keeps", ())
    if isinstance(keeps, str) or not all(isinstance(name, str) for name in keeps):
        raise SettingsError(f"{where}: keeps should be a tuple of names, was {keeps!r}.")
    names = [name for name, value in inspect.getmembers(made, callable) if not name.startswith("_")]
    if not names:
        raise SettingsError(f"{where}: it has no method that could be an operation, say sign_up.")
    operations = {}
    for name in names:
        operation = name.replace("_", "-")
        _check_free(operation, f"{where}: {name}")
        operations[operation] = OperationSettings(
            name=operation, calls=(), method=getattr(adapter, name), keeps=tuple(keeps)
        )
    return operations


def _check_free(name: str, where: str) -> None:
    if name in ACTS or name == DELIVERIES:
        raise SettingsError(
            f"{where}: {name} is Stripe's own act and always there. Call the operation otherwise."
        )


def _calls(table: Table, at_stripe: str | None) -> tuple[Request, ...]:
    if at_stripe is not None and "request" not in table and "calls" not in table:
        table.knows("request", "calls")
        return ()
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
    known = (*OF_THE_USER, *(name for operation in operations.values() for name in operation.gives()))
    for operation in operations.values():
        for call in operation.calls:
            check_names(call.placeholders(), known, f"{table.where('operations')}.{operation.name}")
