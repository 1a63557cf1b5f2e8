"""`Supervisor`: starts its children in order, restarts them by its strategy, stops them in reverse (chapter 4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from supertester.errors import StartFailed, UsageError
from supertester.otp.child_spec import ChildSpec, SupervisorSpec
from supertester.otp.pid import Pid
from supertester.otp.reasons import INFINITY, SHUTDOWN
from supertester.otp.results import IGNORE, Stop
from supertester.otp.supervision import (
    BaseSupervisor,
    Child,
    ChildInfo,
    ask,
    failed_child,
    server_of,
)

__all__ = [
    "Supervisor",
    "TreeNode",
    "count_children",
    "delete_child",
    "get_childspec",
    "get_tree",
    "intensity_left",
    "restart_child",
    "start_child",
    "strategy",
    "terminate_child",
    "which_children",
]


class TreeNode(NamedTuple):
    """A node of `get_tree`; *children* is empty for a worker."""

    id: Any
    pid: Pid | str
    children: tuple[TreeNode, ...]


class Supervisor(BaseSupervisor):
    """A process that keeps other processes running.

    Use it as it is, ``Supervisor.start_link([ChildSpec(...), ...], strategy="one_for_all")``, or write a subclass whose
    ``init(*args)`` returns a `SupervisorSpec`.

    >>> import asyncio
    >>> from supertester.otp import GenServer, KILL, exit, until_idle, whereis
    >>> class Worker(GenServer):
    ...     pass
    >>> async def main():
    ...     await Supervisor.start_link([ChildSpec("worker", Worker, kwargs={"name": "worker"})])
    ...     first = whereis("worker")
    ...     exit("worker", KILL)
    ...     await until_idle()
    ...     return whereis("worker") not in (None, first)
    >>> asyncio.run(main())
    True
    """

    children: dict[Any, Child]

    @classmethod
    def _otp_check(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        if cls.init is not Supervisor.init:
            return args
        children = _spec_of(*args, **kwargs).children
        return (children, *args[1:]) if args else args  # What was a generator is exhausted now.

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Return the `SupervisorSpec` of the arguments, which are its own; a subclass takes what it likes."""
        return _spec_of(*args, **kwargs)

    async def begin(self, spec: SupervisorSpec) -> Any:
        self.children = {child.id: Child(child) for child in spec.children}
        for child in list(self.children.values()):
            try:
                await self._start(child)
            except StartFailed as error:
                await self._stop_children(list(self.children.values()))
                return Stop(failed_child(child.spec.id, error.reason))
        return None

    async def _start(self, child: Child, *, restart: bool = False) -> None:
        """Start *child*; one that chooses not to run is kept without a process, or forgotten if temporary (rule 22)."""
        if await self.start_process(child, restart=restart) is None:
            self._not_started(child)

    def _not_started(self, child: Child) -> None:
        if child.spec.restart == "temporary":
            del self.children[child.spec.id]

    async def _stop_children(self, children: list[Child]) -> None:
        """Stop *children* in reverse start order, each before the next."""
        for child in reversed(children):
            if (process := child.process) is not None:
                await self.stop_process(process, child.spec)
            child.pid = "undefined"

    async def terminate(self, reason: Any) -> None:
        await self._stop_children(list(self.children.values()))

    # A child has ended -------------------------------------------------------------------------------------------

    def _has(self, child: Child) -> bool:
        return self.children.get(child.spec.id) is child

    def _let_go(self, child: Child) -> Stop | None:
        spec = child.spec
        if spec.restart == "temporary":
            self.children.pop(spec.id, None)
        child.pid = "undefined"
        return self._after_significant(spec) if spec.significant else None

    def _after_significant(self, spec: ChildSpec) -> Stop | None:
        rule = self.spec.auto_shutdown
        others = (each for each in self.children.values() if each.spec.significant and each.spec.id != spec.id)
        if rule == "any_significant" or (rule == "all_significant" and all(each.pid == "undefined" for each in others)):
            return Stop(SHUTDOWN)
        return None

    async def _start_affected(self, child: Child) -> None:
        for each, restart in (await self._stop_affected(child)).items():
            try:
                await self._start(each, restart=restart)
            except StartFailed:
                self.try_again(each)
                break

    async def _stop_affected(self, child: Child) -> dict[Child, bool]:
        """Stop those that *child* takes along; return who has to start, in order, and whether that is a restart."""
        affected = list(self.children.values())
        if self.spec.strategy == "rest_for_one":
            affected = affected[affected.index(child) :]
        starting = {each: each is child or each.process is not None for each in affected}
        await self._stop_children(affected)
        for each in affected:
            if each is not child and each.spec.restart == "temporary":
                del self.children[each.spec.id], starting[each]
        return starting

    # Requests ----------------------------------------------------------------------------------------------------

    def do_which_children(self) -> list[ChildInfo]:
        return [child.info() for child in reversed(self.children.values())]

    async def do_start_child(self, spec: Any) -> Any:
        if not isinstance(spec, ChildSpec):
            raise TypeError(f"start_child takes a ChildSpec(id, start, ...), got {spec!r}")
        known = self.children.get(spec.id)
        if known is not None:
            if known.process is not None:
                reason: Any = ("already_started", known.process)
                raise UsageError(f"the child {spec.id!r} is running already: {known.process!r}", reason=reason)
            raise UsageError(
                f"the child {spec.id!r} exists, but does not run; restart_child() starts it, delete_child() forgets it",
                reason="already_present",
            )
        if spec.significant and self.spec.auto_shutdown == "never":
            raise UsageError(f"the child {spec.id!r} is significant, but auto_shutdown is 'never'")
        child = self.children[spec.id] = Child(spec)
        return await self._start_requested(child, forget=True)

    async def _start_requested(self, child: Child, *, forget: bool) -> Any:
        try:
            await self._start(child)
        except StartFailed:
            child.pid = "undefined"
            if forget:
                del self.children[child.spec.id]
            raise
        return child.process or IGNORE

    def _known(self, id: Any) -> Child:
        child = self.children.get(id)
        if child is None:
            known = ", ".join(map(repr, self.children)) or "none"
            raise UsageError(f"no child has the id {id!r}; the children are: {known}", reason="not_found")
        return child

    def _stopped(self, id: Any) -> Child:
        child = self._known(id)
        if child.process is not None:
            raise UsageError(f"the child {id!r} is running; terminate_child() stops it", reason="running")
        if child.pid == "restarting":
            raise UsageError(f"the child {id!r} is being restarted", reason="restarting")
        return child

    async def do_terminate_child(self, id: Any) -> None:
        child = self._known(id)
        await self._stop_children([child])
        if child.spec.restart == "temporary":
            self.children.pop(id, None)

    async def do_restart_child(self, id: Any) -> Any:
        return await self._start_requested(self._stopped(id), forget=False)

    def do_delete_child(self, id: Any) -> None:
        self._stopped(id)
        del self.children[id]

    def do_get_childspec(self, id: Any) -> ChildSpec:
        return self._known(id).spec


