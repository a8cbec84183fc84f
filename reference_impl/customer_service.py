"""The customer service: for every user one profile and one Stripe customer, whoever asks and how often.

How it stays right:

- The profile comes first, as a placeholder. It holds all that the customer is made with (user id and
  the e-mail address as first spelled), so every caller in every process sends the same request under
  the same idempotency key, ``customer:USER:ATTEMPT``. Name and the rest follow as an update.
- The attempt stands in the profile and moves on only when its key can give nothing any more (a stored
  failure, a customer that is gone), by compare-and-set. A caller reads it, *then* lists what Stripe
  has for the user, *then* creates: what earlier attempts did is in the list. So nothing is made twice
  after a lost answer, a 5xx that took effect, a crash, or 24 hours, when Stripe forgets the key.
- Recording is one SQL function that keeps a customer which is already there. Who finds another one
  there removes its own at Stripe (losers.py); what could not be removed is tried again by later calls.
- A recorded customer is looked up at Stripe before it is promised; one that was deleted there is
  retired, which is final, and replaced by the next attempt.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl import logs
from reference_impl.database import DatabaseUnavailable
from reference_impl.logs import CUSTOMER_SERVICE
from reference_impl.stripe_calls import KeySpent, Refused, StripeTrouble, Unavailable

if TYPE_CHECKING:
    from stripe.params import CustomerListParams

    from reference_impl.losers import Losers
    from reference_impl.metrics import Metrics
    from reference_impl.profiles import Profile, Profiles
    from reference_impl.stripe_calls import StripeCalls

ROUNDS_MAX = 6
CACHED_MAX = 10_000
NAME_PATIENCE_S = 5.0


class AccountClosed(Exception):
    """The user has closed the account: it has no customer, and gets none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerResult:
    """What came of a call. ``error`` says why there is no customer; ``is_new_customer`` that this call
    was the one that gave the profile its customer. ``refused`` tells that trying again is of no use.
    """

    success: bool
    stripe_customer_id: str | None = None
    profile: Profile | None = None
    is_new_customer: bool = False
    error: str | None = None
    refused: bool = False


