"""Repaired: the key on ``stripe_subscription_id`` is there, and who inserts second updates instead."""

from . import own_insert
from .own_insert import app

__all__ = ["app"]

own_insert.INSERT += "on conflict (stripe_subscription_id) do update set status = excluded.status"
