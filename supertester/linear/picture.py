"""A history as a picture: a line for each operation, from its call to its return."""

from __future__ import annotations

from collections.abc import Sequence

from supertester.linear.history import Operation

__all__ = ["drawn"]

_WIDTH = 60


def drawn(operations: Sequence[Operation]) -> str:
    """Return the picture; time goes to the right, in the order of the calls and returns, not to scale.

    >>> print(drawn([Operation("a", "write", (1,), None, 0, 2), Operation("b", "read", (), 1, 1, 3)]))
    a: write(1) -> None  |------|
    b: read() -> 1          |------|
    """
    moments = sorted({each.invoked for each in operations} | {each.returned for each in operations if not each.pending})
    step = max(1, min(3, _WIDTH // max(len(moments), 1)))
    column = {moment: position * step for position, moment in enumerate(moments)}
    end = len(moments) * step
    names = [str(each) for each in operations]
    width = max(map(len, names), default=0)
    lines = []
    for name, each in zip(names, operations, strict=True):
        start = column[each.invoked]
        stop = end if each.pending else column[each.returned]
        bar = "|" + "-" * max(stop - start, 1) + (">" if each.pending else "|")
        lines.append(f"{name.ljust(width)}  {' ' * start}{bar}")
    return "\n".join(lines)
