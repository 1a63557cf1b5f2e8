"""`ChaosMixin`: what a test of resilience calls on ``self``.

Each method is a thin cover for the function of the same name in `supertester.chaos`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from supertester import chaos
from supertester.failpoints import Failpoints, failpoints
from supertester.otp.reasons import KILL
from supertester.otp.refs import Reference
from supertester.targets.target import Target

if TYPE_CHECKING:
    from unittest import TestCase as _Host

    from supertester.chaos.os_signals import HasPid, HasWorkers
    from supertester.otp.pid import Pid
else:
    _Host = object

__all__ = ["ChaosMixin"]

F = TypeVar("F", bound=Callable[..., Any])

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


class ChaosMixin(_Host):
    """Faults on purpose, as a mixin for `IsolatedTestCase` or any ``unittest`` case with async tests.

    Everything that chance decides comes from the test's seed, is noted in a journal, and ends with the test.

    Example::

        class PoolTest(ChaosMixin, IsolatedTestCase):
            async def test_survives_kills(self) -> None:
                pool = await self.setup_isolated_supervisor(Pool)
                await self.assert_chaos_resilient(
                    pool, lambda: self.chaos_kill_children(pool, duration_ms=100), lambda: all_workers_alive(pool)
                )
    """

    async def inject_crash(
        self,
        target: Reference | Target,
        spec: Any,
        *,
        reason: Any = "chaos_injection",
        seed: int | None = None,
        tree: bool = False,
    ) -> chaos.Injection:
        """Crash *target* now, later or perhaps; see `supertester.chaos.inject_crash`."""
        return await chaos.inject_crash(target, spec, reason=reason, seed=seed, tree=tree)

    async def chaos_kill_children(
        self,
        supervisor: Reference,
        *,
        kill_rate: float = 0.3,
        duration_ms: float = 5000,
        kill_interval_ms: float = 100,
        kill_reason: Any = KILL,
        seed: int | None = None,
        journal: Iterable[chaos.ChaosEvent] | None = None,
    ) -> chaos.ChaosReport:
        """Kill children at random for a while; see `supertester.chaos.chaos_kill_children`."""
        return await chaos.chaos_kill_children(
            supervisor,
            kill_rate=kill_rate,
            duration_ms=duration_ms,
            kill_interval_ms=kill_interval_ms,
            kill_reason=kill_reason,
            seed=seed,
            journal=journal,
        )

    def network_proxy(self, upstream_host: str, upstream_port: int, *, seed: int | None = None) -> chaos.NetworkProxy:
        """Return a TCP proxy whose network can be bad, to be awaited; see `supertester.chaos.network_proxy`."""
        return chaos.network_proxy(upstream_host, upstream_port, seed=seed)

    def add_latency(self, channel: chaos.NetworkProxy | Reference, ms: float) -> chaos.Toxic | chaos.MessageFault:
        """Let all that goes to a server arrive *ms* milliseconds late; see `supertester.chaos.add_latency`."""
        return chaos.add_latency(channel, ms)

    def drop(
        self,
        target: Reference,
        *,
        match: Any = None,
        rate: float = 1.0,
        count: int | None = None,
        seed: int | None = None,
    ) -> chaos.MessageFault:
        """Lose messages while the ``with`` block runs; see `supertester.chaos.drop`."""
        return chaos.drop(target, match=match, rate=rate, count=count, seed=seed)

    def duplicate(
        self,
        target: Reference,
        *,
        match: Any = None,
        rate: float = 1.0,
        count: int | None = None,
        seed: int | None = None,
    ) -> chaos.MessageFault:
        """Let messages arrive twice while the ``with`` block runs; see `supertester.chaos.duplicate`."""
        return chaos.duplicate(target, match=match, rate=rate, count=count, seed=seed)

    def delay(
        self,
        target: Reference,
        ms: float,
        *,
        match: Any = None,
        rate: float = 1.0,
        count: int | None = None,
        seed: int | None = None,
    ) -> chaos.MessageFault:
        """Let messages arrive late while the ``with`` block runs; see `supertester.chaos.delay`."""
        return chaos.delay(target, ms, match=match, rate=rate, count=count, seed=seed)

    def reorder(
        self,
        target: Reference,
        *,
        window: int = 2,
        patience_ms: float = 100,
        match: Any = None,
        rate: float = 1.0,
        count: int | None = None,
        seed: int | None = None,
    ) -> chaos.MessageFault:
        """Let messages overtake each other while the ``with`` block runs; see `supertester.chaos.reorder`."""
        return chaos.reorder(
            target, window=window, patience_ms=patience_ms, match=match, rate=rate, count=count, seed=seed
        )

    @overload
    def inject_random_failures(
        self,
        target: Pid | str,
        *,
        failure_rate: float,
        failure_types: Iterable[str] = ...,
        seed: int | None = ...,
        proxy_of: None = ...,
        hold: float = ...,
    ) -> chaos.MessageFault: ...

    @overload
    def inject_random_failures(
        self,
        target: HasPid | HasWorkers,
        *,
        failure_rate: float,
        failure_types: Iterable[str] = ...,
        seed: int | None = ...,
        proxy_of: Callable[[Any], chaos.NetworkProxy] | None = ...,
        hold: float = ...,
    ) -> chaos.FailingWorkers: ...

    @overload
    def inject_random_failures(
        self,
        target: Reference | Target,
        *,
        failure_rate: float,
        failure_types: Iterable[str] = ...,
        seed: int | None = ...,
        proxy_of: Callable[[Any], chaos.NetworkProxy] | None = ...,
        hold: float = ...,
    ) -> chaos.MessageFault | chaos.FailingWorkers: ...

    def inject_random_failures(
        self,
        target: Reference | Target | HasPid | HasWorkers,
        *,
        failure_rate: float,
        failure_types: Iterable[str] = chaos.FAILURE_TYPES,
        seed: int | None = None,
        proxy_of: Callable[[Any], chaos.NetworkProxy] | None = None,
        hold: float = 5.0,
    ) -> chaos.MessageFault | chaos.FailingWorkers:
        """Let requests fail at random while the block runs; see `supertester.chaos.inject_random_failures`."""
        return chaos.inject_random_failures(
            target,
            failure_rate=failure_rate,
            failure_types=failure_types,
            seed=seed,
            proxy_of=proxy_of,
            hold=hold,
        )

    def at_operations(self, operation: F, faults: Mapping[int, Callable[[], Any]]) -> F:
        """Let chaos loose before the n-th run of *operation*; see `supertester.chaos.at_operations`."""
        return chaos.at_operations(operation, faults)

    def assert_faults_delivered(self, hits: Iterable[Any], *, msg: str | None = None, **at_least: int) -> None:
        """Fail if a kind of fault was not delivered so often; see `supertester.chaos.check_faults_delivered`."""
        mismatch = chaos.check_faults_delivered(hits, **at_least)
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))

    def pause(
        self, target: Reference | Target, *, timeout: float = 5.0, tree: bool = False
    ) -> chaos.Paused | chaos.PausedTarget:
        """Let a server or a process stand still; await it or enter it, see `supertester.chaos.pause`."""
        return chaos.pause(target, timeout=timeout, tree=tree)

    async def resume(self, target: Reference | Target) -> None:
        """Let what is paused go on; see `supertester.chaos.resume`."""
        await chaos.resume(target)

    def corrupt_state(self, target: Reference, fn: Callable[[Any], Any], *, timeout: float = 5.0) -> chaos.Corruption:
        """Give a server a wrong state; await it or enter it, see `supertester.chaos.corrupt_state`."""
        return chaos.corrupt_state(target, fn, timeout=timeout)

    async def kill_random_worker(
        self, pool: Reference | Target, *, reason: Any = KILL, seed: int | None = None
    ) -> chaos.Injection:
        """Kill one worker of a supervisor or pool, whichever; see `supertester.chaos.kill_random_worker`."""
        return await chaos.kill_random_worker(pool, reason=reason, seed=seed)

    def simulate_resource_exhaustion(
        self,
        resource: str,
        *,
        percentage: float | None = None,
        spawn_count: int | None = None,
        count: int | None = None,
        size_mb: float | None = None,
        kind: str | None = None,
        nice: int | None = None,
        target: Any = None,
    ) -> chaos.Exhaustion:
        """Take a resource away; await it or enter it, see `supertester.chaos.simulate_resource_exhaustion`."""
        return chaos.simulate_resource_exhaustion(
            resource,
            percentage=percentage,
            spawn_count=spawn_count,
            count=count,
            size_mb=size_mb,
            kind=kind,
            nice=nice,
            target=target,
        )

    def consume_memory(
        self,
        fraction: float,
        *,
        limit_mb: float | None = None,
        cap_mb: float | None = None,
        target: Any = None,
        scope: str | None = None,
        floor_mb: float = 2048,
    ) -> chaos.Exhaustion:
        """Take a share of the memory; await it or enter it, see `supertester.chaos.consume_memory`."""
        return chaos.consume_memory(
            fraction, limit_mb=limit_mb, cap_mb=cap_mb, target=target, scope=scope, floor_mb=floor_mb
        )

    def limit_resources(
        self,
        target: Any,
        *,
        memory_mb: float | None = None,
        file_descriptors: int | None = None,
        cpu_seconds: float | None = None,
        file_size_mb: float | None = None,
        processes: int | None = None,
        tree: bool = False,
    ) -> chaos.LimitedProcess:
        """Let a process take only so much more; await it or enter it, see `supertester.chaos.limit_resources`."""
        return chaos.limit_resources(
            target,
            memory_mb=memory_mb,
            file_descriptors=file_descriptors,
            cpu_seconds=cpu_seconds,
            file_size_mb=file_size_mb,
            processes=processes,
            tree=tree,
        )

    def small_disk(self, *, size_mb: float = 1) -> chaos.SmallDisk:
        """Return a disk that can be full; await it or enter it, see `supertester.chaos.small_disk`."""
        return chaos.small_disk(size_mb=size_mb)

    async def run_chaos_suite(
        self,
        target: Reference | Target,
        scenarios: Iterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
        seed: int | None = None,
    ) -> chaos.ChaosSuiteReport:
        """Run one chaos after the other; see `supertester.chaos.run_chaos_suite`."""
        return await chaos.run_chaos_suite(target, scenarios, timeout=timeout, seed=seed)

    def failpoints(
        self, actions: Mapping[str, str] | None = None, *, seed: int | None = None
    ) -> AbstractContextManager[Failpoints]:
        """Switch failpoints on while the ``with`` block runs; see `supertester.failpoints`."""
        return failpoints(actions, seed=seed)

    async def exhaust_failpoints(
        self, fn: Callable[[], Any], *, raises: str = "", max_faults: int = 1, limit: int = 1000
    ) -> list[chaos.FailpointRun]:
        """Run *fn* with a fault at every hit of a failpoint; see `supertester.chaos.exhaust_failpoints`."""
        return await chaos.exhaust_failpoints(fn, raises=raises, max_faults=max_faults, limit=limit)

    async def cancel_at_every_await(
        self,
        fn: Callable[[], Awaitable[Any]],
        check: Callable[[], Any] | None = None,
        *,
        limit: int = 1000,
        timeout: float = 5.0,
    ) -> list[chaos.CancellationRun]:
        """Run *fn* cancelled at each of its awaits; see `supertester.chaos.cancel_at_every_await`."""
        return await chaos.cancel_at_every_await(fn, check, limit=limit, timeout=timeout)

    async def assert_cancellation_safe(
        self,
        fn: Callable[[], Awaitable[Any]],
        check: Callable[[], Any] | None = None,
        *,
        limit: int = 1000,
        timeout: float = 5.0,
        msg: str | None = None,
    ) -> None:
        """Fail unless *fn* ends when it is cancelled, whatever it awaits, and *check* holds after each run.

        See `supertester.chaos.check_cancellation_safe`.
        """
        mismatch = await chaos.check_cancellation_safe(fn, check, limit=limit, timeout=timeout)
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))

    async def assert_chaos_resilient(
        self,
        system: Reference | Target,
        chaos_fn: Callable[[], Any],
        recovery_fn: Callable[[], Any],
        *,
        timeout: float = 5.0,
        steady_state: Callable[[], Any] | None = None,
        require_fault: bool = True,
        msg: str | None = None,
    ) -> chaos.Resilience:
        """Fail unless *system* recovers from chaos in time, and the chaos hit somebody; return how it went.

        See `supertester.chaos.probe_chaos_resilience`.
        """
        found = await chaos.probe_chaos_resilience(
            system, chaos_fn, recovery_fn, timeout=timeout, steady_state=steady_state, require_fault=require_fault
        )
        if found.mismatch is not None:
            self.fail(self._formatMessage(msg, str(found.mismatch)))
        return found

    async def assert_recovers(
        self,
        system: Any,
        *,
        kill: Callable[[], Any] | None = None,
        within: float = 5.0,
        probe: Callable[[], Any] | None = None,
        msg: str | None = None,
    ) -> chaos.Recovery:
        """Kill a part of *system* and fail unless another takes its place in time, and *probe* finds all well.

        Returns how it went, with the time that it took; see `supertester.chaos.probe_recovery`.
        """
        found = await chaos.probe_recovery(system, kill=kill, within=within, probe=probe)
        if found.mismatch is not None:
            self.fail(self._formatMessage(msg, str(found.mismatch)))
        return found
