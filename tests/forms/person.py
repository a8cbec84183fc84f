"""How a person signs up and subscribes, where a file of calls is not enough: an adapter of the forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deadheat import Outcome

if TYPE_CHECKING:
    from deadheat import BlockingVisit, HttpAnswer, Visit


class Person:
    keeps = ("token",)

    async def sign_up(self, visit: Visit) -> Outcome:
        """Fill in the form of the page, and go where it leads."""
        page = await visit.request("GET", "/sign-up")
        token = found(r'value="([^"]+)"', page)
        visit.keep("token", token)
        form = {"email": visit.user.email, "token": token}
        sent = await visit.request("POST", "/sign-up", form=form, headers={"Origin": visit.url})
        if sent.status != 303:
            return Outcome(status=sent.status, success=False)
        there = await visit.request("GET", sent.header("location") or "/")
        return Outcome(
            status=there.status,
            success=there.status == 200,
            customer=found(r'data-customer="(cus_\w+)"', there),
            promises_customer=True,
            session="session" in sent.cookies(),
            user_id=found(r'data-user="(\d+)"', there),
        )

    def subscribe(self, visit: BlockingVisit) -> Outcome:
        """Ask for the page to pay at; not a coroutine, for once."""
        form = {"price": visit.price, "token": visit.values["token"]}
        sent = visit.request("POST", "/subscribe", form=form, headers={"Origin": visit.url})
        return Outcome(
            status=sent.status, success=sent.status == 303, checkout_session=sent.header("location")
        )


def found(pattern: str, page: HttpAnswer) -> str:
    match = re.search(pattern, page.body.decode())
    assert match is not None, page.body
    return match[1]
