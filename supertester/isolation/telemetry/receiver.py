"""Where the child processes of tests send their events: one socket and one thread for the whole process.

Both are there from the first child process of a test until `supertester.uninstall`; they belong to no test.
"""

from __future__ import annotations

import functools
import hmac
import json
import os
import secrets
import selectors
import socket
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from supertester.context import IsolationContext
from supertester.isolation.children import ENVIRONMENT
from supertester.isolation.identity import owner, unowned
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.telemetry.routing import GONE, ROUTER, hearing, inbox_in, inbox_of
from supertester.telemetry import TEST_ID, emission
from supertester.telemetry.channel import ADDRESS, LONGEST_LINE, Sender, decoded, listen
from supertester.telemetry.child import attach_sender

__all__ = ["address", "drain", "forget", "offer"]

_LONGEST_GREETING = 4096
_MOST_CONNECTIONS = 500
_BREATH = 0.01
_MOST_LOOKS = 10_000
_MOST_UNDERWAY = 16 << 20
"""Bytes that one connection can hold: more than systems let the buffers of its two ends grow to by themselves."""
_PATIENCE = 30.0
"""Seconds after which the thread is taken for stuck, for instance in a handler of a test."""


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    of_test: str | None = None
    unread: bytearray = field(default_factory=bytearray)
    count: int = 0
    """How many bytes have come."""


@dataclass(eq=False)
class _Look:
    """Wanted after all that had been sent before: that somebody is told, and that a test's connections are closed."""

    closes: str | None = None
    done: threading.Event = field(default_factory=threading.Event)
    counts: dict[_Connection, int] | None = None
    """How many bytes had come by each connection when the thread first knew of this."""


