"""Migrates the database of an app of the zoo: the reference's schema, then the files that its SQL names.

python -m zoo.migrate MODULE
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from pathlib import Path

from reference_impl.migrate import migrate, migrations

FOLDER = Path(__file__).parent / "sql"


def files(module: str) -> dict[str, str]:
    """Give the SQL of an app by file name, in order."""
    own: tuple[str, ...] = getattr(import_module(f"zoo.apps.{module}"), "SQL", ())
    return {**migrations(), **{name: (FOLDER / name).read_text(encoding="utf-8") for name in own}}


if __name__ == "__main__":
    asyncio.run(migrate(os.environ["DATABASE_URL"], files(sys.argv[1])))
