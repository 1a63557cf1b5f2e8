"""A gRPC server in the process of the test, of plain functions, with a health service that says what it is told."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

from supertester._core.counts import checked_count
from supertester._core.evidence import shown
from supertester._core.naming import describe
from supertester._core.origin import transparent
from supertester.context import current_context
from supertester.errors import StartFailed, UsageError
from supertester.targets.exclusive import can_bind
from supertester.targets.grpc import forks, packages

__all__ = ["GrpcHealth", "GrpcServer", "grpc_server"]

_EXCLUSIVE: Final = ("grpc.so_reuseport", 0)
"""An option of servers; without it two of them can have one port, without an error, and each gets some of the calls."""


@transparent  # What runs in its threads is the test's: one that does not come back has to be told.
def grpc_server(
    methods: Mapping[str, Any],
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    workers: int = 8,
    options: Iterable[tuple[str, Any]] = (),
    interceptors: Iterable[Any] = (),
) -> GrpcServer:
    r"""Start a gRPC server in this process, and return it; it ends with the test, or with a ``with`` block.

    No generated code is needed: requests and responses are bytes. It has a health service, which says that all is
    being served until it is told otherwise. Its port is its own: a second server on it fails. Its threads end with it;
    a function that does not return by then fails the test.

    Args:
        methods: For each method, such as ``"/echo.Echo/Say"``, a function of the request and the context that returns
            the response; or a generator function that yields a stream of them; or a handler of ``grpc``, for whatever
            else there is. A response that is not bytes fails the call with ``INTERNAL``.
        port: 0 lets the system choose one.
        host: The address to listen on.
        workers: Threads, that is how many calls may be handled at once.
        options: More options of the server.
        interceptors: Interceptors of the server.

    Raises:
        StartFailed: The port is in use.
        UsageError: A method's name is not of the form ``/service/method``.

    Example::

        server = grpc_server({"/echo.Echo/Say": lambda request, context: request})
        assert grpc_channel(server).unary_unary("/echo.Echo/Say")(b"hello") == b"hello"
    """
    grpc = packages.grpc()
    checked_count("workers", workers)
    handlers = _handlers(grpc, methods)
    if port and not can_bind(host, port, shared=False):  # gRPC would say so as well, but also write to our errors.
        raise StartFailed(f"port {port} of {host} is in use", kind="gRPC server")
    threads = ThreadPoolExecutor(workers, thread_name_prefix="supertester-grpc")
    made = grpc.server(threads, options=[_EXCLUSIVE, *options], interceptors=list(interceptors))
    made.add_generic_rpc_handlers(handlers)
    servicer = packages.health().HealthServicer()
    packages.health_stubs().add_HealthServicer_to_server(servicer, made)
    try:
        number = made.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise StartFailed(f"port {port} of {host} cannot be had: {error}", kind="gRPC server") from None
    made.start()
    return GrpcServer(made, threads, (host, number), GrpcHealth(servicer, _services(methods)))


def _services(methods: Iterable[str]) -> set[str]:
    return {name.split("/")[1] for name in methods}


def _handlers(grpc: Any, methods: Mapping[str, Any]) -> list[Any]:
    grouped: dict[str, dict[str, Any]] = {}
    for name, function in methods.items():
        parts = name.split("/")
        if len(parts) != 3 or parts[0] or not (parts[1] and parts[2]):
            raise UsageError(f"a method must be named like '/echo.Echo/Say', got {name!r}")
        grouped.setdefault(parts[1], {})[parts[2]] = _handler(grpc, name, function)
    return [grpc.method_handlers_generic_handler(service, handlers) for service, handlers in grouped.items()]


def _handler(grpc: Any, name: str, function: Any) -> Any:
    if hasattr(function, "request_streaming"):
        return function
    if not callable(function) or inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} must be a plain function of (request, context), got {describe(function)}")
    if inspect.isgeneratorfunction(function):
        return grpc.unary_stream_rpc_method_handler(_each_of_bytes(grpc, name, function))
    return grpc.unary_unary_rpc_method_handler(_of_bytes(grpc, name, function))


def _of_bytes(grpc: Any, name: str, function: Any) -> Any:
    def responding(request: Any, context: Any) -> Any:
        response = function(request, context)
        if response is None and context.code() is not None:
            return None  # It has said by the status that there is no response.
        return _checked(grpc, context, f"{name} must return bytes, or be a generator function for a stream", response)

    return responding


def _each_of_bytes(grpc: Any, name: str, function: Any) -> Any:
    def responding(request: Any, context: Any) -> Any:
        for response in function(request, context):
            yield _checked(grpc, context, f"{name} must yield bytes", response)

    return responding


def _checked(grpc: Any, context: Any, rule: str, response: Any) -> bytes:
    """Return *response*, or fail the call, which gRPC itself would leave unanswered; a None would end a stream well."""
    if not isinstance(response, bytes):
        context.abort(grpc.StatusCode.INTERNAL, f"{rule}; got {shown(response)}")  # It raises.
    return bytes(response)  # gRPC takes no class that is derived from it.


class GrpcHealth:
    """What the health service of a test's server says.

    It can be used with any server in this process: ``GrpcHealth.of(server)`` adds a health service to one of ``grpc``
    that has not started.
    """

    def __init__(self, servicer: Any, services: Iterable[str] = ()) -> None:
        self._servicer = servicer
        self._services = {"", *services}
        self.serving()

    @classmethod
    def of(cls, server: Any, *services: str) -> Self:
        """Add a health service to *server*, which says of it and its *services* that they are being served."""
        servicer = packages.health().HealthServicer()
        packages.health_stubs().add_HealthServicer_to_server(servicer, server)
        return cls(servicer, services)

    def serving(self, service: str | None = None) -> None:
        """Say that *service* is being served, or all of them are."""
        self._say("SERVING", service)

    def not_serving(self, service: str | None = None) -> None:
        """Say that *service* is not being served, or none of them is."""
        self._say("NOT_SERVING", service)

    def _say(self, status: str, service: str | None) -> None:
        if service is not None:
            self._services.add(service)
        value = packages.health_messages().HealthCheckResponse.ServingStatus.Value(status)
        for each in self._services if service is None else [service]:
            self._servicer.set(each, value)


class GrpcServer:
    """A server that runs; see `grpc_server`.

    Attributes:
        address: Its host and port.
        health: What it says of its health.
        is_closed: Whether it has been stopped.
    """

    def __init__(self, server: Any, threads: ThreadPoolExecutor, address: tuple[str, int], health: GrpcHealth) -> None:
        self.address = address
        self.health = health
        self.is_closed = False
        self._server = server
        self._threads = threads
        forks.watch(self)
        context = current_context.get()
        if context is not None and not context.closed:
            context.add_cleanup(self.stop)

    @property
    def port(self) -> int:
        """The number of its port."""
        return self.address[1]

    async def stop(self, grace: float = 0.0) -> None:
        """Stop it; calls under way have *grace* seconds to end. Later calls do nothing."""
        if not self.is_closed:
            self.is_closed = True
            await asyncio.to_thread(self._end, grace)

    def _end(self, grace: float) -> None:
        self._server.stop(grace).wait()
        self._threads.shutdown(wait=False, cancel_futures=True)  # gRPC leaves that to whoever made them.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_closed = True
        self._end(0.0)

    def __repr__(self) -> str:
        return f"<GrpcServer {self.address[0]}:{self.port}, {'stopped' if self.is_closed else 'running'}>"
