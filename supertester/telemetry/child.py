"""`connect`: what a child process of a test does goes to the test."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

from supertester.telemetry import emission
from supertester.telemetry.channel import Sender, sender_from_environment
from supertester.telemetry.events import TEST_ID, TelemetryEvent

__all__ = ["ChildTap", "attach_sender", "connect", "disconnect"]

_lock = threading.RLock()
_tap: ChildTap | None = None
_undo: list[Callable[[], object]] = []


class ChildTap:
    """Sends what happens in this process to the test that started it."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    def owner(self) -> object | None:
        """Return the same for all that this process does: all of it belongs to the test."""
        return self

    def deliver(self, event: TelemetryEvent, owner: object | None, plain: dict[str, Any] | None = None) -> None:
        """Send *event*; an id in its metadata wins."""
        if TEST_ID not in event.metadata and self.sender.test_id:
            metadata = {**event.metadata, TEST_ID: self.sender.test_id}
            event = TelemetryEvent(event.name, event.measurements, metadata, event.kind)
        self.sender.send(event, plain)

    def heard(self, event: TelemetryEvent) -> None:
        """Be a listener of `emit`."""
        self.deliver(event, self)

    def identify(self) -> str | None:
        """Return the id of the test."""
        return self.sender.test_id or None


def connect() -> bool:
    """Send what this child process does to the test that started it, from now on.

    For a program that a test starts. A process of ``multiprocessing`` is connected by itself if the tests use
    OpenTelemetry when it is started, and always if it is forked. Its spans, span events, metrics and log events reach
    the test as if its own code had made them, and so do events of `emit`. OpenTelemetry is imported.

    Returns:
        Whether there is a test to send to; without one, nothing is done, so the line may stay in the program.

    >>> connect()
    False
    """
    with _lock:
        if _tap is not None:
            return True
        sender = sender_from_environment()
        if sender is None:
            return False
        tap = attach_sender(sender)
        from supertester.telemetry import signals

        _undo.append(signals.install(tap))
        return True


def attach_sender(sender: Sender) -> ChildTap:
    """Let *sender* send the events of `emit`; return what sends the signals of OpenTelemetry, if it is given them."""
    global _tap  # noqa: PLW0603 - one connection per process
    with _lock:
        _tap = tap = ChildTap(sender)
        heard = tap.heard
        emission.add_listener(heard, identify=tap.identify)
        _undo.append(lambda: emission.remove_listener(heard))
        _watch_forks()
        return tap


def disconnect() -> None:
    """Undo `connect`: what was sent arrives, and nothing more is sent."""
    global _tap  # noqa: PLW0603 - see `attach_sender`
    with _lock:
        while _undo:
            _undo.pop()()
        if _tap is not None:
            _tap.sender.abandon()
        _tap = None


@functools.cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_renew)


def _renew() -> None:
    """Give a fork a connection of its own: two processes that write into one would break each other's lines."""
    global _lock  # noqa: PLW0603 - another thread of the parent may hold it, and never give it back here
    _lock = threading.RLock()
    if _tap is not None:
        inherited = _tap.sender
        try:
            _tap.sender = inherited.again()
        except OSError:
            disconnect()
        finally:
            inherited.abandon()
