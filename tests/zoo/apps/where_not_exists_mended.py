"""Repaired: the table has a key, which the same statement leaves a second row to."""

from . import where_not_exists
from .where_not_exists import app

__all__ = ["app"]

SQL = ("credits.sql", "credits_once.sql")

where_not_exists.GRANT += "on conflict (source_id) do nothing"
