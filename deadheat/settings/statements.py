"""SQL that a team writes: the name ``:users`` in it.

``:users`` stands for the ids of a run's users. It is looked for outside of strings, quoted names and
comments only, and a cast (``::users``) is none.
"""

from __future__ import annotations

from deadheat.pgwire.lexical import tokens

USERS = "users"


def takes_users(sql: str) -> bool:
    """Say whether a statement names the run's users."""
    return with_users(sql, "") != "".join(text for _, text in tokens(sql))


def with_users(sql: str, parameter: str) -> str:
    """Put a parameter in the place of ``:users``.

    >>> with_users("delete from a where b = any(:users) and c <> ':users' and d = e::users", "$1")
    "delete from a where b = any($1) and c <> ':users' and d = e::users"
    """
    found: list[str] = []
    for kind, text in tokens(sql):
        if kind == "word" and text == USERS and found[-1:] == [":"] and found[-2:-1] != [":"]:
            found[-1] = parameter
        else:
            found.append(text)
    return "".join(found)
