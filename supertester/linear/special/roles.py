"""Operations by what they do, under whatever name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from supertester.linear.history import Operation
from supertester.linear.special.violation import Violation, violation

__all__ = ["by_role", "of_result"]


def by_role(
    operations: Sequence[Operation], model: Any, arguments: Mapping[str, Collection[int]]
) -> dict[str, list[Operation]] | None:
    """Return *operations* by their role, or ``None`` if there are others than those of *arguments*.

    Args:
        operations: The operations.
        model: The model, which knows the role of each name.
        arguments: How many arguments the operations of a role may have.

    Raises:
        UsageError: The model has no such operation.
    """
    found: dict[str, list[Operation]] = {role: [] for role in arguments}
    append = {name: found[role].append for name, role in model.roles.items() if role in found}
    try:
        for operation in operations:
            append[operation.name](operation)
        if all({len(each.args) for each in found[role]}.issubset(counts) for role, counts in arguments.items()):
            return found
    except KeyError:
        pass
    _refuse_unknown(operations, model)
    return None


def _refuse_unknown(operations: Sequence[Operation], model: Any) -> None:
    """Let the model refuse what it does not have, however late it comes in the history."""
    start = model.initial()
    for operation in operations:
        model.step(start, operation)


def of_result(operations: Sequence[Operation], result: Any, model: Any) -> Violation | None:
    """Say which of *operations* returned something else than *result*, as all of its kind do."""
    for operation in operations:
        if operation.result is not result and not operation.pending and operation.result != result:
            sentence = f"{operation} cannot be: there this operation of a {model.name} returns {result!r}"
            return violation(sentence, [operation])
    return None
