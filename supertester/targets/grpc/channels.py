"""Channels to gRPC servers that end with the test, share no connections, and say so when they are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from inspect import isawaitable
from types import TracebackType
from typing import Any, Final, Self

from supertester.context import current_context
from supertester.targets.grpc import forks, packages
from supertester.targets.grpc.address import address_of

__all__ = ["GrpcAioChannel", "GrpcChannel", "GrpcChannels", "grpc_aio_channel", "grpc_channel"]

_METHODS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def grpc_channel(
    target: Any, *, options: Iterable[tuple[str, Any]] = (), interceptors: Sequence[Any] = ()
) -> GrpcChannel:
    """Return a channel to a gRPC server; it is closed at the end of the test, or of a ``with`` block.

    It shares no connection with other channels. So when a server has been started again, also at the same address, a
    new channel reaches it at once; an old one would first wait, up to a second, before it connects again.

    Args:
        target: ``"host:port"``, a port of this machine, a pair of host and port, or what has one of these as
            ``address``, such as a network proxy.
        options: More options of the channel, such as ``("grpc.max_receive_message_length", 1 << 20)``.
        interceptors: Interceptors of the client.

    Example::

        channel = grpc_channel(port)
        stub = EchoStub(channel)  # or, without generated code: say = channel.unary_unary("/echo.Echo/Say")
    """
    grpc = packages.grpc()
    address = address_of(target)
    channel = grpc.insecure_channel(address, options=[*packages.PRIVATE, *options])
    return GrpcChannel(grpc.intercept_channel(channel, *interceptors) if interceptors else channel, address)


def grpc_aio_channel(
    target: Any, *, options: Iterable[tuple[str, Any]] = (), interceptors: Sequence[Any] = ()
) -> GrpcAioChannel:
    """Return a channel of ``grpc.aio`` to a gRPC server; otherwise as `grpc_channel`."""
    address = address_of(target)
    made = packages.aio().insecure_channel(
        address, options=[*packages.PRIVATE, *options], interceptors=list(interceptors) or None
    )
    return GrpcAioChannel(made, address)


class _Guarded:
    """A channel that says, in the way of gRPC, that it is closed.

    Attributes:
        address: Of the server.
        is_closed: Whether nothing can be called any more.
    """

    def __init__(self, channel: Any, address: str) -> None:
        self.address = address
        self.is_closed = False
        self._channel = channel
        forks.watch(self)
        context = current_context.get()
        if context is not None and not context.closed:
            context.add_cleanup(self.close)

    def close(self) -> Any:
        raise AssertionError("each kind says how it is closed")

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._channel, name)
        return self._guarded(found) if name in _METHODS else found

    def _guarded(self, make: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: _Method(make(*args, **options), self._check, str(args[0] if args else ""))

    def _check(self, method: str) -> None:
        if self.is_closed:
            raise _closed_error()(f"the channel to {self.address} is closed, {method} cannot be called")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}, {'closed' if self.is_closed else 'open'}>"


class GrpcChannel(_Guarded):
    """A channel as `grpc_channel` returns it: that of ``grpc``, whose calls fail with ``CANCELLED`` once it is closed.

    One that was not made here raises ``ValueError`` then, which is no ``grpc.RpcError``, and escapes who expects one.
    """

    def close(self) -> None:
        """Close it; calls under way end with ``CANCELLED``. Later calls do nothing."""
        self.is_closed = True
        self._channel.close()  # Which does nothing the second time.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class GrpcAioChannel(_Guarded):
    """A channel as `grpc_aio_channel` returns it: that of ``grpc.aio``, whose calls fail likewise."""

    async def close(self, grace: float | None = None) -> None:
        """Close it; calls under way have *grace* seconds to end. Later calls do nothing."""
        self.is_closed = True
        await self._channel.close(grace)  # Which does nothing the second time.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Method:
    """A method of a server, to be called unless the channel is closed."""

    def __init__(self, method: Any, check: Callable[[str], None], name: str) -> None:
        self._method, self._check, self._name = method, check, name

    def __call__(self, *args: Any, **options: Any) -> Any:
        self._check(self._name)
        return self._method(*args, **options)

    def with_call(self, *args: Any, **options: Any) -> Any:
        self._check(self._name)
        return self._method.with_call(*args, **options)

    def future(self, *args: Any, **options: Any) -> Any:
        self._check(self._name)
        return self._method.future(*args, **options)


def _closed_error() -> type[Exception]:
    """Return the error of a call through a closed channel, a ``grpc.RpcError``; only who has ``grpc`` can have it."""
    if not _errors:
        grpc = packages.grpc()

        class ChannelClosed(grpc.RpcError):  # type: ignore[misc, name-defined]
            """A call through a channel that is closed; its code is that of calls which were under way then."""

            def code(self) -> Any:
                return grpc.StatusCode.CANCELLED

            def details(self) -> str:
                return str(self)

        _errors.append(ChannelClosed)
    return _errors[0]


_errors: list[type[Exception]] = []


class GrpcChannels:
    """One channel to each of several workers, and a new one when a worker has a successor.

    A worker is what has an ``id`` and a ``generation``, of its own or as its ``identity``. The channel to a former
    generation is closed: whoever still uses it is told so, instead of talking to nobody, or to a stranger.

    Args:
        dial: Returns the address of a worker; by default its ``address``.
        make: Makes the channels: `grpc_channel` or `grpc_aio_channel`.

    Example::

        channels = GrpcChannels(lambda worker: worker.port)
        channels.to(worker).unary_unary("/pool.Worker/Execute")(request)
    """

    def __init__(self, dial: Callable[[Any], Any] = address_of, make: Callable[[Any], Any] = grpc_channel) -> None:
        self._dial = dial
        self._make = make
        self._channels: dict[Any, tuple[Any, Any]] = {}
        self._closing: set[asyncio.Future[Any]] = set()

    def to(self, worker: Any) -> Any:
        """Return the channel to *worker*; the same one for the same generation."""
        identity = getattr(worker, "identity", worker)
        generation, channel = self._channels.get(identity.id, (None, None))
        if channel is None or generation != identity.generation:
            self.forget(identity.id)
            channel = self._make(self._dial(worker))
            self._channels[identity.id] = identity.generation, channel
        return channel

    def forget(self, worker_id: Any) -> None:
        """Close the channel to the worker with this id, if there is one."""
        _, channel = self._channels.pop(worker_id, (None, None))
        if channel is None:
            return
        channel.is_closed = True
        closing = channel.close()
        if isawaitable(closing):
            task = asyncio.ensure_future(closing)
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
