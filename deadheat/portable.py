"""Programs as JSON data, for findings whose program was drawn and stands in no source.

People are numbered in order of appearance; whoever reads a program back gives it fresh ones.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from deadheat.errors import ProgramError
from deadheat.program import ACTS, DELIVERIES, AtStripe, Deliveries, Do, Fault, Program, World, name_of
from deadheat.stripe_sim import Dunning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deadheat.program import Operation, User

_NAMED = ("user", "operation")  # told by the number of a user, and by the name of what is done


def program_to_json(program: Program) -> dict[str, Any]:
    """Give a program as JSON data."""
    numbers = {user: n for n, user in enumerate(program.users())}

    def told(operation: Operation) -> dict[str, Any]:
        if isinstance(operation, Deliveries):
            return {"do": DELIVERIES, **asdict(operation)}
        if isinstance(operation, AtStripe):
            return {"do": name_of(operation), "thing": operation.thing}
        more = {f.name: getattr(operation, f.name) for f in fields(operation) if f.name not in _NAMED}
        return {"do": name_of(operation), "user": numbers[operation.user], **_said(more)}

    return {
        "users": [user.name.split(" ")[0] for user in numbers],
        "before": [told(operation) for operation in program.before],
        "race": [[told(operation) for operation in actor] for actor in program.race],
        "faults": [
            {**{k: v for k, v in asdict(fault).items() if k != "user"}, "user": numbers[fault.user]}
            for fault in program.faults
            if fault.user in numbers
        ],
        "faults_max": program.faults_max,
        **({} if program.dunning == Dunning() else {"dunning": asdict(program.dunning)}),
        **_said({"frozen_time": program.frozen_time}),
    }


def _said(more: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: a program from before there was such a thing is written as it was."""
    return {name: value for name, value in more.items() if value}


def program_from_json(data: Mapping[str, Any], world: World) -> Program:
    """Build the program with fresh users of a world; ProgramError for what is none."""
    try:
        users = [world.user(name) for name in data["users"]]
        return Program(
            before=[_operation(told, users) for told in data["before"]],
            race=[[_operation(told, users) for told in actor] for actor in data["race"]],
            faults=[Fault(**{**told, "user": users[told["user"]]}) for told in data["faults"]],
            faults_max=int(data.get("faults_max", 0)),
            dunning=Dunning(**data.get("dunning", {})),
            frozen_time=data.get("frozen_time"),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ProgramError(f"this is no program as Deadheat writes them: {error!r}") from None


def _operation(told: Mapping[str, Any], users: Sequence[User]) -> Operation:
    name = told["do"]
    if name == DELIVERIES:
        return Deliveries(**{key: value for key, value in told.items() if key != "do"})
    if name == "at-stripe":
        return AtStripe(told["thing"])
    user = users[told["user"]]
    if name in ACTS:
        return ACTS[name](user, **{key: value for key, value in told.items() if key not in ("do", "user")})
    return Do(user, name)
