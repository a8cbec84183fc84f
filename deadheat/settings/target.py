"""The table ``[target]``: what is raced, how it is started, and what its operations are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deadheat.errors import SettingsError
from deadheat.invariants.stripe_json import STATUSES
from deadheat.pgwire.lexical import split
from deadheat.settings import kinds
from deadheat.settings.model import TargetSettings, WebhookSettings
from deadheat.settings.operations import check_names, read_operations
from deadheat.settings.statements import takes_users

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.settings.table import Table

RELATIONS = ("customers", "subscriptions", "effects")
# What can stand in a target's commands and environment.
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
_ONLY_WITH_START = ("env", "migrate", "workers")


def read_target(table: Table, folder: Path) -> TargetSettings:
    """Read ``[target]``; ``folder`` is where the file stands, and where its commands run."""
    operations = read_operations(table, folder)
    webhooks = _webhooks(table)
    known = (*OF_THE_RUN, *(f"stripe.webhook-secret.{hook.name}" for hook in webhooks if hook.name))
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
        webhooks=webhooks,
        tables=_tables(table),
        statuses=_statuses(table),
        cleanup=_cleanup(table),
    )
    table.refuse_unknown()
    _check_way_in(table, webhooks)
    check_names(_PLACEHOLDER.findall(target.start or ""), known, table.where("start"))
    check_names(_PLACEHOLDER.findall(target.migrate or ""), known, table.where("migrate"))
    for name, value in target.env.items():
        check_names(_PLACEHOLDER.findall(value), known, f"{table.where('env')}.{name}")
    return target


def _check_way_in(table: Table, webhooks: tuple[WebhookSettings, ...]) -> None:
    """Refuse a target that is neither started nor called, and what says how to start one that is not.

    With both, ``base-url`` says on which port of its own the started target listens.
    """
    if "start" in table:
        for hook in webhooks:
            if hook.secret is not None:
                placeholder = f"stripe.webhook-secret{'.' if hook.name else ''}{hook.name}"
                raise SettingsError(
                    f"{table.titled()} has start, so the secret of the webhook at {hook.path} is made "
                    f"afresh: give the target {{{placeholder}}} in env."
                )
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


def _webhooks(table: Table) -> tuple[WebhookSettings, ...]:
    """Read ``[target.webhook]``, and those of ``[[target.webhooks]]`` that have names of their own."""
    first = table.table("webhook")
    found = [] if first is None else [_webhook(first)]
    table.knows("webhooks")
    for inner in table.list_of_tables("webhooks") if "webhooks" in table else ():
        name = inner.require("name", kinds.name)
        found.append(_webhook(inner, name))
        if name in {hook.name for hook in found[:-1]}:
            raise SettingsError(f"{inner.where('name')}: there are two webhooks called {name}.")
        if found[-1].path in {hook.path for hook in found[:-1]}:
            raise SettingsError(f"{inner.where('path')}: there are two webhooks at {found[-1].path}.")
    return tuple(found)


def _webhook(table: Table, name: str = "") -> WebhookSettings:
    webhook = WebhookSettings(
        name=name,
        path=table.require("path", kinds.path),
        api_version=table.take("api-version", kinds.text, None),
        types=table.take("types", kinds.list_of(kinds.text, "event types"), ()),
        secret=table.take("secret", kinds.text, None),
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


def _statuses(table: Table) -> dict[str, frozenset[str]]:
    """Read what the target's names of a status stand for: one of Stripe's, or several."""
    inner = table.table("statuses")
    if inner is None:
        return {}
    meant = kinds.one_or_more(kinds.one_of(*sorted(STATUSES)), "Stripe's statuses")
    return {name.casefold(): frozenset(inner.require(name, meant)) for name in inner.data}


def _cleanup(table: Table) -> tuple[str, ...]:
    """Read the statements that delete a run's rows, each only for the run's users."""
    inner = table.table("cleanup")
    if inner is None:
        return ()
    texts = inner.require("sql", kinds.one_or_more(kinds.text, "SQL statements"))
    inner.refuse_unknown()
    found = tuple(one for text in texts for one in split(text))
    for one in found:
        if not takes_users(one):
            raise SettingsError(
                f"{inner.where('sql')}: each statement has to say whose rows it takes, by :users (the ids of "
                f'the run\'s users, as in "where user_id = any(:users)"). This one does not: {one}'
            )
    return found
