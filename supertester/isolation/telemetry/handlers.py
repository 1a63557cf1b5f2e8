"""`Handler` and `Capture`: who gets which of the events that reach a test."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from supertester.isolation.telemetry.patterns import checked_names, matches_name
from supertester.telemetry import TEST_ID, TelemetryEvent

__all__ = ["MOST_EVENTS", "Capture", "Handler"]

MOST_EVENTS = 100_000
"""Events that a test keeps; when there are more, the oldest are dropped."""


class Handler:
    """What `attach` returns: the events of some names that a test wants, and how.

    Attributes:
        id: A string that no other handler of this process has.
        names: Names of events, or globs.
        attached: Whether it still gets events.
    """

    def __init__(
        self,
        id: str,
        names: tuple[str, ...],
        test_id: str,
        *,
        passthrough: bool = False,
        buffer: bool = False,
        filter_key: str = TEST_ID,
        transform: Callable[[TelemetryEvent], TelemetryEvent] | None = None,
    ) -> None:
        self.id = id
        self.names = names
        self.passthrough = passthrough
        self.buffer = buffer
        self.filter_key = filter_key
        self.transform = transform
        self.attached = True
        self.buffered: deque[TelemetryEvent] = deque(maxlen=MOST_EVENTS)
        self.listens_to = matches_name(names)
        self._test_id = test_id

    def claims(self, event: TelemetryEvent) -> bool:
        """Say whether *event*, whose name is right, carries the id of the test."""
        return bool(event.metadata.get(self.filter_key) == self._test_id)

    def accepts(self, event: TelemetryEvent, *, claimed: bool) -> bool:
        """Say whether *event*, whose name is right, belongs to the test, or at least to none that has *claimed* it."""
        if event.metadata.get(self.filter_key) is not None:
            return self.claims(event)
        return self.passthrough and not claimed and event.metadata.get(TEST_ID) in (None, self._test_id)

    @property
    def reaches_beyond(self) -> bool:
        """Whether it wants events that do not belong to the test by where they come from."""
        return self.passthrough or self.filter_key != TEST_ID

    def __repr__(self) -> str:
        state = "" if self.attached else ", detached"
        return f"<Handler {self.id} of {', '.join(self.names)}{state}>"


class Capture(Sequence[TelemetryEvent]):
    """What `capture` yields: the events so far, oldest first; it grows until the end of the block."""

    def __init__(self, names: str | Sequence[str]) -> None:
        self.names = checked_names(names)
        self.listens_to = matches_name(self.names)
        self._events: deque[TelemetryEvent] = deque(maxlen=MOST_EVENTS)

    def add(self, event: TelemetryEvent) -> None:
        self._events.append(event)

    @overload
    def __getitem__(self, index: int) -> TelemetryEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[TelemetryEvent]: ...

    def __getitem__(self, index: Any) -> Any:
        return list(self._events)[index]

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[TelemetryEvent]:
        return iter(list(self._events))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, (list, Capture)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self._events))
