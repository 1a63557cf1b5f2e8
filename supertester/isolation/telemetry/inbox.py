"""`Inbox`: the events that have reached one test, in the order in which they did."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from supertester._core.naming import describe
from supertester.context import IsolationContext, Problem
from supertester.isolation.telemetry.handlers import MOST_EVENTS, Capture, Handler
from supertester.telemetry import TelemetryEvent, emission
from supertester.telemetry.events import TEST_ID

__all__ = ["Inbox"]

_ABOUT_TELEMETRY = "supertester.telemetry."


class Inbox:
    """Takes events from any thread and keeps them until they are flushed or consumed.

    As long as no handler was ever attached for a name, the test's own events of that name are kept. Once one was, the
    handlers decide.
    """

    __slots__ = (
        "_context",
        "_events",
        "_lock",
        "captures",
        "dropped",
        "handlers",
        "listeners",
        "spans",
        "test_id",
        "wants_notices",
    )

    def __init__(self, context: IsolationContext) -> None:
        self._context = context
        self.test_id = context.test_id
        self._events: deque[tuple[TelemetryEvent, Handler | None]] = deque()
        self._lock = threading.Lock()
        self.handlers: tuple[Handler, ...] = ()
        self.captures: tuple[Capture, ...] = ()
        self.listeners: tuple[Callable[[], object], ...] = ()
        self.spans: deque[dict[str, Any]] = deque(maxlen=MOST_EVENTS)
        self.dropped = 0
        self.wants_notices = False

    def claims(self, event: TelemetryEvent) -> bool:
        """Say whether *event* carries the id of the test where a handler looks for it, wherever it comes from."""
        return any(
            handler.attached and handler.listens_to(event.name) and handler.claims(event) for handler in self.handlers
        )

    def receive(
        self, event: TelemetryEvent, *, own: bool, claimed: bool = False, plain: dict[str, Any] | None = None
    ) -> None:
        """Take *event*.

        Args:
            event: What happened.
            own: Whether it belongs to the test by where it comes from.
            claimed: Whether it belongs to some test by the id it carries.
            plain: The span that it is.
        """
        if own:
            if plain is not None:
                self.spans.append(plain)
            for capture in self.captures:
                if capture.listens_to(event.name):
                    capture.add(event)
        if self.handlers and (deciding := [each for each in self.handlers if each.listens_to(event.name)]):
            self._hand_out(event, deciding, claimed=claimed)
        elif own and not event.name.startswith(_ABOUT_TELEMETRY):
            self._keep(event, None)
        for listener in self.listeners:
            listener()

    def _hand_out(self, event: TelemetryEvent, deciding: list[Handler], *, claimed: bool) -> None:
        kept = False
        for handler in deciding:
            if not handler.attached:
                continue
            accepted = handler.accepts(event, claimed=claimed)
            if accepted and (handler.buffer or not kept):
                changed = self._transformed(event, handler)
                if handler.buffer:
                    handler.buffered.append(changed)
                else:
                    self._keep(changed, handler)
                    kept = True
            if self.wants_notices and not event.name.startswith(_ABOUT_TELEMETRY):
                self._notify(event, handler, accepted=accepted)

    def _transformed(self, event: TelemetryEvent, handler: Handler) -> TelemetryEvent:
        """Return *event* as the handler changes it; one that fails fails the test, never the code that is told of."""
        if handler.transform is None:
            return event
        try:
            changed: object = handler.transform(event)
            if isinstance(changed, TelemetryEvent):
                return changed
            problem = f"returned {changed!r}, which is no TelemetryEvent"
        except Exception as error:  # noqa: BLE001 - of the test, and reported to it
            problem = f"raised {error!r}"
        what = f"the transform {describe(handler.transform)} of {handler!r} {problem} for the event: {event}"
        self._context.report(Problem("telemetry", what))
        return event

    def _notify(self, event: TelemetryEvent, handler: Handler, *, accepted: bool) -> None:
        metadata: dict[str, Any] = {TEST_ID: self.test_id, "event": event.name, "handler_id": handler.id}
        if accepted:
            emission.emit("telemetry.event.delivered", {"count": 1}, metadata)
        else:
            metadata["event_test_id"] = event.metadata.get(handler.filter_key)
            emission.emit("telemetry.event.filtered", {"count": 1}, metadata)

    def _keep(self, event: TelemetryEvent, handler: Handler | None) -> None:
        with self._lock:
            if len(self._events) >= MOST_EVENTS:
                self._events.popleft()
                self.dropped += 1
            self._events.append((event, handler))

    # What the test asks ------------------------------------------------------------------------------------------

    def events(self) -> list[TelemetryEvent]:
        """Return what is there, oldest first."""
        with self._lock:
            return [event for event, _ in self._events]

    def take(self, wanted: Callable[[TelemetryEvent, Handler | None], object]) -> list[TelemetryEvent]:
        """Remove the events that are wanted, and return them; the others stay as they are, in their order."""
        with self._lock:
            taken = [entry for entry in self._events if wanted(*entry)]
            if taken:
                gone = set(map(id, taken))
                self._events = deque(entry for entry in self._events if id(entry) not in gone)
            return [event for event, _ in taken]

    def remove(self, event: TelemetryEvent) -> None:
        """Remove this very event."""
        self.take(lambda each, _: each is event)
