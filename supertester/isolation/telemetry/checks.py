"""Whether the events of a test are as expected: waiting for them, and saying what there was instead."""

from __future__ import annotations

import asyncio
import difflib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester._core.waiting import Bell, checked_seconds, wait_until
from supertester.errors import UsageError, WaitTimeout
from supertester.isolation.telemetry import receiver
from supertester.isolation.telemetry.patterns import Metadata, Pattern, metadata_test, pattern_test
from supertester.isolation.telemetry.routing import hear_signals
from supertester.telemetry import TEST_ID, TelemetryEvent

if TYPE_CHECKING:
    from supertester.isolation.telemetry.handle import Telemetry

__all__ = ["check_no_event", "count_events", "wait_for_event"]

_MOST_SHOWN = 10
_LONGEST = 500
_TURNS = 20
"""Turns of the loop after which what is ready to run has run."""


async def wait_for_event(
    telemetry: Telemetry, pattern: Pattern, metadata: Metadata | None, *, timeout: float, consume: bool
) -> TelemetryEvent:
    """Return the oldest event that is meant; see `Telemetry.wait_for`."""
    checked_seconds("timeout", timeout)
    wanted, content = pattern_test(pattern), metadata_test(metadata)

    def look() -> list[TelemetryEvent]:
        return [event for event in telemetry.inbox.events() if wanted(event) and content(event.metadata)][:1]

    found = await _awaited(telemetry, look, timeout)
    if not found:
        what = f"{_named(pattern)}{_with(metadata)}"
        message = f"no telemetry event {what} {_within(timeout)}"
        raise WaitTimeout(_explained(telemetry, message, pattern, metadata))
    if consume:
        telemetry.inbox.remove(found[0])
    event: TelemetryEvent = found[0]
    return event


async def check_no_event(telemetry: Telemetry, pattern: Pattern, *, timeout: float) -> Mismatch | None:
    """Say which event came although none was to come within *timeout* seconds, or return ``None``."""
    checked_seconds("timeout", timeout)
    wanted = pattern_test(pattern)

    def look() -> list[TelemetryEvent]:
        return [event for event in telemetry.inbox.events() if wanted(event)]

    found = await _awaited(telemetry, look, timeout)
    if not found:
        return None
    return Mismatch(f"telemetry event {_named(pattern)} was not to come, and {len(found)} came", found[:_MOST_SHOWN])


async def count_events(
    telemetry: Telemetry, pattern: Pattern, count: int, *, timeout: float, consume: bool
) -> list[TelemetryEvent] | Mismatch:
    """Return the events that are meant, oldest first, or say that they are not exactly *count*; these are all kept.

    Once so many have come, it is looked once more after everything that is ready to run has run.

    Raises:
        UsageError: *count* is negative.
    """
    checked_seconds("timeout", timeout)
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"a number of events is wanted, got {count!r}")
    if count < 0:
        raise UsageError(f"the number of events must be 0 or more, got {count!r}")
    wanted = pattern_test(pattern)

    def look() -> list[TelemetryEvent]:
        return [event for event in telemetry.inbox.events() if wanted(event)]

    await _awaited(telemetry, lambda: len(look()) >= count, timeout)
    if timeout and len(look()) == count:
        await _idle()
    receiver.drain()
    found = look()
    if len(found) == count:
        if consume:
            for event in found:
                telemetry.inbox.remove(event)
        return found
    message = f"expected exactly {count} telemetry events {_named(pattern)}, got {len(found)} {_within(timeout)}"
    if len(found) > count:
        return Mismatch(message, [*found[:_MOST_SHOWN]])
    return Mismatch(_explained(telemetry, message, pattern, None))


# Waiting -------------------------------------------------------------------------------------------------------------


async def _awaited(telemetry: Telemetry, look: Callable[[], Any], timeout: float) -> Any:
    """Return what *look* does, as soon as it finds something or when the time is up."""
    hear_signals()
    receiver.drain()
    with _woken(telemetry) as bell, suppress(WaitTimeout):
        return await wait_until(look, "telemetry", timeout=timeout, bell=bell)
    return None


