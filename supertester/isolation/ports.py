"""`Ports`: port numbers that nobody else has, held by a socket until somebody takes them over.

To ask for a free port, close it, and let a server bind it later is a race: in between, anybody may be given the same
number. Here the socket that has the number stays open. A server in this process is given the socket, a child process
its descriptor. Only where nothing but a number will do is the socket closed, in a way that keeps others away.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final

from supertester.errors import Unsupported, UsageError
from supertester.isolation.port_registry import PortRegistry

__all__ = ["Ports", "ReservedPort", "enter_ports"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_POSIX: Final = os.name == "posix"
"""Elsewhere ``SO_REUSEADDR`` lets others take a port that is in use."""
_HANDSHAKE: Final = 5.0
"""Seconds that a connection of this process with itself may take."""


class ReservedPort:
    """A port that nobody else is given, until the end of the test.

    Attributes:
        number: Of the port.
        host: The address that it is reserved on.
        kind: ``"tcp"`` or ``"udp"``.
    """

    def __init__(self, held: socket.socket, host: str, kind: str, registry: PortRegistry) -> None:
        self.host = host
        self.kind = kind
        self.number: int = held.getsockname()[1]
        self._held = held
        self._registry = registry
        self._promise: str | None = None
        self._closed = False

    @property
    def address(self) -> tuple[str, int]:
        """``(host, number)``, as ``connect`` takes it."""
        return self.host, self.number

    @property
    def socket(self) -> socket.socket:
        """The bound socket, for a server that takes one: ``await asyncio.start_server(handle, sock=port.socket)``.

        For TCP it does not listen yet. A server that is closed closes it, too.

        Raises:
            UsageError: It has been given up.
        """
        if self._closed:
            raise UsageError(f"the socket of port {self.number} has been given up; reserve another port")
        if self.kind == "tcp" and _POSIX:
            # So that a server can be started again on this number, although connections to the first have only ended.
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return self._held

    def fileno(self) -> int:
        """Return the descriptor of the socket, for a child process: ``Popen(..., pass_fds=[port.fileno()])``.

        The child makes a socket of it with ``socket.socket(fileno=number)``. Once it has started, `close` lets the
        child be the only one that has it.
        """
        return self.socket.fileno()

    def close(self) -> None:
        """Close the socket of this process. Who has been given it goes on; nobody else is told."""
        self._closed = True
        self._held.close()

    def release_to(self, *, time_wait: bool = True) -> int:
        """Give up the socket and return the number, for a child or server that takes nothing but a number.

        Until the end of the test no other test and no other process that uses this library is given the number. For
        TCP the operating system does not give it to anybody else either, for about a minute: a connection to it has
        just ended (state ``TIME_WAIT``). Servers set ``SO_REUSEADDR`` to be started nevertheless; for one that does
        not, pass ``time_wait=False``. For UDP there is no such state.

        Raises:
            UsageError: The package ``filelock`` is not installed; the extra ``ports`` brings it.
            TimeoutError: Another process holds the lock of the list of such numbers.

        Example::

            port = self.ports.reserve()
            server = subprocess.Popen([sys.executable, "-m", "http.server", str(port.release_to())])
        """
        if self._promise is None:
            # Before the number is free, so that whoever gets it from now on finds it here.
            self._promise = self._registry.add(self.kind, self.number)
            if time_wait and _POSIX and self.kind == "tcp" and not self._closed and not _is_in_use(self._held):
                _end_a_connection(self._held)
            self.close()
        return self.number

    def __enter__(self) -> ReservedPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "given away" if self._promise is not None else "closed" if self._closed else "held"
        return f"<ReservedPort {self.kind} {self.host} {self.number} ({state})>"


class Ports:
    """The ports of one test; ``self.ports``."""

    _most = 1000
    """Ports that one test may reserve."""
    _attempts = 1000
    """Numbers that are looked at before giving up; each is one that somebody else was promised."""

    def __init__(self, registry: PortRegistry | None = None) -> None:
        self._registry = registry or PortRegistry()
        self._reserved: list[ReservedPort] = []
        self._closed = False

    def reserve(self, host: str = "127.0.0.1", *, kind: str = "tcp") -> ReservedPort:
        """Return a port that nobody else has, held by a socket; it is released at the end of the test.

        Args:
            host: An address of this machine, IPv4 or IPv6, or ``"localhost"``, which stands for ``"127.0.0.1"``.
            kind: ``"tcp"`` or ``"udp"``.

        Raises:
            TypeError: *host* is no string.
            UsageError: There is no such kind, *host* is no address, the test has reserved 1000 ports, or it has ended.
            Unsupported: This machine has no such address.
            OSError: The operating system has no port left.

        Example::

            port = self.ports.reserve()
            server = await asyncio.start_server(handle, sock=port.socket)
            reader, writer = await asyncio.open_connection(*port.address)
        """
        if kind not in _KINDS:
            raise UsageError(f"kind must be one of {', '.join(_KINDS)}, got kind={kind!r}")
        if self._closed:
            raise UsageError("the test has ended, and nothing would release a port that is reserved now")
        if len(self._reserved) >= self._most:
            raise UsageError(f"this test has reserved {self._most} ports; use one of them again")
        address = _checked_host(host)
        port = ReservedPort(self._bind(address, kind), str(address), kind, self._registry)
        self._reserved.append(port)
        return port

    def _bind(self, address: _Address, kind: str) -> socket.socket:
        refused: list[socket.socket] = []  # Kept open meanwhile, or the same numbers would come again.
        try:
            for _ in range(self._attempts):
                found = self._bound(address, kind)
                if not self._registry.holds(kind, found.getsockname()[1]):
                    return found
                refused.append(found)
        finally:
            for each in refused:
                each.close()
        raise OSError(
            f"{self._attempts} ports in a row were promised to others; are there processes left from other tests?"
        )

    def _bound(self, address: _Address, kind: str) -> socket.socket:
        return _bound(address, kind, socket.socket)

    def close(self) -> None:
        """Release everything; nothing can be reserved any more."""
        self._closed = True
        promises = {port._promise for port in self._reserved if port._promise is not None}
        for port in self._reserved:
            port.close()
        self._reserved.clear()
        self._registry.remove(promises)


def _checked_host(host: str) -> _Address:
    if not isinstance(host, str):  # A number would be taken for an address.
        raise TypeError(f"host must be a string such as '127.0.0.1', got host={host!r}; the system chooses the number")
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise UsageError(
            f"host must be an address of this machine such as '127.0.0.1' or '::1', got host={host!r}"
        ) from None


def _bound(address: _Address, kind: str, make: Callable[..., socket.socket]) -> socket.socket:
    """Return a new socket with a number of the operating system's choice.

    It has no ``SO_REUSEADDR``: with that, another socket that has it could be bound to the same number.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    made: socket.socket | None = None
    try:
        made = make(family, _KINDS[kind])
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((str(address), 0))
    except OSError as error:
        if made is not None:
            made.close()
        if error.errno in _NO_SUCH_ADDRESS:
            raise Unsupported(f"this machine has no address {str(address)!r}: {error.strerror}") from error
        raise
    return made


def _is_in_use(held: socket.socket) -> bool:
    """Say whether somebody has made a server of the socket, or closed it."""
    return held.fileno() == -1 or bool(held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _end_a_connection(held: socket.socket) -> None:
    """Leave the number of *held* in the state ``TIME_WAIT``: connect to it, and be the side that hangs up first.

    The idea is that of the package ``ephemeral-port-reserve``; the state is described in RFC 9293, section 3.3.2.
    """
    host, number = held.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1" if held.family == socket.AF_INET else "::1"
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # The ended connection inherits it.
    held.settimeout(_HANDSHAKE)
    held.listen(1)
    with suppress(OSError), socket.create_connection((host, number), timeout=_HANDSHAKE):
        held.accept()[0].close()
    with suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)  # A child that was forked meanwhile would go on listening.


@contextmanager
def enter_ports() -> Iterator[Ports]:
    """Make the `Ports` of a test, and release them at its end."""
    ports = Ports()
    try:
        yield ports
    finally:
        ports.close()
