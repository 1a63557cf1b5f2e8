"""`OTPAssertions`: what a test of servers and supervisors calls on ``self``.

Each method is a thin cover for the function of the same name in `supertester.processes`, `supertester.servers`,
`supertester.supervision`, `supertester.tracing`, `supertester.leaks` or `supertester.performance`, where it is
described in full; an ``assert_...`` fails the test with what the function ``check_...`` found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, overload

from supertester import leaks, performance, processes, servers, supervision, tracing
from supertester._core.mismatch import Mismatch
from supertester._core.outcome import Outcome
from supertester.otp import idle
from supertester.otp.pid import Pid
from supertester.otp.reasons import KILL
from supertester.otp.refs import Reference
from supertester.servers import SYNC
from supertester.targets.target import Target

if TYPE_CHECKING:
    from unittest import TestCase as _Host
else:
    _Host = object

__all__ = ["OTPAssertions"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


class OTPAssertions(_Host):
    """Helpers and assertions for processes, servers and supervisors.

    A mixin for `IsolatedTestCase`, or for any other ``unittest`` case with async tests. It has no state. Every helper
    that touches a process is awaited. No helper disturbs what it looks at; those that do something to it say so. A
    process is given as its pid, its registered name, or a function without arguments that returns one. Times are
    seconds on the runtime's clock; with 0 it is looked at once.

    Example::

        class CounterTest(OTPAssertions, IsolatedTestCase):
            async def test_adds(self) -> None:
                counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
                await self.cast_and_sync(counter, ("add", 1))
                await self.assert_genserver_state(counter, {"count": 6})
    """

    def __fail_for(self, mismatch: Mismatch | None, msg: str | None) -> None:
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))

    # Waiting -----------------------------------------------------------------------------------------------------

    async def wait_for_genserver_sync(self, server: Reference, timeout: float = 1.0) -> Pid:
        """Wait until *server* has handled all it was sent; see `supertester.servers.wait_for_genserver_sync`."""
        return await servers.wait_for_genserver_sync(server, timeout)

    @overload
    async def wait_for_process_restart(self, name: Reference, original_pid: Pid, timeout: float = 1.0) -> Pid: ...
    @overload
    async def wait_for_process_restart(self, name: Any, original_pid: Target, timeout: float = 1.0) -> Target: ...
    async def wait_for_process_restart(self, name: Any, original_pid: Any, timeout: float = 1.0) -> Pid | Target:
        """Wait for a successor of *original_pid*; see `supertester.processes.wait_for_process_restart`."""
        found: Pid | Target = await processes.wait_for_process_restart(name, original_pid, timeout)
        return found

    async def wait_for_supervisor_restart(self, supervisor: Reference, timeout: float = 1.0) -> Pid:
        """Wait until *supervisor* runs all again; see `supertester.supervision.wait_for_supervisor_restart`."""
        return await supervision.wait_for_supervisor_restart(supervisor, timeout)

    async def wait_for_process_death(self, target: Reference | Target, timeout: float = 1.0) -> Any:
        """Wait for the end and return the exit reason; see `supertester.processes.wait_for_process_death`."""
        return await processes.wait_for_process_death(target, timeout)

    async def wait_for_supervision_tree_ready(self, supervisor: Reference, timeout: float = 5.0) -> Pid:
        """Wait until all children run; see `supertester.supervision.wait_for_supervision_tree_ready`."""
        return await supervision.wait_for_supervision_tree_ready(supervisor, timeout)

    async def wait_for_supervisor_stabilization(self, supervisor: Reference, timeout: float = 5.0) -> Pid:
        """Wait until all is calm; see `supertester.supervision.wait_for_supervisor_stabilization`."""
        return await supervision.wait_for_supervisor_stabilization(supervisor, timeout)

    async def until_idle(self, *targets: Reference, timeout: float = 5.0) -> None:
        """Wait until no process, or none of *targets*, has anything to do; see `supertester.otp.until_idle`."""
        await idle.until_idle(*targets, timeout=timeout)

    # Looking and tidying up --------------------------------------------------------------------------------------

    async def get_active_child_count(self, supervisor: Reference | Target) -> int:
        """Return how many children run; see `supertester.supervision.get_active_child_count`."""
        return await supervision.get_active_child_count(supervisor)

    async def monitor_process_lifecycle(self, target: Reference | Target) -> processes.ProcessMonitor:
        """Return what gives the exit reason when awaited; see `supertester.processes.monitor_process_lifecycle`."""
        return await processes.monitor_process_lifecycle(target)

    async def cleanup_processes(self, targets: Iterable[Reference], *, timeout: float = 1.0) -> None:
        """Stop *targets*, or kill them; see `supertester.processes.cleanup_processes`."""
        await processes.cleanup_processes(targets, timeout=timeout)

    def cleanup_on_exit(self, function: Callable[[], object]) -> None:
        """Call *function* at the end of the test; see `supertester.processes.cleanup_on_exit`."""
        processes.cleanup_on_exit(function)

    # Talking to servers ------------------------------------------------------------------------------------------

    async def get_server_state_safely(self, server: Reference, timeout: float = 5.0) -> Outcome[Any]:
        """Return the state or the error; see `supertester.servers.get_server_state_safely`."""
        return await servers.get_server_state_safely(server, timeout)

    async def call_with_timeout(self, server: Reference, request: Any, timeout: float = 1.0) -> Outcome[Any]:
        """Return the reply or the error; see `supertester.servers.call_with_timeout`."""
        return await servers.call_with_timeout(server, request, timeout)

    async def cast_and_sync(
        self, server: Reference, message: Any, sync_message: Any = SYNC, *, timeout: float = 1.0
    ) -> Any:
        """Cast and wait until it is handled; see `supertester.servers.cast_and_sync`."""
        return await servers.cast_and_sync(server, message, sync_message, timeout=timeout)

    async def concurrent_calls(
        self, server: Reference, calls: Iterable[Any], count: int = 10, *, timeout: float = 5.0
    ) -> list[servers.CallResults]:
        """Make each call *count* times, all at once; see `supertester.servers.concurrent_calls`."""
        return await servers.concurrent_calls(server, calls, count, timeout=timeout)

    async def stress_test_server(
        self,
        server: Reference,
        operations: Iterable[tuple[str, Any]],
        duration_ms: float = 5000,
        *,
        workers: int = 5,
        seed: int | None = None,
    ) -> servers.StressReport:
        """Send random operations for a while; see `supertester.servers.stress_test_server`."""
        return await servers.stress_test_server(server, operations, duration_ms, workers=workers, seed=seed)

    async def probe_crash_recovery(
        self, server: Reference, reason: Any, *, timeout: float = 5.0
    ) -> servers.CrashRecovery:
        """Crash *server* and see whether it comes back; see `supertester.servers.probe_crash_recovery`."""
        return await servers.probe_crash_recovery(server, reason, timeout=timeout)

    async def probe_invalid_messages(
        self, server: Reference, messages: Iterable[Any], *, timeout: float = 1.0
    ) -> servers.InvalidMessages:
        """Call *server* with what it should refuse; see `supertester.servers.probe_invalid_messages`."""
        return await servers.probe_invalid_messages(server, messages, timeout=timeout)

    async def probe_restart_strategy(
        self,
        supervisor: Reference,
        strategy: str,
        scenario: tuple[str, Any],
        *,
        reason: Any = KILL,
        timeout: float = 5.0,
    ) -> supervision.RestartResult:
        """End children and see who comes back; see `supertester.supervision.probe_restart_strategy`."""
        return await supervision.probe_restart_strategy(supervisor, strategy, scenario, reason=reason, timeout=timeout)

    # Tracing -----------------------------------------------------------------------------------------------------

    def trace_supervision_events(self, supervisor: Reference) -> supervision.SupervisionTrace:
        """Await this, or enter it, to hear of all that happens to children; see `supertester.supervision`."""
        return supervision.trace_supervision_events(supervisor)

    async def trace_messages(
        self, target: Reference, fn: Callable[[], Any], *, timeout: float = 2.0
    ) -> tracing.MessageTrace:
        """Call *fn* and return what reached *target*; see `supertester.tracing.trace_messages`."""
        return await tracing.trace_messages(target, fn, timeout=timeout)

    def trace(self, *targets: Reference) -> tracing.MessageFlow:
        """Note all messages between *targets* while the ``with`` block runs; see `supertester.tracing.trace`."""
        return tracing.trace(*targets)

    # Assertions on processes -------------------------------------------------------------------------------------

    async def assert_process_alive(
        self, target: Reference | Target, *, within: float = 0.0, msg: str | None = None
    ) -> None:
        """Fail unless *target* is alive, or is within so many seconds."""
        self.__fail_for(await processes.check_process_alive(target, within=within), msg)

    async def assert_process_dead(
        self, target: Reference | Target, *, within: float = 0.0, msg: str | None = None
    ) -> None:
        """Fail unless *target* is dead, or is within so many seconds."""
        self.__fail_for(await processes.check_process_dead(target, within=within), msg)

    async def assert_process_restarted(
        self, name: Any, original_pid: Pid | Target, *, within: float = 0.0, msg: str | None = None
    ) -> None:
        """Fail unless *name* is another, living process than *original_pid*, or is within so many seconds."""
        self.__fail_for(await processes.check_process_restarted(name, original_pid, within=within), msg)

    async def assert_no_process_leaks(
        self, fn: Callable[[], Any], *, grace: float = 0.1, msg: str | None = None
    ) -> None:
        """Call *fn* and fail if it leaves processes running; see `supertester.leaks.watched_processes`."""
        self.__fail_for(await leaks.check_no_process_leaks(fn, grace=grace), msg)

    @asynccontextmanager
    async def no_process_leaks(
        self, *, grace: float = 0.1, msg: str | None = None
    ) -> AsyncIterator[leaks.ProcessLeaks]:
        """Fail if the body of the ``async with`` leaves processes running."""
        async with leaks.watched_processes(grace=grace) as found:
            yield found
        self.__fail_for(found.check(), msg)

    # Assertions on servers ---------------------------------------------------------------------------------------

    async def assert_genserver_state(self, server: Reference, expected: Any, *, msg: str | None = None) -> None:
        """Fail unless the state equals *expected*, or satisfies it if it is a function; shows the difference."""
        self.__fail_for(await servers.check_genserver_state(server, expected), msg)

    async def assert_genserver_responsive(
        self, server: Reference, *, timeout: float = 1.0, msg: str | None = None
    ) -> None:
        """Fail unless *server* gets through its messages in time."""
        self.__fail_for(await servers.check_genserver_responsive(server, timeout=timeout), msg)

    async def assert_genserver_handles_message(
        self, server: Reference, request: Any, expected: Any, *, timeout: float = 1.0, msg: str | None = None
    ) -> None:
        """Fail unless *server* replies *expected* to the call *request*."""
        mismatch = await servers.check_genserver_handles_message(server, request, expected, timeout=timeout)
        self.__fail_for(mismatch, msg)

    # Assertions on supervisors -----------------------------------------------------------------------------------

    async def assert_child_count(
        self, supervisor: Reference | Target, expected: int, *, msg: str | None = None
    ) -> None:
        """Fail unless *supervisor* runs exactly *expected* children."""
        self.__fail_for(await supervision.check_child_count(supervisor, expected), msg)

    async def assert_all_children_alive(self, supervisor: Reference | Target, *, msg: str | None = None) -> None:
        """Fail if a child of *supervisor* is not running."""
        self.__fail_for(await supervision.check_all_children_alive(supervisor), msg)

    async def assert_supervisor_strategy(self, supervisor: Reference, expected: str, *, msg: str | None = None) -> None:
        """Fail unless the strategy of *supervisor* is *expected*."""
        self.__fail_for(await supervision.check_supervisor_strategy(supervisor, expected), msg)

    async def assert_supervision_tree_structure(
        self, supervisor: Reference, expected: Mapping[str, Any], *, msg: str | None = None
    ) -> None:
        """Fail unless the tree is *expected*; see `supertester.supervision.check_supervision_tree_structure`."""
        self.__fail_for(await supervision.check_supervision_tree_structure(supervisor, expected), msg)

    # Assertions on anything --------------------------------------------------------------------------------------

    async def assert_eventually(self, fn: Callable[[], Any], *, within: float = 5.0, msg: str | None = None) -> None:
        """Fail unless *fn*, plain or async, comes true within so many seconds; assertions in it may fail until then."""
        self.__fail_for(await processes.check_eventually(fn, within=within), msg)

    async def assert_always(self, fn: Callable[[], Any], *, during: float, msg: str | None = None) -> None:
        """Fail if *fn*, plain or async, is found untrue during so many seconds."""
        self.__fail_for(await processes.check_always(fn, during=during), msg)

    async def assert_memory_usage_stable(
        self, fn: Callable[[], Any], tolerance: float = 0.1, *, msg: str | None = None
    ) -> None:
        """Call *fn* and fail if it keeps more than a share of *tolerance* of the program's memory."""
        self.__fail_for(await performance.check_memory_usage_stable(fn, tolerance=tolerance), msg)

    async def assert_performance_within_bounds(
        self, result: Any, expectations: Mapping[str, float], *, msg: str | None = None
    ) -> None:
        """Fail if *result* exceeds ``max_time`` or ``max_memory`` of *expectations*."""
        self.__fail_for(performance.check_performance_within_bounds(result, expectations), msg)
