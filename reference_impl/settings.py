"""What the application reads from its environment, once, when it starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class MissingSettings(Exception):
    """Environment variables that the application cannot start without are not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment as values. Times are in seconds.

    ``stripe_patience_s`` is how long one call to Stripe may take with all its retries;
    ``stripe_timeout_s`` is how long one try of it may.
    """

    database_url: str
    stripe_api_base: str
    stripe_secret_key: str
    stripe_webhook_secret: str
    session_secret: str
    app_url: str = "http://127.0.0.1:8000"
    pool_size: int = 10
    stripe_retry_base_s: float = 0.5
    stripe_timeout_s: float = 10.0
    stripe_patience_s: float = 25.0

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment; MissingSettings names every variable that is not set."""
        needed = (
            "DATABASE_URL",
            "STRIPE_API_BASE",
            "STRIPE_SECRET_KEY",
            "STRIPE_WEBHOOK_SECRET",
            "SESSION_SECRET",
        )
        missing = [name for name in needed if not environ.get(name)]
        if missing:
            raise MissingSettings(f"set {', '.join(missing)}: the application cannot start without")
        port = environ.get("PORT", "8000")
        return cls(
            database_url=environ["DATABASE_URL"],
            stripe_api_base=environ["STRIPE_API_BASE"].rstrip("/"),
            stripe_secret_key=environ["STRIPE_SECRET_KEY"],
            stripe_webhook_secret=environ["STRIPE_WEBHOOK_SECRET"],
            session_secret=environ["SESSION_SECRET"],
            app_url=environ.get("APP_URL", f"http://127.0.0.1:{port}").rstrip("/"),
            pool_size=int(environ.get("DATABASE_POOL_SIZE", "10")),
            stripe_retry_base_s=int(environ.get("STRIPE_RETRY_BASE_MS", "500")) / 1000,
            stripe_timeout_s=int(environ.get("STRIPE_TIMEOUT_MS", "10000")) / 1000,
        )
