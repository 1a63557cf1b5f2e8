"""Whether a gRPC server is ready: not that its port can be reached, but that its health service says so, in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from supertester._core.mismatch import Mismatch
from supertester._core.waiting import checked_seconds, wait_until
from supertester.errors import StartFailed
from supertester.targets.grpc import packages
from supertester.targets.grpc.address import address_of

if TYPE_CHECKING:
    from supertester.targets.external import ExternalProcess

__all__ = ["Health", "check_grpc_ready", "probe_grpc_health", "wait_for_grpc_ready"]

_LOOK: Final = 1.0
"""Seconds that one look may take while waiting: a server may freeze between two of them."""
_MEANING: Final = {
    "UNAVAILABLE": "it cannot be reached, or is no gRPC server",
    "DEADLINE_EXCEEDED": "it does not answer: it hangs, is suspended, or is no gRPC server",
    "UNIMPLEMENTED": "it has no health service",
    "NOT_FOUND": "its health service does not know the service",
}


@dataclass(frozen=True)
class Health:
    """What a server answered when it was asked about its health.

    Attributes:
        address: Of the server.
        service: What was asked about; ``""`` is the server as a whole.
        status: ``"SERVING"``, ``"NOT_SERVING"``, ``"UNKNOWN"`` or ``"SERVICE_UNKNOWN"``; ``None``: it did not answer.
        code: The status of the call, such as ``"OK"`` or ``"UNAVAILABLE"``.
        details: What else the call tells.

    >>> print(Health("127.0.0.1:1", "", "NOT_SERVING", "OK", ""))
    127.0.0.1:1 is NOT_SERVING
    """

    address: str
    service: str
    status: str | None
    code: str
    details: str

    @property
    def is_ready(self) -> bool:
        """Whether it is serving."""
        return self.status == "SERVING"

    def __bool__(self) -> bool:
        """Be true if it is serving, as probes are expected to."""
        return self.is_ready

    def __str__(self) -> str:
        what = f"{self.service!r} of {self.address}" if self.service else self.address
        if self.status is not None:
            return f"{what} is {self.status}"
        meaning = _MEANING.get(self.code, "the call failed")
        return f"{what} gave no answer: {meaning} ({self.code}: {self.details})"


async def probe_grpc_health(target: Any, *, service: str = "", timeout: float = 2.0) -> Health:
    """Ask a server about its health over a connection of its own, and return what it answered.

    Args:
        target: The server's address, see `grpc_channel`.
        service: What to ask about; ``""`` is the server as a whole.
        timeout: Seconds.
    """
    grpc, messages = packages.grpc(), packages.health_messages()
    address = address_of(target)
    checked_seconds("timeout", timeout)
    with closing(grpc.insecure_channel(address, options=packages.PRIVATE)) as channel:
        stub = packages.health_stubs().HealthStub(channel)
        call = stub.Check.future(messages.HealthCheckRequest(service=service), timeout=timeout)
        try:
            await _done(call.add_done_callback)
        finally:
            call.cancel()
        code, details = call.code().name, str(call.details() or "")
        status = None
        if code == "OK":
            status = messages.HealthCheckResponse.ServingStatus.Name(call.result().status)
    return Health(address, service, status, code, details)


async def _done(add_callback: Callable[[Callable[[object], None]], object]) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    def tell(_: object) -> None:  # In a thread of gRPC.
        with suppress(RuntimeError):  # The loop is closed: nobody waits.
            loop.call_soon_threadsafe(finish)

    add_callback(tell)
    await done


async def check_grpc_ready(target: Any, *, service: str = "", timeout: float = 2.0) -> Mismatch | None:
    """Say why a gRPC server is not ready, or return ``None`` if its health service says that it is serving.

    A port that can be connected to is not enough: that of a server that has frozen can be, too.

    Args:
        target: The server's address, see `grpc_channel`.
        service: What it has to serve; ``""`` is the server as a whole.
        timeout: Seconds in which it has to answer.
    """
    found = await probe_grpc_health(target, service=service, timeout=timeout)
    return None if found.is_ready else Mismatch(f"the gRPC server is not ready: {found}")


async def wait_for_grpc_ready(
    target: Any, *, service: str = "", timeout: float = 10.0, process: ExternalProcess | None = None
) -> Health:
    """Wait until the health service of a gRPC server says that it is serving.

    Args:
        target: The server's address, see `grpc_channel`.
        service: What it has to serve; ``""`` is the server as a whole.
        timeout: Seconds.
        process: The program that is the server; if that ends, nobody waits on.

    Raises:
        WaitTimeout: It is not ready in time; the message says what it answered last.
        StartFailed: The program has ended.

    Example::

        server = await start_process([sys.executable, "server.py", str(port.release_to())])
        await wait_for_grpc_ready(port, process=server)
    """
    address = address_of(target)
    seen: list[Health] = []

    async def look() -> Health:
        if process is not None and not process.is_alive():
            raise StartFailed(
                f"it ended with {process.outcome} before it was ready\n{process.report()}",
                kind="program",
                name=process.name,
            )
        seen[:] = [await probe_grpc_health(address, service=service, timeout=min(_LOOK, max(timeout, 0.1)))]
        return seen[0]

    what = f"{service!r} of the gRPC server" if service else "the gRPC server"
    return await wait_until(
        look,
        f"{what} at {address} to be ready",
        timeout=timeout,
        seen=lambda: seen[0] if seen else "nothing, it has not answered",
    )
