"""Repaired: the table has a key, which a second row gives way to."""

from . import grants_after_a_look
from .grants_after_a_look import app

__all__ = ["app"]

SQL = ("credits.sql", "credits_once.sql")

grants_after_a_look.GRANT += " on conflict (source_id) do nothing"