@contextmanager
def _woken(telemetry: Telemetry) -> Iterator[Bell]:
    """Yield a bell that rings at each event, whichever thread brings it."""
    bell, loop, home = Bell(certain=True), asyncio.get_running_loop(), threading.get_ident()

    def ring() -> None:
        if threading.get_ident() == home:
            bell.ring()
        else:
            with suppress(RuntimeError):  # The loop has been closed meanwhile.
                loop.call_soon_threadsafe(bell.ring)

    inbox = telemetry.inbox
    inbox.listeners += (ring,)
    try:
        yield bell
    finally:
        inbox.listeners = tuple(each for each in inbox.listeners if each is not ring)


async def _idle() -> None:
    from supertester.otp.idle import until_idle

    for _ in range(_TURNS):
        await asyncio.sleep(0)
    with suppress(WaitTimeout):
        await until_idle(timeout=0)


# Saying what there was -----------------------------------------------------------------------------------------------


def _named(pattern: Pattern) -> str:
    return repr(pattern) if isinstance(pattern, str) else f"that {describe(pattern)} selects"


def _with(metadata: Metadata | None) -> str:
    if metadata is None:
        return ""
    return (
        f" with metadata that {describe(metadata)} selects"
        if callable(metadata)
        else f" with metadata {shown(metadata)}"
    )


def _within(timeout: float) -> str:
    return f"within {timeout:g} s" if timeout else "so far"


def _explained(telemetry: Telemetry, message: str, pattern: Pattern, metadata: Metadata | None) -> str:
    events = telemetry.inbox.events()
    nearest = sorted(events, key=lambda event: -_nearness(event, pattern, metadata))[:_MOST_SHOWN]
    if not events:
        message += "; no event of this test was seen"
    elif len(events) > len(nearest):
        message += f"; the nearest of {len(events)} events that were seen:"
    else:
        message += "; seen, nearest first:"
    notes = [*_hints(telemetry, pattern), *_dropped(telemetry), *_buffered(telemetry, pattern)]
    return "\n".join([str(Mismatch(message, [shown_event(event) for event in nearest])), *notes])


def shown_event(event: TelemetryEvent) -> str:
    """Return *event* as a line of bounded length."""
    text = str(event)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _nearness(event: TelemetryEvent, pattern: Pattern, metadata: Metadata | None) -> float:
    if not isinstance(pattern, str):
        return 0.0
    nearness = difflib.SequenceMatcher(None, event.name, pattern).ratio()
    if isinstance(metadata, dict):
        nearness += sum(event.metadata.get(key) == value for key, value in metadata.items()) / (len(metadata) + 1)
    return nearness


def _hints(telemetry: Telemetry, pattern: Pattern) -> Iterator[str]:
    """Yield what is known about events of this name that went elsewhere."""
    if not isinstance(pattern, str):
        return
    wanted = pattern_test(pattern)
    elsewhere = {
        stray.test_id: stray for stray in telemetry.strays() if wanted(TelemetryEvent(stray.name, kind=stray.kind))
    }
    for test_id, stray in list(elsewhere.items())[:3]:
        if test_id is None:
            yield (
                f"hint: {stray.name!r} ({stray.kind}) came that belongs to no test: its code ran in a context without "
                "one; let it inherit the test's, use adopt(), or attach(..., passthrough=True)"
            )
        else:
            yield f"hint: {stray.name!r} ({stray.kind}) came with the id of another test, {TEST_ID} = {test_id!r}"


def _dropped(telemetry: Telemetry) -> Iterator[str]:
    if telemetry.inbox.dropped:
        yield f"hint: there were too many events to keep; the {telemetry.inbox.dropped} oldest are not there any more"


def _buffered(telemetry: Telemetry, pattern: Pattern) -> Iterator[str]:
    wanted = pattern_test(pattern)
    for handler in telemetry.handlers:
        if handler.buffer and any(wanted(event) for event in list(handler.buffered)):
            yield f"hint: {handler!r} buffers such events; flush() returns them"
