"""Calls to Stripe: one try after another until there is an answer that counts.

What may be tried again, and under which idempotency key, is decided here and nowhere else:

- No answer (connection lost, time-out), 409 and 429: the same key again. Stripe either never began or
  will replay what it did. 409 means that the key is in use, by a twin of this call.
- 5xx: Stripe stores it under the key and replays it for 24 hours, but a 5xx of something in front of
  Stripe is not stored; so the same key once more, and when the answer is marked as replayed, or
  Stripe says not to try again, or it comes a third time, the key is `KeySpent`. So is it after 402,
  and where it was used with other parameters.
- Everything else that Stripe says is final: `Refused`.

Stripe docs: "Idempotent requests", "Error handling", "Rate limits".
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import stripe
from stripe import HTTPXClient, StripeClient, StripeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reference_impl.metrics import Metrics
    from reference_impl.settings import Settings

API_VERSION = "2025-09-30.clover"
DELAY_S_MAX = 2.0
TRIES_WITHOUT_ANSWER_MAX = 5
SERVER_ERRORS_MAX = 3


class StripeTrouble(Exception):
    """A call to Stripe did not do what it was made for."""


class Unavailable(StripeTrouble):
    """There was no answer that counts in the time there was."""


class KeySpent(StripeTrouble):
    """Stripe keeps a failure under this idempotency key: it will never give anything else."""


class Refused(StripeTrouble):
    """Stripe refused: ``status``, and its ``code`` and ``param`` where it named them."""

    def __init__(self, message: str, *, status: int, code: str | None, param: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def missing(self) -> bool:
        """Whether the object is not there, and not just on the other side of test and live mode."""
        return self.code == "resource_missing" and "similar object exists in" not in str(self)


@dataclass(frozen=True, slots=True)
class Reply:
    """An object that Stripe answered with; ``replayed`` when the answer is an earlier one's."""

    data: Mapping[str, Any]
    replayed: bool = False


class StripeCalls:
    """Stripe, with patience. One for each process; it keeps its connections."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._base_s = settings.stripe_retry_base_s
        self._timeout_s = settings.stripe_timeout_s
        self._patience_s = settings.stripe_patience_s
        self._metrics = metrics
        self._http = HTTPXClient(timeout=settings.stripe_timeout_s)
        self.v1 = StripeClient(
            settings.stripe_secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": settings.stripe_api_base},
            max_network_retries=0,
            http_client=self._http,
        ).v1

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def pause(self, tried: int) -> None:
        """Wait before the next round of something that was ``tried`` so often, with jitter."""
        await asyncio.sleep(self._delay_s(tried - 1))

    async def call(
        self,
        name: str,
        send: Callable[[], Awaitable[stripe.StripeObject]],
        *,
        keyed: bool = False,
        patience_s: float | None = None,
    ) -> Reply:
        """Send until there is an answer that counts.

        ``send`` sends the request once, the same each time; ``keyed`` says that it carries an
        idempotency key of ours. Raises Refused, KeySpent (``keyed`` only) or Unavailable.
        """
        deadline = time.monotonic() + (self._patience_s if patience_s is None else patience_s)
        unanswered = server_errors = waits = 0
        while True:
            left_s = deadline - time.monotonic()
            try:
                async with asyncio.timeout(max(0.001, min(self._timeout_s, left_s))):
                    reply = _reply(await send())
                self._count(name, "ok")
                return reply
            except (StripeError, TimeoutError) as error:
                verdict = _verdict(error)
                self._count(name, verdict)
                if verdict == "refused":
                    raise _refused(error) from error
                server_errors += verdict in ("server error", "spent")
                unanswered += verdict == "no answer"
                spent = verdict == "spent" or server_errors >= SERVER_ERRORS_MAX
                if spent and keyed:
                    raise KeySpent(f"{name}: {_describe(error)}") from error
                if server_errors + unanswered >= TRIES_WITHOUT_ANSWER_MAX:
                    raise Unavailable(f"{name}: {_describe(error)}") from error
                delay_s = self._delay_s(waits)
                waits += 1
                if time.monotonic() + delay_s >= deadline:
                    raise Unavailable(f"{name}: {_describe(error)}") from error
            await asyncio.sleep(delay_s)

    def _delay_s(self, waits: int) -> float:
        return min(self._base_s * float(1 << min(waits, 10)), DELAY_S_MAX) * random.uniform(0.5, 1)

    def _count(self, name: str, outcome: str) -> None:
        self._metrics.count("reference_stripe_calls_total", call=name, outcome=outcome)


Verdict = Literal["no answer", "wait", "server error", "spent", "refused"]


def _verdict(error: Exception) -> Verdict:
    """Say what an error means for the next try."""
    if not isinstance(error, StripeError) or error.http_status is None:
        return "no answer"
    status, headers = error.http_status, _headers(error)
    if isinstance(error, stripe.IdempotencyError) or status == 402:
        return "spent"
    if status in (409, 429) or headers.get("stripe-should-retry") == "true":
        return "wait"
    if status >= 500:
        final = headers.get("idempotent-replayed") == "true" or headers.get("stripe-should-retry") == "false"
        return "spent" if final else "server error"
    return "refused"


def _refused(error: Exception) -> Refused:
    return Refused(
        _describe(error),
        status=getattr(error, "http_status", None) or 0,
        code=getattr(error, "code", None),
        param=getattr(error, "param", None),
    )


def _describe(error: Exception) -> str:
    if isinstance(error, StripeError) and error.http_status is not None:
        return f"Stripe answered {error.http_status}: {error.user_message}"
    return "Stripe did not answer"


def _headers(error: StripeError) -> dict[str, str]:
    return {name.lower(): value for name, value in dict(error.headers or {}).items()}


def _reply(answer: stripe.StripeObject) -> Reply:
    response = answer.last_response
    headers = {} if response is None else {k.lower(): v for k, v in dict(response.headers).items()}
    return Reply(answer.to_dict(), headers.get("idempotent-replayed") == "true")
