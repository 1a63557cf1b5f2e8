"""`OutsideWork`: what can still wake an event loop from outside, so that its time must not leap.

Work that should end by itself:

- jobs of executors;
- child processes of asyncio that a task waits for, in ``wait()`` or ``communicate()``.

What may never end, or is waited for by nobody:

- other child processes of asyncio;
- registered descriptors whose other end is elsewhere: connections to other programs or loops, pipes, and whatever is no
  socket. A listening socket, a datagram socket without a peer, and a connection or a pipe that has both ends in this
  loop are none: nothing is known to come, or it comes from here;
- what `sources` name, such as threads. The end of those wakes no loop, so somebody has to look for it now and then.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import stat
import struct
from _socket import socket as _Socket  # noqa: N812 - a class; it can look at a descriptor without owning it
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from supertester._core.awaits import frames_of
from supertester._core.live_tasks import tasks_of

ioctl: Any
try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # Where there is neither, what is on its way cannot be seen.
    ioctl = None

__all__ = ["OutsideWork"]

_WAITING = (Process.wait.__code__, Process.communicate.__code__)
_INFO = 136
"""Bytes of ``struct tcp_info`` up to the numbers of bytes acknowledged and received."""
_HANDSHAKE = 2
"""What beginning and end of a connection may count among the bytes that were sent."""
_WILDCARDS = ("0.0.0.0", "::")
Address = Any
"""Host and port; or the name of a file, which is empty for whoever has none."""


class OutsideWork:
    """What can wake *loop* from outside.

    Attributes:
        jobs: Futures of what executors do for the loop.
        children: Transports of child processes.
        sockets: Sockets that the loop has been given, as far as nothing else knows them.
        sources: Functions that return the names of further outside work.
        quiet: For descriptors that belong to somebody who knows, what says whether nothing will come there for now.
        jobs_call_back: Whether a thread waits for a coroutine of the loop, so that a job need not end by itself.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.jobs: set[Any] = set()
        self.children: WeakSet[Any] = WeakSet()
        self.sockets: WeakSet[socket.socket] = WeakSet()
        self.sources: list[Callable[[], Iterable[str]]] = []
        self.jobs_call_back = False
        self.quiet: dict[int, Callable[[], bool]] = {}

    def add_job(self, future: Any) -> None:
        """Take note of a job until its *future* is done."""
        self.jobs.add(future)
        future.add_done_callback(self.jobs.discard)

    # What there is -----------------------------------------------------------------------------------------------

    def is_conceivable(self) -> bool:
        """Say whether there is anything besides descriptors that would have to be looked at; the first, cheap look."""
        return bool(self.jobs or self.children or any(next(iter(source()), None) for source in self.sources))

    def is_expected(self) -> bool:
        """Say whether there is work that should end by itself."""
        if self.jobs and not self.jobs_call_back:
            return True
        running = self._running()
        if not running:
            return False
        awaited = _awaited_processes(self._loop)
        return any(child._exit_waiters or child in awaited for child in running)

    def is_possible(self) -> bool:
        """Say whether anything may come from outside."""
        return bool(self.jobs or any(True for _ in self._outer_descriptors()) or self.has_silent() or self._running())

    def has_silent(self) -> bool:
        """Say whether there is work whose end wakes no loop."""
        return bool(self.jobs) or any(next(iter(source()), None) for source in self.sources)

    def names(self) -> list[str]:
        """Return what there is, in words."""
        names = ["jobs of executors"] if self.jobs else []
        named = [name for source in self.sources for name in source()]
        if not any(name.startswith("child process") for name in named):
            names += [f"child process {child.get_pid()}" for child in self._running()]
        return [*names, *named, *(_shown(fd) for fd in self._outer_descriptors())]

    def _running(self) -> list[Any]:
        return [child for child in self.children if child.get_returncode() is None] if self.children else []

    # Descriptors -------------------------------------------------------------------------------------------------

    def _registered(self) -> list[selectors.SelectorKey]:
        own = self._loop._ssock.fileno()
        return [key for key in self._loop._selector.get_map().values() if key.fd != own]

    def _outer_descriptors(self) -> Iterator[int]:
        keys = self._registered()
        if not keys:
            return
        ends = _Ends(self._known(keys))
        for key in keys:
            if key.fd in self.quiet and self.quiet[key.fd]():
                continue
            if not ends.is_inner(key.fd, connecting=bool(key.events & selectors.EVENT_WRITE)):
                yield key.fd

    def _known(self, keys: list[selectors.SelectorKey]) -> set[int]:
        """Return the descriptors that belong to the loop."""
        known = {key.fd for key in keys}
        known.update(self._loop._transports)
        known.update(fd for each in list(self.sockets) if (fd := each.fileno()) >= 0)
        return known

    def is_in_flight(self) -> bool:
        """Say whether a connection with both ends in the loop has sent what may not have arrived."""
        if ioctl is None:
            return False
        return any(_unacknowledged(fd) for fd in self._known(self._registered()))

    def is_on_its_way(self) -> bool:
        """Say whether a connection with both ends in the loop has sent what has not arrived, and is waited for."""
        keys = self._registered()
        reading = {key.fd for key in keys if key.events & selectors.EVENT_READ}
        ends = {(own, peer): fd for fd in reading for own, peer in _connected(fd)}
        return any(
            (other := ends.get((peer, own))) is not None and _sent(fd) - _received(other) > _HANDSHAKE
            for fd in self._known(keys)
            if ioctl is not None and _unacknowledged(fd)
            for own, peer in _connected(fd)
        )