class CustomerService:
    """Customers of users. Safe to call at once from any number of tasks and processes."""

    def __init__(
        self,
        profiles: Profiles,
        losers: Losers,
        stripe: StripeCalls,
        metrics: Metrics,
        *,
        patience_s: float = 25.0,
    ) -> None:
        self._profiles = profiles
        self._losers = losers
        self._stripe = stripe
        self._metrics = metrics
        self._patience_s = patience_s
        self._cache: OrderedDict[UUID, Profile] = OrderedDict()

    async def ensure_customer_exists(
        self, user_id: UUID | str, email: str, full_name: str | None = None
    ) -> CustomerResult:
        """See that the user has a profile and a customer; never raises for trouble of Stripe or Postgres.

        Falls back on the customer that is recorded when Stripe cannot confirm it now. Raises
        AccountClosed for an account that has been deleted.
        """
        user = _uuid(user_id)
        try:
            async with asyncio.timeout(self._patience_s):
                return await self.ensure_stripe_customer(user, email, full_name)
        except (StripeTrouble, DatabaseUnavailable, TimeoutError) as error:
            logs.warning(CUSTOMER_SERVICE, f"no customer confirmed: {error or 'too slow'}", user=user)
            return await self._fall_back(user, error)

    async def ensure_stripe_customer(
        self, user_id: UUID | str, email: str, full_name: str | None = None
    ) -> CustomerResult:
        """See that the user has a profile and a customer that exists at Stripe.

        Raises StripeTrouble or DatabaseUnavailable where that cannot be had now; the next call goes
        on where this one stopped. Raises AccountClosed.
        """
        user = _uuid(user_id)
        await self._profiles.ensure_profile(user, email)
        for round_ in range(ROUNDS_MAX):
            if round_:
                await self._stripe.pause(round_)
            profile = await self._read(user)
            if profile.closed_at is not None:
                raise AccountClosed
            if profile.stripe_customer_id is not None:
                if await self.confirm(user, profile.stripe_customer_id):
                    await self._losers.remove_pending(user)
                    return await self._known(profile, full_name)
                continue
            customer = await self._find(profile) or await self._create(profile)
            if customer is not None:
                result = await self.create_customer_and_profile(user, profile.email, customer, full_name)
                if result.success:
                    return result
        raise Unavailable(f"no customer after {ROUNDS_MAX} rounds")

    async def create_customer_and_profile(
        self, user_id: UUID | str, email: str | None, stripe_customer_id: str, full_name: str | None = None
    ) -> CustomerResult:
        """Record a customer that was made for the user; another one that is there already stays.

        The one that does not is deleted at Stripe, unless it has a subscription. Raises AccountClosed,
        with the customer deleted, where the account was closed before it could be recorded.
        """
        user = _uuid(user_id)
        created = await self._profiles.record_customer(user, email, stripe_customer_id, full_name)
        profile = await self._profiles.read(user)
        kept = None if profile is None else profile.stripe_customer_id
        if profile is not None and profile.closed_at is not None and not created:
            await self.remove(user, stripe_customer_id)
            raise AccountClosed
        if kept is None:
            error = "the customer is out of use, or somebody else's"
            return CustomerResult(success=False, profile=profile, error=error)
        if created:
            self._metrics.count("reference_customers_total", event="recorded")
            logs.info(CUSTOMER_SERVICE, "customer recorded", user=user, customer=kept)
            if full_name:
                await self._set_name(kept, full_name)
        elif kept != stripe_customer_id:
            await self._remove_loser(user, stripe_customer_id)
        return CustomerResult(success=True, stripe_customer_id=kept, profile=profile, is_new_customer=created)

    async def get_customer_by_user_id(self, user_id: UUID | str) -> Profile | None:
        """Give the profile that names the user's customer; None where there is no customer.

        What is cached is served only when Postgres says, now, that the row still has the version that
        was cached; so another process that replaced the customer is never overlooked. The cache saves
        the reading and decoding of the row, not the question.
        """
        user = _uuid(user_id)
        profile = await self._profiles.read(user, self._cache.pop(user, None))
        if profile is None or profile.stripe_customer_id is None:
            return None
        self._cache[user] = profile
        if len(self._cache) > CACHED_MAX:
            self._cache.popitem(last=False)
        return profile

    async def confirm(self, user_id: UUID, customer: str) -> bool:
        """Whether the customer exists at Stripe; one that is gone is retired."""
        if await self._exists(customer):
            return True
        await self._profiles.retire_customer(customer, user_id)
        self._metrics.count("reference_customers_total", event="retired")
        logs.warning(CUSTOMER_SERVICE, "customer is gone at Stripe", user=user_id, customer=customer)
        return False

    async def remove(self, user_id: UUID, customer: str) -> None:
        """Delete a customer at Stripe, with all that it is subscribed to, and retire it.

        Raises StripeTrouble where that cannot be done now.
        """
        try:
            await self._stripe.call(
                "customers.delete", lambda: self._stripe.v1.customers.delete_async(customer)
            )
        except Refused as error:
            if not error.missing:
                raise
        await self._profiles.retire_customer(customer, user_id)
        self._metrics.count("reference_customers_total", event="removed")
        logs.info(CUSTOMER_SERVICE, "customer deleted", user=user_id, customer=customer)
        await self._losers.remove_pending(user_id)

    async def _fall_back(self, user: UUID, error: Exception) -> CustomerResult:
        refused = isinstance(error, Refused) and error.status == 400
        try:
            profile = await self.get_customer_by_user_id(user)
        except DatabaseUnavailable:
            profile = None
        if profile is None or refused:
            return CustomerResult(success=False, error=str(error) or "too slow", refused=refused)
        return CustomerResult(success=True, stripe_customer_id=profile.stripe_customer_id, profile=profile)

    async def _read(self, user: UUID) -> Profile:
        profile = await self._profiles.read(user)
        if profile is None:
            raise Unavailable(f"the profile of {user} was deleted meanwhile")
        return profile

    async def _known(self, profile: Profile, full_name: str | None) -> CustomerResult:
        """Answer with the customer that was there; a name that was missing is added."""
        customer = profile.stripe_customer_id
        assert customer is not None
        if full_name and profile.full_name is None:
            await self._profiles.record_customer(profile.user_id, profile.email, customer, full_name)
            await self._set_name(customer, full_name)
            profile = await self._read(profile.user_id)
        return CustomerResult(success=True, stripe_customer_id=customer, profile=profile)

    async def _find(self, profile: Profile) -> str | None:
        """Look for a customer that was made for the user and never recorded."""
        billed = await self._profiles.billed_customer(profile.user_id)
        if billed is not None and await self.confirm(profile.user_id, billed):
            return billed
        made = [
            (customer["created"], customer["id"])
            for customer in await self._listed(profile.email)
            if (customer.get("metadata") or {}).get("user_id") == str(profile.user_id)
        ]
        free = await self._profiles.free_customers([id_ for _, id_ in made], profile.user_id) if made else ()
        for _, customer in sorted(made):
            if customer in free:
                logs.info(CUSTOMER_SERVICE, "customer adopted", user=profile.user_id, customer=customer)
                self._metrics.count("reference_customers_total", event="adopted")
                return str(customer)
        return None

    async def _create(self, profile: Profile) -> str | None:
        """Make the customer of this attempt at Stripe; None where its key is spent."""
        user, attempt = str(profile.user_id), profile.customer_attempt
        try:
            reply = await self._stripe.call(
                "customers.create",
                lambda: self._stripe.v1.customers.create_async(
                    params={"email": profile.email or "", "metadata": {"user_id": user}},
                    options={"idempotency_key": f"customer:{user}:{attempt}"},
                ),
                keyed=True,
            )
        except KeySpent as error:
            logs.warning(CUSTOMER_SERVICE, f"attempt {attempt} is spent: {error}", user=user)
            await self._profiles.next_attempt(profile.user_id, attempt)
            return None
        except Unavailable:
            # It may have been made all the same; if the list shows it, nothing is lost.
            found = await self._find(profile)
            if found is None:
                raise
            return found
        customer = str(reply.data["id"])
        if reply.replayed and not await self.confirm(profile.user_id, customer):
            await self._profiles.next_attempt(profile.user_id, attempt)
            return None
        return customer

    async def _exists(self, customer: str) -> bool:
        try:
            reply = await self._stripe.call(
                "customers.retrieve", lambda: self._stripe.v1.customers.retrieve_async(customer)
            )
        except Refused as error:
            if error.missing:
                return False
            raise
        return not reply.data.get("deleted")

    async def _listed(self, email: str | None) -> list[dict[str, Any]]:
        """Give all customers with this e-mail address; the list, unlike the search, does not lag."""
        if email is None:
            return []
        found: list[dict[str, Any]] = []
        while True:
            params: CustomerListParams = {"email": email, "limit": 100}
            if found:
                params["starting_after"] = found[-1]["id"]
            page = await self._stripe.call(
                "customers.list",
                lambda params=params: self._stripe.v1.customers.list_async(params),  # type: ignore[misc]
            )
            found += page.data["data"]
            if not page.data.get("has_more") or not page.data["data"]:
                return found

    async def _set_name(self, customer: str, full_name: str) -> None:
        """Tell Stripe the name. Nobody waits for it: without it the customer is complete enough."""
        try:
            await self._stripe.call(
                "customers.update",
                lambda: self._stripe.v1.customers.update_async(customer, params={"name": full_name}),
                patience_s=NAME_PATIENCE_S,
            )
        except StripeTrouble as error:
            logs.warning(CUSTOMER_SERVICE, f"name not sent: {error}", customer=customer)

    async def _remove_loser(self, user: UUID, customer: str) -> None:
        """Delete a customer that lost. Nobody waits for it: a later call tries again."""
        try:
            await self._losers.remove(user, customer)
        except StripeTrouble as error:
            logs.warning(CUSTOMER_SERVICE, f"loser not deleted: {error}", user=user, customer=customer)


def _uuid(user_id: UUID | str) -> UUID:
    return user_id if isinstance(user_id, UUID) else UUID(user_id)
