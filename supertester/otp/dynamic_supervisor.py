"""`DynamicSupervisor`: children that come and go at run time, told apart by their pids (rule 31)."""

from __future__ import annotations

from typing import Any

from supertester.errors import UsageError
from supertester.otp.child_spec import ChildSpec, SupervisorSpec
from supertester.otp.pid import Pid
from supertester.otp.reasons import BRUTAL_KILL, INFINITY, KILL, SHUTDOWN
from supertester.otp.results import IGNORE, Stop
from supertester.otp.supervision import BaseSupervisor, Child, ChildInfo

__all__ = ["DynamicSupervisor"]


class DynamicSupervisor(BaseSupervisor):
    """A supervisor without fixed children: ``start_child(sup, ChildSpec(...))``, ``terminate_child(sup, pid)``.

    One child's end touches no other; restarts are counted for all children together.

    >>> import asyncio
    >>> from supertester.otp import GenServer, count_children, start_child
    >>> class Worker(GenServer):
    ...     pass
    >>> async def main():
    ...     pool = await DynamicSupervisor.start_link(max_children=2)
    ...     await start_child(pool, ChildSpec("any", Worker))
    ...     return await count_children(pool)
    >>> asyncio.run(main())
    {'specs': 1, 'active': 1, 'supervisors': 0, 'workers': 1}
    """

    children: dict[Child, None]
    max_children: float = INFINITY

    @classmethod
    def _otp_check(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        if cls.init is DynamicSupervisor.init:
            _options_of(*args, **kwargs)
        return args

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Return a `SupervisorSpec` without children, of ``max_children``, ``max_restarts`` and ``max_seconds``.

        A subclass may set ``self.max_children`` too.
        """
        self.max_children, spec = _options_of(*args, **kwargs)
        return spec

    async def begin(self, spec: SupervisorSpec) -> Any:
        self.children = {}
        if spec.children:
            return Stop(("bad_return", (type(self), "init", spec)))
        return None

    async def terminate(self, reason: Any) -> None:
        # All at once, as in Elixir: one that resists costs its own time only, not that of all the others too.
        running = [(child, child.process) for child in reversed(self.children) if child.process is not None]
        for child, process in running:
            process.exit(KILL if child.spec.shutdown == BRUTAL_KILL else SHUTDOWN)
        begun = self.pid.runtime.clock.time()
        for child, process in running:
            await self.stop_process(process, child.spec, asked_at=begun)
        self.children.clear()

    def _has(self, child: Child) -> bool:
        return child in self.children

    def _let_go(self, child: Child) -> None:
        del self.children[child]

    def _not_started(self, child: Child) -> None:
        del self.children[child]

    # Requests ----------------------------------------------------------------------------------------------------

    def do_which_children(self) -> list[ChildInfo]:
        return [child.info()._replace(id="undefined") for child in reversed(self.children)]

    async def do_start_child(self, spec: Any) -> Any:
        if not isinstance(spec, ChildSpec):
            raise TypeError(f"start_child takes a ChildSpec(id, start, ...), got {spec!r}")
        if len(self.children) >= self.max_children:
            raise UsageError(
                f"the supervisor has its {self.max_children} children already; raise max_children",
                reason="max_children",
            )
        child = Child(spec)
        process = await self.start_process(child)
        if process is None:
            return IGNORE
        self.children[child] = None
        return process

    async def do_terminate_child(self, pid: Any) -> None:
        child = self.by_pid.get(pid) if isinstance(pid, Pid) else None  # type: ignore[call-overload]
        if child is None or child.process is None:
            raise UsageError(f"{pid!r} is no child of this supervisor; give the pid of one", reason="not_found")
        await self.stop_process(child.process, child.spec)
        self.children.pop(child, None)


def _options_of(*args: Any, max_children: float = INFINITY, **options: Any) -> tuple[float, SupervisorSpec]:
    if args:
        raise TypeError(f"a DynamicSupervisor starts without children, got {args!r}; use start_child()")
    if unknown := set(options) - {"max_restarts", "max_seconds"}:
        known = "max_children, max_restarts, max_seconds, name, timeout"
        raise TypeError(f"unknown supervisor option {', '.join(sorted(unknown))}; the options are {known}")
    if isinstance(max_children, bool) or not isinstance(max_children, (int, float)) or max_children < 0:  # type: ignore[redundant-expr]
        raise UsageError(f"max_children must be 0 or more, or INFINITY, got max_children={max_children!r}")
    return max_children, SupervisorSpec((), **options)
