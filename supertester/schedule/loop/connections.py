"""Connections and servers of an explored program, in memory."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from asyncio.base_events import Server
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final

from supertester.errors import UsageError
from supertester.schedule.loop.callbacks import Callbacks
from supertester.schedule.loop.escapes import refusal
from supertester.schedule.streams import Address, MemorySocket, MemoryTransport, connect

__all__ = ["Connections"]

_EVERYWHERE: Final = "0.0.0.0"
_HERE: Final = "127.0.0.1"
_FIRST_PORT: Final = 49152
_BACKLOG: Final = 100


@dataclass(eq=False)
class _Listener:
    """A server that takes connections at one address."""

    factory: Callable[[], Any]
    server: Any
    context: Context = field(default_factory=copy_context)


@dataclass(eq=False)
class _Network:
    """What is bound to which address, and who is connected."""

    bound: set[Address] = field(default_factory=set)
    listeners: dict[Address, _Listener] = field(default_factory=dict)
    transports: list[MemoryTransport] = field(default_factory=list)
    ports: Any = field(default_factory=lambda: itertools.count(_FIRST_PORT))

    def bind(self, address: Address) -> Address:
        """Take *address*; with port 0, one that is free."""
        if isinstance(address, tuple):
            host, port = address
            while port == 0 or (address[1] == 0 and self._taken((host, port))):
                port = next(self.ports)
            address = host, port
        if self._taken(address):
            raise OSError(
                errno.EADDRINUSE, f"error while attempting to bind on address {address!r}: address already in use"
            )
        self.bound.add(address)
        return address

    def _taken(self, address: Address) -> bool:
        if isinstance(address, str):
            return address in self.bound
        host, port = address
        return any(
            not isinstance(each, str) and each[1] == port and (each[0] == host or _EVERYWHERE in {each[0], host})
            for each in self.bound
        )

    def listener_at(self, address: Address) -> _Listener | None:
        """Return who takes connections at *address*."""
        found = self.listeners.get(address)
        if found is None and isinstance(address, tuple):
            found = self.listeners.get((_EVERYWHERE, address[1]))
        return found


class Connections(Callbacks):
    """Connects protocols with each other, without a network."""

    _network: _Network | None = None

    def _in_memory(self) -> _Network:
        if self._network is None:
            self._network = _Network()
        return self._network

    # Clients ---------------------------------------------------------------------------------------------------------

    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: str | None = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect to a server of the same program, as asyncio does; it takes a step of a lane of its own.

        Raises:
            UsageError: It is to be encrypted, or a real socket; neither can be explored.
            ConnectionRefusedError: Nobody listens there.
        """
        _refuse_real("create_connection", options)
        if host is None or port is None:
            raise ValueError("host and port was not specified and no sock specified")
        return await self._connect_to(protocol_factory, (_canonical(host, _HERE), _port(port)))

    async def create_unix_connection(
        self, protocol_factory: Callable[[], Any], path: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect to a server of the same program by its path, which need not be one of the file system."""
        _refuse_real("create_unix_connection", options)
        if path is None:
            raise ValueError("no path and sock were specified")
        return await self._connect_to(protocol_factory, os.fspath(path))

    async def _connect_to(self, protocol_factory: Callable[[], Any], address: Address) -> tuple[Any, Any]:
        context = copy_context()
        connected = self.create_future()
        lane = self.new_lane("delivery")
        lane._label = f"connection to {_show(address)}"
        self.call_in(lane, self._meet, connected, address, context)
        try:
            transport: MemoryTransport = await connected
        except asyncio.CancelledError:
            if connected.done() and not connected.cancelled() and connected.exception() is None:
                connected.result().close()
            raise
        protocol = protocol_factory()
        made = self.create_future()
        self.call_soon(transport.begin, protocol)
        self.call_soon(_tell, made)
        try:
            await made
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    def _meet(self, connected: asyncio.Future[Any], address: Address, context: Context) -> None:
        """Connect both sides, or say that there is no other side."""
        if connected.done():
            return
        network = self._in_memory()
        listener = network.listener_at(address)
        if listener is None:
            connected.set_exception(_refused(address))
            return
        own: Address = "" if isinstance(address, str) else (_HERE, next(network.ports))
        lanes = self.new_lane("delivery"), self.new_lane("delivery")
        number = len(network.transports) // 2 + 1
        lanes[0]._label = f"{_show(address)} -> client {number}"
        lanes[1]._label = f"client {number} -> {_show(address)}"
        client, served = connect(self, (own, address), lanes, (context, listener.context), len(network.transports))
        network.transports += client, served
        self.call_in(lanes[1], self._accept, listener, served, context=listener.context)
        connected.set_result(client)

    def _accept(self, listener: _Listener, served: MemoryTransport) -> None:
        if listener not in self._in_memory().listeners.values():
            served.reset()
            return
        try:
            served.begin(listener.factory(), listener.server)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 as asyncio does
            message = "Error on transport creation for incoming connection"
            self.call_exception_handler({"message": message, "exception": error, "transport": served})
            served.close()

    # Servers ---------------------------------------------------------------------------------------------------------

    async def create_server(
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any
    ) -> Server:
        """Serve clients of the same program, as asyncio does, at an address that only this program has.

        Raises:
            UsageError: It is to be encrypted, or a real socket; neither can be explored.
            OSError: Another server of the program has the address.
        """
        _refuse_real("create_server", options)
        if host is None and port is None:
            raise ValueError("Neither host/port nor sock were specified")
        hosts = [host] if host is None or isinstance(host, str) else list(host)
        addresses = [(_canonical(each, _EVERYWHERE), _port(port or 0)) for each in hosts]
        return await self._serve(protocol_factory, addresses, options)

    async def create_unix_server(self, protocol_factory: Callable[[], Any], path: Any = None, **options: Any) -> Server:
        """Serve clients of the same program at a path, which need not be one of the file system."""
        _refuse_real("create_unix_server", options)
        if path is None:
            raise ValueError("path was not specified, and no sock specified")
        return await self._serve(protocol_factory, [os.fspath(path)], options)

    async def _serve(
        self, protocol_factory: Callable[[], Any], addresses: Iterable[Address], options: dict[str, Any]
    ) -> Server:
        network = self._in_memory()
        sockets: Any = [MemorySocket(network.bind(address)) for address in addresses]
        backlog = options.get("backlog", _BACKLOG)
        server = Server(self, sockets, protocol_factory, None, backlog, None, None)
        if options.get("start_serving", True):
            server._start_serving()  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        return server

    def _start_serving(self, protocol_factory: Callable[[], Any], sock: MemorySocket, *options: Any) -> None:
        """Be what asyncio's servers call for each of their sockets."""
        _, server, *_ = options
        self._in_memory().listeners[sock.getsockname()] = _Listener(protocol_factory, server)

    def _stop_serving(self, sock: MemorySocket) -> None:
        network = self._in_memory()
        network.listeners.pop(sock.getsockname(), None)
        network.bound.discard(sock.getsockname())


def _refuse_real(name: str, options: dict[str, Any]) -> None:
    if options.get("ssl"):
        raise refusal(f"loop.{name}(ssl=...)", "explore the program without encryption: leave ssl out")
    if options.get("sock") is not None:
        raise refusal(f"loop.{name}(sock=...)", "give an address instead of a real socket, and it stays in memory")


def _canonical(host: Any, default: str) -> str:
    if host in {None, "", "0.0.0.0", "::"}:
        return default
    return _HERE if host in {"localhost", "::1"} else str(host)


def _port(port: Any) -> int:
    try:
        number = int(port)
    except (TypeError, ValueError):
        raise UsageError(f"an explored program needs the number of a port, got port={port!r}") from None
    if not 0 <= number <= 65535:
        raise OverflowError(f"port must be 0-65535, got {number}")
    return number


def _show(address: Address) -> str:
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"


def _refused(address: Address) -> OSError:
    if isinstance(address, str):
        return FileNotFoundError(errno.ENOENT, "No such file or directory", address)
    return ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {address!r}")


def _tell(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
