"""The shop in a folder of its own, as somebody finds it who has only ``pip install deadheat``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOP = Path(__file__).with_name("shop")
# What somebody who knows the shop puts into the places that init has marked, by line and key.
FILLED: Mapping[str, str] = {
    'migrate = "FILL-IN"': 'migrate = "{python} migrate.py"',
    'request = "FILL-IN"  # "POST /sign-up"': 'request = "POST /join"',
    'request = "FILL-IN"  # "POST /checkout"': 'request = "POST /buy"',
    '"user.id" = "FILL-IN"': '"user.id" = "$.person.id"',
    'checkout-session = "FILL-IN"': 'checkout-session = "$.session"',
    'path = "FILL-IN"': 'path = "/stripe"',
    'customers = "FILL-IN"': (
        'customers = "select id as user_id, customer as stripe_customer_id from people"'
    ),
    'subscriptions = "FILL-IN"': (
        'subscriptions = "select p.id as user_id, subscription as stripe_subscription_id, '
        'p.customer as stripe_customer_id, status from plans join people p using (customer)"'
    ),
    'ready = "/"': 'ready = "/open"',
    "success = [200]\nrefusals = [409]  # said no, and rightly so": "success = [201]",
    '# customer = "$.customer"': 'customer = "$.person.customer"',
    '{ user = "{user.id}"': '{ person = "{user.id}"',
}


def opened(folder: Path) -> Path:
    """Copy the shop into a folder."""
    for path in SHOP.glob("*.py"):
        shutil.copy(path, folder)
    return folder


def fill_in(folder: Path) -> None:
    """Fill in what `deadheat init` has marked."""
    path = folder / "deadheat.toml"
    text = path.read_text()
    for marked, known in FILLED.items():
        assert marked in text, f"{marked!r} is not in\n{text}"
        text = text.replace(marked, known, 1)
    assert "FILL-IN" not in "".join(line for line in text.splitlines() if not line.startswith("#"))
    path.write_text(text)


# What a team adds of its own, in its own repository: scenarios, and invariants in SQL and in Python.
OWN_TOML = '''
[invariants.nobody-has-a-plan]
sql = """
select p.id as user_id, x.subscription from plans x join people p using (customer)
where p.id::text = any(:users)
"""
holds-when = "nobody has a plan (the test wants to see it fail)"

[invariants.nobody-is-turned-away]
python = "own_invariants:nobody_is_turned_away"
'''
OWN_INVARIANTS = '''
from deadheat import Evidence


def nobody_is_turned_away(case):
    """Holds when every join was answered with success."""
    for answer in case.settled.answers:
        if answer.operation == "sign-up" and not answer.success:
            yield Evidence(says="somebody was turned away", user_id=answer.user_id, steps=(answer.seq,))
'''
OWN_RACES = '''
from deadheat import Program, World, scenario


@scenario(needs=("sign-up",), races=("sign-up", "sign-up"))
def joins_twice(world: World) -> Program:
    """Two tabs."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


@scenario(needs=("sign-up", "check-out"))
def buys(world: World) -> Program:
    """Somebody joins, and somebody else buys."""
    ada, bob = world.user(), world.user()
    return Program(before=[ada.do("sign-up"), ada.do("check-out"), ada.pay()], race=[[bob.do("sign-up")]])


@scenario(needs=("gift",))
def gives(world: World) -> Program:
    """The shop knows no gifts."""
    return Program(race=[[world.user().do("gift")]])


def test_an_ordinary_test_beside_them():
    assert True
'''


def own_repository(folder: Path) -> None:
    """Add what is the team's own to a shop whose deadheat.toml is filled in."""
    (folder / "own_invariants.py").write_text(OWN_INVARIANTS)
    (folder / "races").mkdir()
    (folder / "races" / "test_races.py").write_text(OWN_RACES)
    path = folder / "deadheat.toml"
    path.write_text('scenarios = ["races"]\n' + path.read_text() + OWN_TOML)


def check_own(said: str, folder: Path) -> None:
    """What pytest must have said of the team's own."""
    assert "FAILED races/test_races.py::joins_twice" in said, said
    assert "one-customer-per-user" in said
    assert "FAILED races/test_races.py::buys" in said
    assert "nobody has a plan (the test wants to see it fail)" in said
    assert "races.gives: the target does not offer gift" in said
    assert "PASSED races/test_races.py::test_an_ordinary_test_beside_them" in said
    summary = json.loads((folder / ".deadheat" / "summary.json").read_text())
    assert summary["invariants"]["nobody-has-a-plan"]["violated"]
    assert summary["invariants"]["nobody-is-turned-away"] == {
        "checked": summary["invariants"]["nobody-has-a-plan"]["checked"],
        "violated": 0,
    }
