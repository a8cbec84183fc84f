"""A shop without sockets that opens checkout sessions, and to which people return when they have paid."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import httpx
from engine_stage import SIGN_UP, Shop

from deadheat.settings import OperationSettings, Request
from deadheat.stripe_sim import MONTHLY, ApiRequest
from deadheat.stripe_sim.form import encode

COMPLETED = "checkout.session.completed"


def operation(name: str) -> OperationSettings:
    call = Request(method="POST", path=f"/{name}", json={"email": "{user.email}"}, success=(200,))
    return OperationSettings(name=name, calls=(call,), checkout_session="$.session")


@dataclass(eq=False)
class Store(Shop):
    """A shop that opens a checkout session, and notes who returns and what it was told of."""

    types: tuple[str, ...] = ()
    status: int = 200
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("check-out", "return")
        operations = {"sign-up": SIGN_UP, **{name: operation(name) for name in names}}
        self.settings = replace(self.settings, target=replace(self.settings.target, operations=operations))
        self.endpoints = {name: replace(one, types=self.types) for name, one in self.endpoints.items()}

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if request.url.path == "/check-out":
            return httpx.Response(200, json={"session": self._opens()})
        self.seen.append(body.get("type", "return"))
        return httpx.Response(self.status if "type" in body else 200, json={})

    def _opens(self) -> str:
        lines = [{"price": MONTHLY, "quantity": 1}]
        asked = {"mode": "subscription", "success_url": "https://a.test", "line_items": lines}
        headers = {
            "authorization": "Bearer sk_test_x",
            "content-type": "application/x-www-form-urlencoded",
        }
        request = ApiRequest(
            method="POST", path="/v1/checkout/sessions", headers=headers, body=encode(asked).encode()
        )
        call = self.account.received(self.account.parse(request))
        self.account.effect(call)
        return str(json.loads(self.account.response(call).body)["id"])

    def order(self) -> str:
        """Say what came first of the return and of the completed event; without either, who did not come."""
        came = [what for what in self.seen if what in ("return", COMPLETED)]
        self.seen.clear()
        return " ".join(dict.fromkeys(came))
