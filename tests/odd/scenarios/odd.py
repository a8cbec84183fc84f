"""What each mode of the odd target is raced with: the scenario has the mode's name."""

from __future__ import annotations

from deadheat import Program, World, scenario

TWO_SIGN_UPS = ("sign-up", "sign-up")


def _tabs(world: World, n: int) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")] for _ in range(n)])


@scenario(needs=("sign-up",), races=TWO_SIGN_UPS)
def pool_of_one(world: World) -> Program:
    """Three tabs of one user race for the one connection."""
    return _tabs(world, 3)


@scenario(needs=("sign-up",), races=TWO_SIGN_UPS)
def pool_of_one_apart(world: World) -> Program:
    """Three users race for the one connection and for nothing else: clean."""
    return Program(race=[[world.user().do("sign-up")] for _ in range(3)])


@scenario(needs=("sign-up",), races=TWO_SIGN_UPS)
def polls(world: World) -> Program:
    """Both tabs poll for what the background does."""
    return _tabs(world, 2)


@scenario(needs=("sign-up-later",), races=("sign-up-later", "sign-up-later"))
def works_on(world: World) -> Program:
    """Both tabs are answered before anything is done."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up-later")], [ada.do("sign-up-later")]])


@scenario(needs=("sign-up",), races=TWO_SIGN_UPS)
def foreign_lock(world: World) -> Program:
    """Both tabs pass the gate."""
    return _tabs(world, 2)


@scenario(needs=("sign-up",), races=TWO_SIGN_UPS)
def slow_statement(world: World) -> Program:
    """Both tabs do a statement of 100 ms between look and act."""
    return _tabs(world, 2)


@scenario(needs=("register", "transfer-a", "transfer-b"), races=("transfer-a", "transfer-b"))
def deadlock(world: World) -> Program:
    """Two transfers lock the same two accounts in opposite order."""
    ada = world.user()
    return Program(before=[ada.do("register")], race=[[ada.do("transfer-a")], [ada.do("transfer-b")]])


@scenario(needs=("register", "sign-up"), races=TWO_SIGN_UPS)
def row_lock(world: World) -> Program:
    """The second tab waits behind the lock of the first: clean."""
    ada = world.user()
    return Program(before=[ada.do("register")], race=[[ada.do("sign-up")], [ada.do("sign-up")]])


@scenario(needs=("sign-up", "heard"), races=TWO_SIGN_UPS)
def listens(world: World) -> Program:
    """The second tab waits behind a unique index; both tabs hear of the sign-up: clean."""
    ada = world.user()
    return Program(race=[[ada.do("sign-up"), ada.do("heard")], [ada.do("sign-up"), ada.do("heard")]])
