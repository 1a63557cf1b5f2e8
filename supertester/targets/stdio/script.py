"""What a `MockPort` is to answer, what it was asked, and how the two differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch

__all__ = ["Answer", "Expected", "Received", "Script"]


@dataclass
class Received:
    """A command that came, and what was done about it.

    Attributes:
        command: Its name.
        args: Its arguments.
        id: By what its answer is matched with it.
        message: The whole request.
        link: The connection that it came by.
        answer: What was done about it, in words.
    """

    command: str
    args: Any
    id: Any
    message: Mapping[str, Any] = field(repr=False)
    link: Any = field(repr=False, compare=False)
    answer: str = "nothing"

    def __str__(self) -> str:
        return f"{self.command!r} {shown(self.args)}: {self.answer}"


@dataclass(frozen=True)
class Answer:
    """What is done about a command.

    Attributes:
        words: That, for the history.
        data: What is written, if anything is.
        delay: Seconds before that.
        closes_after: Bytes of it after which the connection is closed; ``None``: it is not.
        is_reply: Whether it is a proper reply.
    """

    words: str
    data: bytes | None = None
    delay: float = 0.0
    closes_after: int | None = None
    is_reply: bool = True


@dataclass(eq=False)
class Expected:
    """A command that a `MockPort` knows, and how it answers.

    Attributes:
        command: Its name.
        args: What its arguments have to be; ``None``: anything.
        fields: What other fields of the request have to be.
        times: How often it has to come; ``None``: as often as it likes.
        received: What has come of it.
    """

    command: str
    args: Any
    fields: Mapping[str, Any]
    times: int | None
    respond: Callable[[Received], Answer] = field(repr=False)
    received: list[Received] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How often it has come."""
        return len(self.received)

    @property
    def is_open(self) -> bool:
        """Whether it may come once more."""
        return self.times is None or self.count < self.times

    @property
    def is_due(self) -> bool:
        """Whether it has to come once more."""
        return self.times is not None and self.count < self.times

    def matches(self, received: Received) -> bool:
        """Say whether this is about what was received."""
        return (
            received.command == self.command
            and (self.args is None or received.args == self.args)
            and all(received.message.get(name) == value for name, value in self.fields.items())
        )

    def __str__(self) -> str:
        details = ([f"with args {shown(self.args)}"] if self.args is not None else []) + [
            f"with {name} {shown(value)}" for name, value in self.fields.items()
        ]
        return " ".join([repr(self.command), *details])


class Script:
    """What is expected and what was received.

    Args:
        ordered: Whether expected commands have to come in the order in which they were named.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._expected: list[Expected] = []
        self._standing: dict[str, Expected] = {}
        self._problems: list[str] = []
        self.received: list[Received] = []

    def expect(self, expected: Expected) -> None:
        """Add an expectation; one without a number of times takes the place of the one for the same command."""
        if expected.times is None:
            self._standing[expected.command] = expected
        else:
            self._expected.append(expected)

    def take(self, received: Received) -> Expected | None:
        """Note what was received and return what is known about it, or ``None`` if it is not expected."""
        self.received.append(received)
        found = self._find(received)
        if found is None:
            self._problems.append(f"{received.command!r} {shown(received.args)} came, {self._instead(received)}")
        else:
            found.received.append(received)
        return found

    def _find(self, received: Received) -> Expected | None:
        for each in self._candidates():
            if each.is_open and each.matches(received):
                return each
        standing = self._standing.get(received.command)
        return standing if standing is not None and standing.matches(received) else None

    def _candidates(self) -> Sequence[Expected]:
        due = [each for each in self._expected if each.is_due]
        return due[:1] if self._ordered else due

    def _instead(self, received: Received) -> str:
        candidates = self._candidates()
        if not candidates:
            return "no more was expected" if self._expected or self._standing else "nothing was expected"
        return f"expected {'next' if self._ordered else 'were'} {', '.join(map(str, candidates))}"

    def problem(self, what: str) -> None:
        """Note something that should not have happened."""
        self._problems.append(what)

    def check(self) -> Mismatch | None:
        """Say how what was received differs from what was expected, or return ``None``."""
        unmet = [f"{each} came {each.count} times, expected {each.times}" for each in self._expected if each.is_due]
        found = [*self._problems, *unmet]
        if not found:
            return None
        return Mismatch(
            "\n".join(["the commands were not as expected:", *(f"  - {each}" for each in found), self.heading]),
            self.received,
        )

    @property
    def heading(self) -> str:
        """The line above what was received."""
        return "received, and what was done:" if self.received else "nothing was received"
