"""`ServiceAssertions`: what a test of services, spoken to over pipes or by gRPC, calls on ``self``.

Each method is a thin cover for the function of the same name, with ``check`` for ``assert``, in `supertester.targets`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from supertester import targets
from supertester._core.mismatch import Mismatch
from supertester.targets.grpc.statuses import is_closed_channel, status_name, status_of

if TYPE_CHECKING:
    from unittest import TestCase as _Host
else:
    _Host = object

__all__ = ["CaughtRpcError", "ServiceAssertions"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


class CaughtRpcError:
    """What `ServiceAssertions.assert_rpc_error` has caught.

    Attributes:
        error: The error, once the block has ended.
    """

    error: Any = None


class ServiceAssertions(_Host):
    """Assertions on real services, as a mixin for `IsolatedTestCase` or any ``unittest`` case with async tests.

    Example::

        class BridgeTest(ServiceAssertions, IsolatedTestCase):
            async def test_many_callers(self) -> None:
                mock = MockPort()
                client = PortClient(*mock.pipes())
                await self.assert_correlated(client, 500, mock=mock)
    """

    def __fail_for(self, mismatch: Mismatch | None, msg: str | None) -> None:
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))

    async def assert_correlated(
        self,
        port: Any,
        count: int = 10,
        *,
        mock: targets.MockPort | None = None,
        shuffle: bool = True,
        command: str = "echo",
        timeout: float = 30.0,
        msg: str | None = None,
    ) -> None:
        """Fail if one of *count* concurrent callers is not given its own answer; see `check_correlated`."""
        found = await targets.check_correlated(
            port, count, mock=mock, shuffle=shuffle, command=command, timeout=timeout
        )
        self.__fail_for(found, msg)

    async def assert_no_orphans(self, mark: str, *, within: float = 1.0, msg: str | None = None) -> None:
        """Fail if processes with *mark* in their arguments or environment are left; see `check_no_orphans`."""
        self.__fail_for(await targets.check_no_orphans(mark, within=within), msg)

    # gRPC --------------------------------------------------------------------------------------------------------

    def grpc_channel(self, target: Any, **options: Any) -> targets.GrpcChannel:
        """Return a channel that is closed at the end of the test; see `supertester.targets.grpc_channel`."""
        return targets.grpc_channel(target, **options)

    def grpc_aio_channel(self, target: Any, **options: Any) -> targets.GrpcAioChannel:
        """Return a channel of ``grpc.aio`` that is closed at the end of the test."""
        return targets.grpc_aio_channel(target, **options)

    async def wait_for_grpc_ready(
        self,
        target: Any,
        *,
        service: str = "",
        timeout: float = 10.0,
        process: targets.ExternalProcess | None = None,
    ) -> targets.Health:
        """Wait until a gRPC server says that it is serving; see `supertester.targets.wait_for_grpc_ready`."""
        return await targets.wait_for_grpc_ready(target, service=service, timeout=timeout, process=process)

    async def assert_grpc_ready(
        self, target: Any, *, service: str = "", timeout: float = 2.0, msg: str | None = None
    ) -> None:
        """Fail unless a gRPC server says in time that it is serving; see `supertester.targets.check_grpc_ready`."""
        self.__fail_for(await targets.check_grpc_ready(target, service=service, timeout=timeout), msg)

    @contextmanager
    def assert_rpc_error(
        self, status: Any, *, details: str | None = None, msg: str | None = None
    ) -> Iterator[CaughtRpcError]:
        """Fail unless the body, a ``with`` block, fails with a status of gRPC.

        Args:
            status: A ``grpc.StatusCode``, or its name.
            details: A regular expression that is to be found in the details of the error.
            msg: More for the message.

        Yields:
            What has the error, as ``error``, after the block.
        """
        status_name(status)  # One that does not exist is refused before anything is called.
        caught = CaughtRpcError()
        try:
            yield caught
        except Exception as error:
            caught.error = error
            if status_of(error) is None and not is_closed_channel(error):
                raise
        self.__fail_for(targets.check_rpc_error(caught.error, status, details=details), msg)

    # Streams and ports -------------------------------------------------------------------------------------------

    async def assert_streaming_response(
        self,
        stream: Any,
        expected_chunks: Sequence[Any],
        *,
        chunk_timeout: float = 5.0,
        ends_with: Any = None,
        after_each: Callable[[int], Any] | None = None,
        min_gap: float = 0.0,
        key: Callable[[Any], Any] | None = None,
        msg: str | None = None,
    ) -> None:
        """Fail unless *stream* yields exactly these chunks; see `supertester.targets.check_streaming_response`."""
        found = await targets.check_streaming_response(
            stream,
            expected_chunks,
            chunk_timeout=chunk_timeout,
            ends_with=ends_with,
            after_each=after_each,
            min_gap=min_gap,
            key=key,
        )
        self.__fail_for(found, msg)

    def assert_port_exclusive(self, port: int, host: str = "127.0.0.1", *, msg: str | None = None) -> None:
        """Fail unless exactly one server can have a port; see `supertester.targets.check_port_exclusive`."""
        self.__fail_for(targets.check_port_exclusive(port, host), msg)

    async def assert_all_sessions_ended(
        self, sessions: targets.Sessions, *, msg: str | None = None
    ) -> targets.SessionsReport:
        """End all sessions of the test, fail if one cannot be ended or the server has more than before; see `Sessions`.

        Returns:
            How they ended: a session that was lost with its worker is no failure.
        """
        report = await sessions.end_all()
        self.__fail_for(report.check(), msg)
        return report
