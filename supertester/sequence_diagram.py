"""Messages between processes, drawn as a sequence diagram."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from supertester._core.evidence import shown
from supertester.otp.pid import Pid
from supertester.otp.root import Root

__all__ = ["Delivery", "drawn", "lanes_of", "mermaid"]

_OUTSIDE = "test"
"""The lane of code that is no process, and of the body of a test."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message that reached a mailbox, or one reply.

    Attributes:
        kind: ``"call"``, ``"cast"``, ``"info"`` or ``"reply"``.
        sender: The process whose code sent it, or ``None`` for code that is no process.
        receiver: Who got it; of a reply, who had called (``None`` for a caller that is no process).
        message: What was sent.
        at: When, in seconds of the runtime's clock.
    """

    kind: str
    sender: Pid | None
    receiver: Pid | None
    message: Any
    at: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form: pids and messages as text."""
        return {
            "kind": self.kind,
            "sender": _name_of(self.sender),
            "receiver": _name_of(self.receiver),
            "message": shown(self.message),
            "at": self.at,
        }


def _name_of(pid: Pid | None) -> str:
    if pid is None:
        return _OUTSIDE
    if pid.name is not None:
        return pid.name if isinstance(pid.name, str) else shown(pid.name)
    return _OUTSIDE if isinstance(pid, Root) else repr(pid)


def lanes_of(processes: Sequence[Pid], deliveries: Sequence[Delivery]) -> list[str]:
    """Return the names of the lanes: senders from outside first, then the traced processes."""
    outside = [_name_of(pid) for each in deliveries for pid in (each.sender, each.receiver)]
    return list(dict.fromkeys([*(name for name in outside if name == _OUTSIDE), *map(_name_of, processes), *outside]))


def drawn(deliveries: Sequence[Delivery], lanes: Sequence[str]) -> str:
    """Return the diagram as text: a lane for each process, a line for each message."""
    width = max([16, *(len(_label(each)) + 7 for each in deliveries), *(len(lane) + 2 for lane in lanes)])
    columns = {lane: 2 + number * width for number, lane in enumerate(lanes)}
    heads = "".join(lane.ljust(width) for lane in lanes)
    rows = [
        _row(columns, columns[_name_of(each.sender)], columns[_name_of(each.receiver)], _label(each))
        for each in deliveries
    ]
    return "\n".join([heads.rstrip(), _row(columns), *rows])


def _label(delivery: Delivery) -> str:
    return f"{delivery.kind} {shown(delivery.message)}".replace("\n", " ")


def _row(columns: dict[str, int], start: int | None = None, end: int | None = None, label: str = "") -> str:
    cells = [" "] * (max(columns.values()) + 1)
    for column in columns.values():
        cells[column] = "|"
    if start is None or end is None:
        return "".join(cells)
    if start == end:
        return "".join(cells) + f"  (to itself) {label}"
    left, right = sorted((start, end))
    line = f" {label} ".center(right - left - 2, "-")
    cells[left + 1 : right] = f"{line}>" if end == right else f"<{line}"
    return "".join(cells)


def mermaid(deliveries: Sequence[Delivery]) -> str:
    """Return a Mermaid ``sequenceDiagram``."""
    arrows = {"call": "->>", "reply": "-->>"}
    aliases = _aliases(name for each in deliveries for name in (_name_of(each.sender), _name_of(each.receiver)))
    lines = [f"    participant {alias} as {_escaped(name)}" for name, alias in aliases.items() if alias != name]
    for each in deliveries:
        sender, receiver = aliases[_name_of(each.sender)], aliases[_name_of(each.receiver)]
        lines.append(f"    {sender}{arrows.get(each.kind, '-)')}{receiver}: {_escaped(_label(each))}")
    return "\n".join(["sequenceDiagram", *lines])


def _aliases(names: Iterable[str]) -> dict[str, str]:
    """Return what Mermaid is to call each of *names*: a word that is no other's, and not ``end``."""
    aliases: dict[str, str] = {}
    for name in dict.fromkeys(names):
        word = "".join(each if each.isalnum() else "_" for each in name).strip("_")
        candidates = itertools.chain([word], (f"{word}_{number}" for number in itertools.count(2)))
        aliases[name] = next(each for each in candidates if each not in {"", "end", *aliases.values()})
    return aliases


def _escaped(text: str) -> str:
    return "".join({"#": "#35;", ";": "#59;", "\n": " "}.get(each, each) for each in text)
