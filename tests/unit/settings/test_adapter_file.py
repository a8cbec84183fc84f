"""An adapter in the file, and what a person does at Stripe: the operations that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.errors import SettingsError
from deadheat.program import Cancel
from deadheat.settings import TargetSettings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

SHOP = """
class Shop:
    keeps = ("token",)

    async def sign_up(self, visit): ...
    def check_out(self, visit): ...
    def _hidden(self): ...
    not_a_method = 1

class Empty: ...
class Pays:
    def pay(self, visit): ...
class Greedy:
    keeps = "token"
    def sign_up(self, visit): ...
class Needy:
    def __init__(self, url): ...
"""


def target(folder: Path, text: str) -> TargetSettings:
    """Read a target of this text, beside a module of adapters."""
    (folder / "shop.py").write_text(SHOP, encoding="utf-8")
    (folder / "deadheat.toml").write_text(f"[target]\nstart = 'serve'\n{text}", encoding="utf-8")
    return load_settings(options={}, environ={}, cwd=folder).target


def test_an_adapter_does_what_the_file_does_not_describe(tmp_path: Path) -> None:
    read = target(
        tmp_path,
        "adapter = 'shop:Shop'\n[target.operations.check-out]\nrequest = 'POST /checkout'\n"
        "headers = { Authorization = 'Bearer {token}' }",
    ).operations
    assert set(read) == {"sign-up", "check-out"}
    sign_up, check_out = read["sign-up"], read["check-out"]
    assert (sign_up.calls, sign_up.keeps, sign_up.gives()) == ((), ("token",), ("token",))
    assert sign_up.method is not None
    assert sign_up.method.__name__ == "sign_up"
    assert (check_out.method, len(check_out.calls)) == (None, 1)


def test_an_act_at_stripe_follows_the_calls_or_stands_alone(tmp_path: Path) -> None:
    read = target(
        tmp_path,
        "[target.operations.leave]\nrequest = 'POST /portal'\nat-stripe = 'cancel'\n"
        "[target.operations.end]\nat-stripe = 'cancel'",
    ).operations
    assert [(o.at_stripe, len(o.calls)) for o in read.values()] == [(Cancel, 1), (Cancel, 0)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("adapter = 'shop'", "target.adapter: should be a module and a name in it, as in"),
        ("adapter = 'shop:Shp'", 'target.adapter: shop has no Shp to call. Did you mean "Shop"?'),
        (
            "adapter = 'shop:Empty'",
            "target.adapter: it has no method that could be an operation, say sign_up.",
        ),
        ("adapter = 'shop:Pays'", "target.adapter: pay: pay is Stripe's own act and always there."),
        ("adapter = 'shop:Greedy'", "target.adapter: keeps should be a tuple of names, was 'token'."),
        ("adapter = 'shop:Needy'", "target.adapter: it cannot be made: TypeError: "),
        ("adaptor = 'shop:Shop'", '[target] has no key "adaptor". Did you mean "adapter"?'),
        ("[target.operations.end]\nat-stripe = 'cancle'", 'was "cancle". Did you mean "cancel"?'),
        ("[target.operations.end]\nat_stripe = 'cancel'", "needs either request (one call) or calls"),
        (
            "[target.operations.end]\nat-stripe = 'cancel'\njson = {}",
            '[target.operations.end] has no key "json"',
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as error:
        target(tmp_path, text)
    assert str(error.value).startswith("deadheat.toml: ")
    assert says in str(error.value)
