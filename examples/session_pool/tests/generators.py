"""Work for a pool, made up by chance but always possible: a program runs after it was made, and before it goes."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

__all__ = ["Operation", "bulk_operations", "program_config"]

SIGNATURES = (
    {"inputs": ["value"], "outputs": ["value"]},
    {"inputs": ["query", "context"], "outputs": ["answer"]},
    {"inputs": ["a", "b", "c"], "outputs": ["x", "y"]},
)


class Operation(NamedTuple):
    session: str
    command: str
    args: dict[str, Any]


def program_config(chance: random.Random) -> dict[str, Any]:
    """Return what a program is made of."""
    return {"id": f"program_{chance.randrange(10**9)}", "signature": chance.choice(SIGNATURES)}


def bulk_operations(count: int, seed: int) -> list[Operation]:
    """Return *count* operations of a few sessions; the same for the same seed."""
    chance = random.Random(seed)
    programs: dict[str, dict[str, dict[str, Any]]] = {f"session_{number}": {} for number in range(5)}
    return [_operation(chance, *chance.choice(list(programs.items()))) for _ in range(count)]


def _operation(chance: random.Random, session: str, programs: dict[str, dict[str, Any]]) -> Operation:
    kinds = ["create_program", "list_programs"] + ["execute_program", "program_info", "delete_program"] * bool(programs)
    kind = chance.choice(kinds)
    if kind == "list_programs":
        return Operation(session, kind, {})
    if kind == "create_program":
        config = program_config(chance)
        programs[config["id"]] = config
        return Operation(session, kind, config)
    name = chance.choice(list(programs))
    args: dict[str, Any] = {"program_id": name}
    if kind == "execute_program":
        args["inputs"] = {each: chance.randrange(100) for each in programs[name]["signature"]["inputs"]}
    elif kind == "delete_program":
        del programs[name]
    return Operation(session, kind, args)
