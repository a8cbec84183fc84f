"""Repaired: the same code over a function that leaves a second row to the key."""

from .upsert_by_function import app

__all__ = ["app"]

SQL = ("apply_on_conflict.sql",)