def _spec_of(children: Iterable[ChildSpec] = (), **options: Any) -> SupervisorSpec:
    unknown = set(options) - {"strategy", "max_restarts", "max_seconds", "auto_shutdown"}
    if unknown:
        known = "strategy, max_restarts, max_seconds, auto_shutdown, name, timeout"
        raise TypeError(f"unknown supervisor option {', '.join(sorted(unknown))}; the options are {known}")
    return SupervisorSpec(children, **options)


async def which_children(supervisor: Any, timeout: float = INFINITY) -> list[ChildInfo]:
    """Return a row ``(id, pid, type, modules)`` for each child, newest first (rule 28).

    *pid* is ``"undefined"`` for a child that does not run and ``"restarting"`` for one whose restart failed so far. The
    children of a `DynamicSupervisor` have the id ``"undefined"``.

    Raises:
        CallExit: The supervisor is dead or unknown (``NOPROC``).
        UsageError: It is no supervisor.
    """
    return await ask(supervisor, "which_children", timeout=timeout)  # type: ignore[no-any-return]


async def count_children(supervisor: Any, timeout: float = INFINITY) -> dict[str, int]:
    """Return the counts ``specs``, ``active``, ``supervisors`` and ``workers``."""
    rows = await which_children(supervisor, timeout)
    supervisors = sum(row.type == "supervisor" for row in rows)
    active = sum(isinstance(row.pid, Pid) for row in rows)
    return {"specs": len(rows), "active": active, "supervisors": supervisors, "workers": len(rows) - supervisors}


