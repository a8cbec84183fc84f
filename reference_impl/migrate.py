"""Applies the files of ``sql/`` in order, each once, to the database of ``DATABASE_URL``.

    python migrate.py               every file that is not applied yet
    python migrate.py --only 0001   just the files whose name begins so

Each file runs in a transaction of its own together with its row in ``schema_migrations``; an
advisory lock keeps two migrations from running at once, so every worker may start one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).resolve().parent.parent / "sql"
LOCK = 0x6D696772617465  # "migrate"
LEDGER = """
create table if not exists schema_migrations (
    name text primary key,
    applied_at timestamptz not null default now()
)
"""


def migrations(only: str = "", folder: Path = FOLDER) -> dict[str, str]:
    """Give the text of each migration by its name, in order."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"{only}*.sql"))}


async def migrate(dsn: str, files: Mapping[str, str]) -> list[str]:
    """Apply what is missing of ``files``; returns the names of those that were applied just now.

    Raises whatever Postgres raises: the failing file is rolled back whole, those before it stay.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await connection.execute(LEDGER)
        known = {row["name"] for row in await connection.fetch("select name from schema_migrations")}
        applied = []
        for name, statements in files.items():
            if name in known:
                continue
            async with connection.transaction():
                await connection.execute(statements)
                await connection.execute("insert into schema_migrations (name) values ($1)", name)
            applied.append(name)
        return applied
    finally:
        await connection.close()


def main() -> int:
    """Run from the command line; the exit code is 0, or 2 where DATABASE_URL is missing."""
    parser = argparse.ArgumentParser(description="Apply the SQL migrations.")
    parser.add_argument("--only", default="", metavar="PREFIX", help="just files whose name begins so")
    options = parser.parse_args()
    dsn = os.environ.get("DATABASE_URL")
    if not dsn:
        print("migrate: set DATABASE_URL", file=sys.stderr)
        return 2
    for name in asyncio.run(migrate(dsn, migrations(options.only))):
        print(f"migrate: applied {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