class _Receiver:
    def __init__(self, *, most_underway: int = _MOST_UNDERWAY, patience: float = _PATIENCE) -> None:
        self._most_underway = most_underway
        self._patience = patience
        self.process = os.getpid()
        self.secret = secrets.token_hex(16)
        self.listener, name = listen()
        self.listener.settimeout(0)
        self.address = f"{name}:{self.secret}"
        self.connections: set[_Connection] = set()
        self._waker, self._wakened = socket.socketpair()
        self._wakened.settimeout(0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.listener, selectors.EVENT_READ, None)
        self._selector.register(self._wakened, selectors.EVENT_READ, None)
        self._waiting: list[_Look] = []
        self._stopping = False
        self._pauses = 0
        self._pausing = threading.Lock()
        self._start()

    # From other threads ------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Return when all that had been sent before is delivered.

        Warns:
            RuntimeWarning: The thread is stuck, so that some may be missing.
        """
        if threading.current_thread() is self._thread:
            return
        look = _Look()
        self._waiting.append(look)
        self._wake()
        if not look.done.wait(self._patience):
            warnings.warn(
                f"telemetry of child processes may be missing: it was not read within {self._patience:g} s; "
                "a handler of telemetry that does not return is the usual cause",
                RuntimeWarning,
                stacklevel=2,
            )

    def forget(self, test_id: str) -> None:
        """Close the connections of a test that has ended."""
        if self.connections:
            self._waiting.append(_Look(closes=test_id))
            self._wake()

    def close(self) -> None:
        """End the thread, and close everything."""
        self._stop()
        self.abandon()
        for look in self._waiting:
            look.done.set()

    def pause(self) -> None:
        """End the thread until `resume`: a process that forks should have one thread, and Python warns otherwise."""
        with self._pausing:
            self._pauses += 1
            if self._pauses == 1:
                self._stop()

    def resume(self) -> None:
        """Undo one `pause`."""
        with self._pausing:
            self._pauses -= 1
            if not self._pauses:
                self._start()

    def _start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="supertester-telemetry", daemon=True)
        with unowned():
            self._thread.start()

    def _stop(self) -> None:
        self._stopping = True
        self._wake()
        self._thread.join()
        # Python is done with it a moment before the system is.
        task = Path(f"/proc/self/task/{self._thread.native_id}")
        for _ in range(_MOST_LOOKS):
            if not task.exists():
                break
            os.sched_yield()

    def abandon(self) -> None:
        """Close everything, without the thread; in a fork there is none."""
        self._selector.close()
        for each in (self.listener, self._waker, self._wakened, *(held.socket for held in self.connections)):
            each.close()

    def _wake(self) -> None:
        with suppress(OSError):
            self._waker.send(b"!")

    # The thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            # Who asks after this is asked for by the byte that wakes the next look.
            asked = self._waiting.copy()
            ready = self._selector.select(0 if asked else None)
            for key, _ in ready:
                self._serve(key)
            for look in asked:
                if any(self._may_be_older(key.data, look) for key, _ in ready):
                    look.counts = look.counts or {each: each.count for each in self.connections}
                else:
                    self._waiting.remove(look)
                    self._close_those_of(look.closes)
                    look.done.set()

    def _may_be_older(self, connection: _Connection | None, look: _Look) -> bool:
        """Tell whether what comes by *connection* may have been sent before *look*; a child may send without end."""
        if connection is None or look.counts is None:
            return True
        return connection.count - look.counts.get(connection, 0) < self._most_underway

    def _serve(self, key: selectors.SelectorKey) -> None:
        if key.data is not None:
            self._read(key.data)
        elif key.fileobj is self.listener:
            self._accept()
        else:
            with suppress(OSError):
                self._wakened.recv(4096)

    def _accept(self) -> None:
        try:
            accepted, _ = self.listener.accept()
        except BlockingIOError:
            return  # It has gone again.
        except OSError:
            threading.Event().wait(_BREATH)  # The process has no descriptor left; to look again at once would be idle.
            return
        if len(self.connections) >= _MOST_CONNECTIONS:
            accepted.close()
            return
        accepted.settimeout(0)
        connection = _Connection(accepted)
        self.connections.add(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _read(self, connection: _Connection) -> None:
        try:
            found = connection.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            found = b""
        connection.unread += found
        connection.count += len(found)
        *lines, rest = connection.unread.split(b"\n") if b"\n" in found else [connection.unread]
        connection.unread = rest
        is_fine = all(self._take(connection, bytes(line)) for line in lines)
        limit = _LONGEST_GREETING if connection.of_test is None else LONGEST_LINE
        if not found or not is_fine or len(rest) > limit:
            self._drop(connection)

    def _take(self, connection: _Connection, line: bytes) -> bool:
        """Take one line; say whether the connection may go on."""
        if connection.of_test is None:
            connection.of_test = self._greeted(line)
            return connection.of_test is not None
        try:
            event, plain = decoded(line)
        except ValueError:
            return False
        inbox = inbox_of(connection.of_test) if connection.of_test else None
        with suppress(Exception):  # One event must not cost the others.
            ROUTER.deliver(event, None if TEST_ID in event.metadata else inbox, plain)
        return True

    def _greeted(self, line: bytes) -> str | None:
        try:
            greeting = json.loads(line)
            is_known = hmac.compare_digest(str(greeting["secret"]).encode(), self.secret.encode())
            return str(greeting["test_id"]) if is_known else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _close_those_of(self, test_id: str | None) -> None:
        if test_id is not None:
            for connection in [each for each in self.connections if each.of_test == test_id]:
                self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()


_receiver: _Receiver | None = None
_parent: str | None = None
"""Where the parent listens, in a process that was forked off inside a test."""


def offer() -> Undo:
    """Let child processes of tests know where to send to, from now on."""
    ENVIRONMENT.append(_variables)
    _watch_forks()
    unwrap = replace_attribute(os, "fork", _alone(os.fork)) if hasattr(os, "fork") else _nothing

    def undo() -> None:
        unwrap()
        ENVIRONMENT.remove(_variables)

    return undo


def _nothing() -> None: ...


def _variables(context: IsolationContext) -> Mapping[str, str]:
    return {} if inbox_in(context) is GONE else {ADDRESS: address()}


def address() -> str:
    """Return where to send to, and begin to listen there if need be."""
    if _parent is not None:
        return _parent
    install_once(_listen)
    assert _receiver is not None
    return _receiver.address


def _listen() -> Undo:
    global _receiver  # noqa: PLW0603 - one for the process
    with unowned():
        _receiver = receiver = _Receiver()

    def undo() -> None:
        global _receiver  # noqa: PLW0603 - see above
        _receiver = None
        if receiver.process == os.getpid():
            receiver.close()

    return undo


def drain() -> None:
    """Return when all that child processes had sent before is with its tests."""
    if _receiver is not None:
        _receiver.drain()


def forget(test_id: str) -> None:
    """Close the connections of a test that has ended."""
    if _receiver is not None:
        _receiver.forget(test_id)


# Forks ---------------------------------------------------------------------------------------------------------------

_is_watching_forks = False


def _watch_forks() -> None:
    """Let forks of this process connect by themselves, for good: there is no way to take this out again."""
    global _is_watching_forks  # noqa: PLW0603 - once per process, for good
    if not _is_watching_forks and hasattr(os, "register_at_fork"):
        _is_watching_forks = True
        os.register_at_fork(after_in_child=_begin_fork)


def _alone(previous: Callable[[], int]) -> Callable[[], int]:
    """Return a fork that finds no thread of ours.

    Python warns of threads from 3.12 on; from 3.13 on after the hooks for forks have run, so these would be too late.
    """

    @functools.wraps(previous)
    def fork() -> int:
        context = owner()
        if context is not None and "telemetry" in context.features:
            address()
        receiver = _receiver
        if receiver is None:
            return previous()
        receiver.pause()
        try:
            return previous()
        finally:
            if receiver is _receiver:  # It is not in the child.
                receiver.resume()

    return fork


def _begin_fork() -> None:
    """Send what this fork of a test does to the test, in the place of what would route it here."""
    global _parent, _receiver  # noqa: PLW0603 - the parent's
    receiver, _receiver = _receiver, None
    if receiver is None:
        return
    _parent = receiver.address
    receiver.abandon()
    context = owner()
    if context is None or inbox_in(context) is GONE:
        return
    with suppress(Exception):  # The fork has its own work to do, and the parent may be gone.
        emission.remove_listener(ROUTER.heard)
        tap = attach_sender(Sender(receiver.address, context.test_id))
        if (signals := hearing()) is not None:
            signals.replace_tap(tap)
