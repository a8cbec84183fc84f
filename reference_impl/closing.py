"""Deleting an account: nothing of it can be paid any more, and nothing is billed.

First the profile is closed, in one statement that also tells its customer: from then on no customer
and no checkout session can be recorded for it, so whoever is just making one removes it themselves.
Then the recorded session is expired and the customer deleted at Stripe, which ends its subscriptions;
a payment that was faster than the closing ends with them. Doing it again goes on where it stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl import logs
from reference_impl.answers import unavailable
from reference_impl.logs import CUSTOMER_SERVICE
from reference_impl.stripe_calls import StripeTrouble

if TYPE_CHECKING:
    from uuid import UUID

    from reference_impl.checkout import CheckoutService
    from reference_impl.customer_service import CustomerService
    from reference_impl.profiles import Profiles
    from reference_impl.sessions import CheckoutSessions


class AccountClosing:
    """Closes accounts. Safe to call at once from any number of tasks and processes."""

    def __init__(
        self,
        profiles: Profiles,
        sessions: CheckoutSessions,
        customers: CustomerService,
        checkouts: CheckoutService,
    ) -> None:
        self._profiles = profiles
        self._sessions = sessions
        self._customers = customers
        self._checkouts = checkouts

    async def close(self, user: UUID) -> None:
        """Close an account that has a profile; Refusal 503 where Stripe is not there to end it all."""
        customer = await self._profiles.close(user)
        session = await self._sessions.recorded(user)
        try:
            if session is not None:
                await self._checkouts.expire(session)
            if customer is not None:
                await self._customers.remove(user, customer)
        except StripeTrouble as error:
            logs.warning(CUSTOMER_SERVICE, f"account not ended yet: {error}", user=user)
            raise unavailable("the account is closed; what is billed could not be ended yet") from error
        logs.info(CUSTOMER_SERVICE, "account closed", user=user, customer=customer)