async def start_child(supervisor: Any, spec: ChildSpec, timeout: float = INFINITY) -> Pid:
    """Add a child, start it and return its pid, or `IGNORE` (rule 29).

    Raises:
        StartFailed: It did not start, and is not kept; ``reason`` is its own.
        UsageError: The id is in use (``reason`` is ``("already_started", pid)`` or ``"already_present"``), or a
            `DynamicSupervisor` is full (``"max_children"``).
    """
    return await ask(supervisor, "start_child", spec, timeout=timeout)  # type: ignore[no-any-return]


async def terminate_child(supervisor: Any, id: Any, timeout: float = INFINITY) -> None:
    """Stop the child *id* and keep its spec, unless it is temporary; for a `DynamicSupervisor` give the pid.

    Raises:
        UsageError: There is no such child (``reason`` is ``"not_found"``).
    """
    await ask(supervisor, "terminate_child", id, timeout=timeout)


async def restart_child(supervisor: Any, id: Any, timeout: float = INFINITY) -> Pid:
    """Start the stopped child *id* again.

    Raises:
        UsageError: It runs, is being restarted, or is unknown (``reason`` ``"running" "restarting" "not_found"``).
        StartFailed: It did not start.
    """
    return await ask(supervisor, "restart_child", id, timeout=timeout)  # type: ignore[no-any-return]


async def delete_child(supervisor: Any, id: Any, timeout: float = INFINITY) -> None:
    """Forget the stopped child *id*; refusals as for `restart_child`."""
    await ask(supervisor, "delete_child", id, timeout=timeout)


async def get_childspec(supervisor: Any, id: Any, timeout: float = INFINITY) -> ChildSpec:
    """Return the spec of the child *id*."""
    return await ask(supervisor, "get_childspec", id, timeout=timeout)  # type: ignore[no-any-return]


async def get_tree(supervisor: Any, timeout: float = INFINITY) -> TreeNode:
    """Return the supervision tree from *supervisor* down, children in start order; its own id is its name."""
    rows = await which_children(supervisor, timeout)
    root = server_of(supervisor, "get_tree").pid
    return TreeNode(root.name, root, await _subtrees(rows, timeout))


async def _subtrees(rows: list[ChildInfo], timeout: float) -> tuple[TreeNode, ...]:
    nodes = []
    for row in reversed(rows):
        below: tuple[TreeNode, ...] = ()
        if row.type == "supervisor" and isinstance(row.pid, Pid) and row.pid.is_alive():
            below = await _subtrees(await which_children(row.pid, timeout), timeout)
        nodes.append(TreeNode(row.id, row.pid, below))
    return tuple(nodes)


def strategy(supervisor: Any) -> str:
    """Return the supervisor's strategy, without asking it.

    Raises:
        UsageError: It is dead, unknown, or no supervisor.
    """
    return server_of(supervisor, "strategy").spec.strategy


def intensity_left(supervisor: Any) -> int:
    """Return how many restarts the supervisor would still put up with now, without asking it."""
    server = server_of(supervisor, "intensity_left")
    return server.intensity.left(server.pid.runtime.clock.time())
