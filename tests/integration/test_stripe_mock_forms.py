"""stripe-mock is asked about each form of a request once, and what it would refuse is refused as ever."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest
from stripe_mock_binary import mock_binary

from deadheat.engine.stripe_mock import StripeMock
from deadheat.engine.stripe_mock_forms import FORMS_MAX, LENGTH_MAX, PARTS_MAX, WORD, PassedForms
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest
from deadheat.stripe_sim.form import decode, encode

KEY = "sk_test_forms"
SESSION = {
    "mode": "subscription",
    "success_url": "https://a.test/thanks?x=1",
    "customer": "cus_1",
    "line_items": [{"price": MONTHLY, "quantity": 1}],
    "metadata": {"user": "u1"},
    "locale": "de",
    "automatic_tax": {"enabled": True},
}


def call(path: str, params: Any, *, body: bytes | None = None) -> Any:
    """Read a POST of these parameters; they are ones that we do not object to."""
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    sent = encode(params).encode() if body is None else body
    request = ApiRequest(method="POST", path=path, headers={"authorization": f"Bearer {KEY}"}, body=sent)
    return account.parse(request)


class Asked:
    """A real stripe-mock that counts what it is asked."""

    def __init__(self, mock: StripeMock) -> None:
        self.mock = mock
        self.times = 0
        self._ask = mock._ask
        mock._ask = self._counted  # type: ignore[method-assign]

    async def _counted(self, request: ApiRequest) -> Any:
        self.times += 1
        return await self._ask(request)

    async def objects(self, call: Any) -> bool:
        """Say whether it objects, as a server asks: not at all when it is known to pass."""
        return not self.mock.passes(call) and await self.mock.objection(call) is not None


def with_mock(story: Any) -> None:
    async def run() -> None:
        async with StripeMock.open(mock_binary()) as mock:
            assert mock is not None
            await story(Asked(mock))

    asyncio.run(run())


def test_a_form_is_asked_about_once() -> None:
    async def story(asked: Asked) -> None:
        assert not await asked.objects(
            call("/v1/customers", {"email": "a@b.test", "metadata": {"user": "1"}})
        )
        first = asked.times
        for n in range(20):
            again = {"email": f"{n}@b.test", "metadata": {"user": f"user {n}"}}
            assert not await asked.objects(call("/v1/customers", again))
        assert asked.times == first
        assert not await asked.objects(call("/v1/customers", {"email": "a@b.test", "name": "A"}))
        assert asked.times > first

    with_mock(story)


def test_what_is_not_free_text_is_asked_about_anew() -> None:
    others = {
        "mode": "bogus",
        "locale": "tlh",
        "automatic_tax": {"enabled": "perhaps"},
        "line_items": [{"price": MONTHLY, "quantity": "many"}],
    }

    async def story(asked: Asked) -> None:
        for name, value in others.items():
            assert not await asked.objects(call("/v1/checkout/sessions", SESSION))
            assert await asked.objects(call("/v1/checkout/sessions", {**SESSION, name: value})), name
        assert asked.mock.passes(call("/v1/checkout/sessions", SESSION))

    with_mock(story)


@pytest.mark.slow
def test_it_says_what_it_would_have_said() -> None:
    """Every drawn request ends as it does at a stripe-mock that is asked about everything."""
    values = {
        "mode": ("subscription", "payment", "Subscription", "x" * 300, ""),
        "success_url": ("https://a.test", "https://a.test/?b=c&d=é", "a" * 6000, "", "1"),
        "customer": ("cus_1", "cus 2", "", "x" * 181),
        "line_items": ([{"price": "p", "quantity": 1}], [{"price": "q", "quantity": "x"}], [{}], "", "none"),
        "metadata": ({"a": "1"}, {"a": "x" * 400}, {"a": "true"}, ""),
        "locale": ("de", "auto", "nowhere", "DE"),
        "expires_at": (1_800_000_000, "soon", "1.5", -1),
        "automatic_tax": ({"enabled": True}, {"enabled": "no"}, {"enabled": "false"}),
        "phone_number_collection": ({"enabled": "true"}, {"enabled": "maybe"}, {}),
        "invented": ("x",),
    }
    draw = random.Random(20261127)

    async def story(asked: Asked) -> None:
        known = differing = 0
        for _ in range(500):
            names = draw.sample(sorted(values), draw.randint(1, 3))
            params = {name: draw.choice(values[name]) for name in names}
            sent = call("/v1/checkout/sessions", params)
            known += asked.mock.passes(sent)
            said = await asked.objects(sent)
            answer = await asked._ask(sent.request)
            differing += said != (answer is not None and answer.status >= 400)
        assert differing == 0
        assert known > 60

    with_mock(story)


class TestPassedForms:
    """What is learned of a validator of our own, which refuses by a rule."""

    @staticmethod
    def learned(refuses: Any, params: Any, *, body: bytes | None = None) -> tuple[PassedForms, int]:
        forms = PassedForms()
        asked = 0

        async def passes(body: bytes) -> bool:
            nonlocal asked
            asked += 1
            return not refuses(decode(body))

        asyncio.run(forms.learn(call("/v1/customers", params, body=body), passes))
        return forms, asked

    def test_values_that_are_free_only_one_at_a_time(self) -> None:
        """Where one of two branches lets this be anything, and the other that, both at once may be wrong."""
        word = decode(b"a=" + WORD)["a"]
        forms, asked = self.learned(
            lambda sent: word in sent["name"] and word in sent["email"], {"name": "a", "email": "b@c.test"}
        )
        assert asked == 3
        assert not forms.has(call("/v1/customers", {"name": "other", "email": "b@c.test"}))
        assert not forms.has(call("/v1/customers", {"name": "a", "email": "b@c.test"}))

    def test_what_is_longer_or_empty_or_unusual_is_not_known(self) -> None:
        assert len(decode(b"name=" + WORD)["name"]) >= LENGTH_MAX
        forms, _ = self.learned(lambda sent: False, {"name": "a"})
        assert forms.has(call("/v1/customers", {"name": "x" * LENGTH_MAX}))
        for name in ("x" * (LENGTH_MAX + 1), ""):
            assert not forms.has(call("/v1/customers", {"name": name}))
        for body in (b"name=a;b", b"name=%zz", b"name=a=b", b"n%61me=a", b"name[]=a"):
            assert not forms.has(call("/v1/customers", None, body=body))
        assert not forms.has(call("/v1/customers/cus_1", {"name": "a"}))

    def test_very_many_parts_are_always_asked_about(self) -> None:
        many = {"metadata": {f"k{n}": "v" for n in range(PARTS_MAX + 1)}}
        forms, asked = self.learned(lambda sent: False, many)
        assert asked == 0
        assert not forms.has(call("/v1/customers", many))

    def test_what_is_kept_is_bounded(self) -> None:
        forms = PassedForms()

        async def passes(body: bytes) -> bool:
            return True

        async def fill() -> None:
            for n in itertools.count():
                await forms.learn(call("/v1/customers", {"metadata": {f"k{n}": "v"}}), passes)
                assert len(forms._passed) <= FORMS_MAX
                if n > FORMS_MAX:
                    return

        asyncio.run(fill())

    def test_an_outage_while_learning_passes_nothing(self) -> None:
        forms, _ = self.learned(lambda sent: True, {"name": "a", "balance": "1"})
        assert not forms.has(call("/v1/customers", {"name": "b", "balance": "1"}))
