"""Programs: steps before, branches at once, steps after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from supertester._core.evidence import shown
from supertester.errors import UsageError
from supertester.programs.machine import Machine

__all__ = ["Program", "Step"]


@dataclass(frozen=True)
class Step:
    """One operation: the name of the rule, its arguments, and by how many turns of the event loop it is put off."""

    rule: str
    args: tuple[Any, ...] = ()
    after: int = field(default=0, kw_only=True)

    def __repr__(self) -> str:
        parts = [repr(self.rule)] + [repr(self.args)] * bool(self.args) + [f"after={self.after}"] * bool(self.after)
        return f"Step({', '.join(parts)})"

    def __str__(self) -> str:
        put_off = f" after {self.after} turn{'s' * (self.after > 1)}" if self.after else ""
        return f"{self.rule}({', '.join(map(shown, self.args))}){put_off}"


@dataclass(frozen=True)
class Program:
    """What is done to a subject of *machine*: the steps *before*, the *branches* at once, the steps *after*."""

    machine: type[Machine]
    before: Sequence[Step] = field(default=(), kw_only=True)
    branches: Sequence[Sequence[Step]] = field(default=(), kw_only=True)
    after: Sequence[Step] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for name, steps in (("before", self.before), ("branches", map(tuple, self.branches)), ("after", self.after)):
            object.__setattr__(self, name, tuple(steps))
        known = self.machine.rules()
        for step in [*self.before, *(step for branch in self.branches for step in branch), *self.after]:
            if step.rule not in known:
                raise UsageError(
                    f"{self.machine.__qualname__} has no rule {step.rule!r}; its rules are {', '.join(known)}"
                )
        if not self.branches:
            raise UsageError("a program needs at least one branch, got branches=()")

    def __repr__(self) -> str:
        parts = [f"before={list(self.before)!r}"] * bool(self.before)
        parts.append(f"branches={[list(branch) for branch in self.branches]!r}")
        parts += [f"after={list(self.after)!r}"] * bool(self.after)
        return f"Program({self.machine.__qualname__}, {', '.join(parts)})"

    def __str__(self) -> str:
        scripts = {"before": self.before}
        scripts |= {f"branch {number}": branch for number, branch in enumerate(self.branches, 1)}
        scripts |= {"after": self.after}
        return "\n".join(f"{name}: {', '.join(map(str, steps))}" for name, steps in scripts.items() if steps)
