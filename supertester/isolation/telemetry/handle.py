"""`Telemetry`: what a test asks and does as ``self.telemetry``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from supertester.context import IsolationContext
from supertester.isolation.telemetry import receiver
from supertester.isolation.telemetry.handlers import Capture, Handler
from supertester.isolation.telemetry.inbox import Inbox
from supertester.isolation.telemetry.patterns import Metadata, Pattern, checked_names, matches_name
from supertester.isolation.telemetry.routing import ROUTER, Stray, hear_signals, hearing
from supertester.telemetry import TEST_ID, TelemetryEvent, emission

__all__ = ["Opening", "Telemetry"]

_next_handler = itertools.count(1).__next__
_NOTICES = ("supertester.telemetry.event.delivered", "supertester.telemetry.event.filtered")


class Telemetry:
    """The spans, span events, metrics, log events and events of one test.

    All that the test's own code does is here from the beginning of the test, whatever task, thread, executor job or
    child process does it. `attach` is for more, less or other than that.

    Attributes:
        test_id: The id of the test, which is also its ``isolation.test_id``.
    """

    __slots__ = ("inbox", "test_id")

    def __init__(self, context: IsolationContext) -> None:
        self.test_id = context.test_id
        self.inbox = Inbox(context)

    @property
    def events(self) -> list[TelemetryEvent]:
        """The events that have reached the test and were not flushed or consumed, oldest first."""
        receiver.drain()
        return self.inbox.events()

    def summary(self) -> list[str]:
        """Return what the test has of it, as lines of text."""
        count = len(self.inbox.events())
        return [*([f"{count} events"] if count else []), *(repr(handler) for handler in self.handlers)]

    @property
    def handlers(self) -> list[Handler]:
        """The handlers that are attached."""
        return [handler for handler in self.inbox.handlers if handler.attached]

    def metadata(self, existing: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return *existing* with the id of the test added, for an event that is emitted where no context says it."""
        return {**(existing or {}), TEST_ID: self.test_id}

    def emit(
        self,
        name: str,
        measurements: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Let an event of this name happen in the test; unlike `supertester.telemetry.emit` it puts nothing before it.

        It reaches tests alone, not OpenTelemetry. An id in the metadata wins: the event goes to that test instead.

        Raises:
            TypeError: The name is no string.
            UsageError: It is empty.
        """
        [name] = checked_names(name)
        event = TelemetryEvent(name, dict(measurements or {}), {TEST_ID: self.test_id, **(metadata or {})})
        ROUTER.deliver(event, self.inbox)

    # Handlers ----------------------------------------------------------------------------------------------------

    def attach(
        self,
        names: str | Iterable[str],
        *,
        passthrough: bool = False,
        buffer: bool = False,
        filter_key: str = TEST_ID,
        transform: Callable[[TelemetryEvent], TelemetryEvent] | None = None,
    ) -> Handler:
        """Decide which events of these names reach the test; before, it is all of its own.

        Args:
            names: One or several, or globs.
            passthrough: Whether to take also events that belong to no test; those of another are never taken.
            buffer: Whether to keep them for `flush` alone, where assertions do not see them.
            filter_key: The key of the metadata whose value has to be the id of the test.
            transform: Returns the event to keep instead. If it fails, the test fails at its end, and the event is kept
                as it was.

        Raises:
            TypeError: A name is no string, or *transform* cannot be called.
            UsageError: There is no name.
        """
        wanted = checked_names(names)
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be a function of the event, got {transform!r}")
        hear_signals()
        handler = Handler(
            f"supertester-telemetry-{self.test_id}-{_next_handler()}",
            wanted,
            self.test_id,
            passthrough=passthrough,
            buffer=buffer,
            filter_key=filter_key,
            transform=transform,
        )
        self.inbox.handlers += (handler,)
        self._handlers_changed()
        emission.emit("telemetry.handler.attached", {}, self.metadata({"handler_id": handler.id, "events": wanted}))
        return handler

    def detach(self, handler: Handler | str) -> None:
        """End a handler, given as what `attach` returned or its id; its names reach the test no more by it.

        What it has delivered stays, except what it has buffered. A handler that is detached already stays so.
        """
        for each in self.inbox.handlers:
            if each.attached and handler in (each, each.id):
                each.attached = False
                each.buffered.clear()
                self._handlers_changed()
                emission.emit("telemetry.handler.detached", {}, self.metadata({"handler_id": each.id}))

    def _handlers_changed(self) -> None:
        attached = self.handlers
        self.inbox.wants_notices = any(each.listens_to(name) for each in attached for name in _NOTICES)
        ROUTER.reach_beyond(self.inbox, wanted=any(handler.reaches_beyond for handler in attached))

    def flush(self, what: Handler | str = "all") -> list[TelemetryEvent]:
        """Remove events and return them, oldest first; what is not asked for stays where it is.

        Args:
            what: ``"all"``, a handler or its id, or a name of events or a glob. Of a handler that buffers it is the
                buffer, of another what it has delivered; of one that is detached, nothing.
        """
        receiver.drain()
        handler = next((each for each in self.inbox.handlers if what in (each, each.id)), None)
        if handler is not None:
            return _drained(handler) if handler.buffer else self.inbox.take(lambda _, by: by is handler)
        if isinstance(what, Handler):
            return []
        if what == "all":
            rest = [event for each in self.handlers for event in _drained(each)]
            return self.inbox.take(lambda *_: True) + rest
        matches = matches_name(checked_names(what))
        return self.inbox.take(lambda event, _: matches(event.name))

    @contextmanager
    def capture(self, names: str | Iterable[str] = "*") -> Iterator[Capture]:
        """Collect the test's own events of these names while the block runs; assertions see them as well.

        Yields:
            A sequence that grows; it stays after the block.

        Example::

            with self.telemetry.capture("myapp.order.*") as events:
                place_order()
            self.assertEqual([event.name for event in events], ["myapp.order.placed"])
        """
        capture = Capture(checked_names(names))
        hear_signals()
        self.inbox.captures += (capture,)
        try:
            yield capture
        finally:
            receiver.drain()
            self.inbox.captures = tuple(each for each in self.inbox.captures if each is not capture)

    # Looking -----------------------------------------------------------------------------------------------------

    async def wait_for(
        self, pattern: Pattern, metadata: Metadata | None = None, *, timeout: float = 1.0, consume: bool = False
    ) -> TelemetryEvent:
        """Return the oldest event that *pattern* and *metadata* mean, as soon as there is one.

        Args:
            pattern: A name, a glob, or a function of the event.
            metadata: What the metadata has to contain, or a function of it.
            timeout: Seconds; with 0 it is looked at once.
            consume: Whether to remove the event.

        Raises:
            WaitTimeout: There was none; the message shows what there was.
        """
        from supertester.isolation.telemetry.checks import wait_for_event

        return await wait_for_event(self, pattern, metadata, timeout=timeout, consume=consume)

    def strays(self) -> list[Stray]:
        """Return the latest events that belonged to no test, or to another one that is running, oldest first."""
        return ROUTER.strays(self.test_id)

    def snapshot(self, *, attributes: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Return the test's finished spans as plain dicts that are the same in every run.

        They are in the order in which they began; ids are 1, 2, 3, and each beginning, event and end is one second
        after the one before it.

        Args:
            attributes: Names of the attributes to show; by default all, except the id of the test.
        """
        from supertester.isolation.telemetry.snapshot import snapshot

        receiver.drain()
        return snapshot(list(self.inbox.spans), None if attributes is None else frozenset(attributes))


def _drained(handler: Handler) -> list[TelemetryEvent]:
    events: list[TelemetryEvent] = []
    while handler.buffered:
        events.append(handler.buffered.popleft())
    return events


class Opening:
    """The telemetry of one test, from its beginning to its end."""

    __slots__ = ("_context", "_telemetry")

    def __init__(self, context: IsolationContext) -> None:
        self._context = context

    def __enter__(self) -> Telemetry:
        self._telemetry = telemetry = Telemetry(self._context)
        names = self._context.tags.get("telemetry_events")
        if names is not None:
            telemetry.attach(names)
        return telemetry

    def __exit__(self, *_: object) -> None:
        ROUTER.reach_beyond(self._telemetry.inbox, wanted=False)
        if (signals := hearing()) is not None:
            signals.forget(self._telemetry.inbox)
        receiver.forget(self._context.test_id)