class _Ends:
    """The other ends of descriptors, among those that are *known*."""

    def __init__(self, known: set[int]) -> None:
        self._pipes: list[tuple[int, int]] = []
        self._pairs: set[tuple[Address, Address]] = set()
        self._local: Counter[tuple[Address, Address | None]] = Counter()
        self._datagrams: set[Address] = set()
        for fd in known:
            self._add(fd)

    def _add(self, fd: int) -> None:
        if (pipe := _pipe(fd)) is not None:
            self._pipes.append(pipe)
            return
        with _borrowed(fd) as sock:
            if sock is None:
                return
            own, peer = _names(sock)
            if sock.family == socket.AF_UNIX:
                self._local[own, peer] += 1
            elif sock.type == socket.SOCK_DGRAM:
                self._datagrams.add(own)
            elif peer is not None:
                self._pairs.add((own, peer))

    def is_inner(self, fd: int, *, connecting: bool) -> bool:
        """Say whether nothing from outside is expected at *fd*."""
        if (pipe := _pipe(fd)) is not None:
            return self._pipes.count(pipe) > 1
        with _borrowed(fd) as sock:
            if sock is None:
                return False
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return True
            own, peer = _names(sock)
            if sock.family == socket.AF_UNIX and hasattr(socket, "SO_PEERCRED"):
                return _peer_pid(sock) in (0, os.getpid()) and self._has_all_of(own, peer)
            if sock.type == socket.SOCK_DGRAM:
                return peer is None or any(peer[1:] == each[1:] and _reaches(peer, each) for each in self._datagrams)
            if peer is None:
                return not connecting
            return (peer, own) in self._pairs

    def _has_all_of(self, own: Address, peer: Address | None) -> bool:
        """Say whether the other ends of all connections of the file system between these names are among the known.

        Those who connect have no names, so the ends can only be counted; of a pair of sockets neither end has one.
        """
        return peer is None or not (own or peer) or self._local[peer, own] >= self._local[own, peer]


def _reaches(peer: Address, bound: Address) -> bool:
    return bound[0] == peer[0] or bound[0] in _WILDCARDS


@contextmanager
def _borrowed(fd: int) -> Iterator[_Socket | None]:
    """Yield the socket behind *fd*, which stays its owner's; ``None`` if it is none."""
    try:
        sock = _Socket(fileno=fd)
    except OSError:
        yield None
        return
    try:
        yield sock
    finally:
        sock.detach()


def _names(sock: _Socket) -> tuple[Address, Address | None]:
    """Return address and port of both ends; those of IPv6 have more to them, which differs between the ends."""
    parts = None if sock.family == socket.AF_UNIX else 2
    own = sock.getsockname()[:parts]
    try:
        return own, sock.getpeername()[:parts]
    except OSError:
        return own, None


def _peer_pid(sock: _Socket) -> int:
    """Return the number of the process that has the other end; 0 where there is no other end."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack_from("i", credentials)[0]
    return pid


def _pipe(fd: int) -> tuple[int, int] | None:
    """Return what both ends of a pipe have in common, or ``None`` if *fd* is no pipe."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISFIFO(found.st_mode) else None


def _unacknowledged(fd: int) -> int:
    with _borrowed(fd) as sock:
        if sock is None or sock.family == socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
            return 0  # What one end of those has sent is at the other.
        try:
            count: int = struct.unpack("i", ioctl(fd, TIOCOUTQ, bytes(4)))[0]
            return count
        except OSError:
            return 0  # A listening socket sends nothing.


def _connected(fd: int) -> Iterator[tuple[Address, Address]]:
    """Yield the addresses of both ends of *fd* if it is a connection of TCP."""
    with _borrowed(fd) as sock:
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
            own, peer = _names(sock)
            if peer is not None:
                yield own, peer


def _sent(fd: int) -> int:
    """Return how many bytes *fd* was given to send; one more if it began the connection, and one for its end."""
    return _counts(fd)[0] + _unacknowledged(fd)


def _received(fd: int) -> int:
    """Return how many bytes have arrived at *fd*, read or not."""
    return _counts(fd)[1]


def _counts(fd: int) -> tuple[int, int]:
    """Return the bytes acknowledged and received, of Linux' ``struct tcp_info``."""
    with _borrowed(fd) as sock:
        if sock is None or not hasattr(socket, "TCP_INFO"):
            return 0, 0
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO)
        return struct.unpack_from("QQ", info, _INFO - 16) if len(info) == _INFO else (0, 0)


def _shown(fd: int) -> str:
    with _borrowed(fd) as sock:
        if sock is None:
            return f"descriptor {fd}, a pipe" if _pipe(fd) else f"descriptor {fd}"
        _, peer = _names(sock)
        return f"descriptor {fd}, a socket " + (f"connected to {peer!r}" if peer else "that is being connected")


def _awaited_processes(loop: asyncio.AbstractEventLoop) -> set[Any]:
    """Return the transports of the child processes whose end some task waits for."""
    return {
        frame.f_locals["self"]._transport
        for task in tasks_of(loop)
        for _, frame in frames_of(task.get_coro())
        if frame.f_code in _WAITING
    }
