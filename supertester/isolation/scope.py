"""`Scope`: one test from its beginning to its end. The test case and `isolate` differ only in who drives it."""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from threading import get_ident
from typing import Any

from supertester._core.live_tasks import tasks_of
from supertester._core.seeds import derive_seed, run_seed
from supertester.attachments import attach, is_collecting
from supertester.context import Isolation, IsolationContext, Problem, current_context
from supertester.env import Env
from supertester.isolation import cleanup, gate, hooks, identity, tasks, world
from supertester.isolation.children import inherit_in_children
from supertester.isolation.coroutines import Watch
from supertester.isolation.features import FeatureSet
from supertester.isolation.leaks.allowed import Allowance, is_allowed
from supertester.isolation.leaks.kinds import LEAK_KINDS
from supertester.isolation.leaks.watch import LeakWatch
from supertester.isolation.logs.routing import last_records, log_evidence, route_records
from supertester.isolation.loop_errors import LoopErrors
from supertester.isolation.modes import isolation_timeout
from supertester.isolation.options import Options
from supertester.isolation.sleeps import watch as watch_sleeps
from supertester.isolation.telemetry.routing import begin_routing
from supertester.otp.reasons import NORMAL
from supertester.otp.root import Root

__all__ = ["IsolationFailure", "Scope", "evidence", "next_test"]

next_test = itertools.count(1).__next__
"""Returns a number that no other test of this process has."""
_DYING = 0.5
"""Seconds that what is killed or cancelled at the end of a test has to end."""
_ATTACHED = 500
"""Log records, and events, that go into the report of a run: the last ones."""


_CHANGED = "contamination"
"""The kind of problem by which a test changes the world for others. What else it leaves, or what failed behind its
back, is a failure as any other, also to a runner that lets changes pass."""


class IsolationFailure(AssertionError):
    """A test left something behind, or something failed behind its back; ``problems`` lists it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        lines = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        super().__init__(f"the test has {count} that no statement of its body raised:\n{lines}")

    @property
    def supertester_outcome(self) -> str | None:
        """What a runner calls it: ``contaminated`` if all that is wrong is what the test changed for others."""
        return "contaminated" if all(each.kind == _CHANGED for each in self.problems) else None


class Scope:
    """The life of one isolated test, on one event loop if it needs one.

    Args:
        name: What the test is called; the test id is this and a number.
        options: What the test class asks for.
        loop: Where the test runs, beside whatever else does; ``None``: it gets a loop for itself by `enter_loop`.
        tags: For ``context.tags``.
        env: For ``context.env``.
        filename: The test's source file, as its code objects hold it.
        modules: The names of the modules whose code is the test's own.
        allowances: Returns the leaks that are allowed in this test.
    """

    _stop_watching: Callable[[], object] = staticmethod(lambda: None)
    _leave_time: Callable[[], object] = staticmethod(lambda: None)
    # What `open` sets: what it has done can be undone wherever it failed.
    _watch: Watch | None = None
    _token: Token[IsolationContext | None] | None = None
    _world: Token[Any] | None = None
    _loop_errors: LoopErrors | None = None

    def __init__(
        self,
        name: str,
        options: Options,
        loop: asyncio.AbstractEventLoop | None,
        *,
        tags: Mapping[str, Any],
        env: Env,
        filename: str | None = None,
        modules: frozenset[str] = frozenset(),
        allowances: Callable[[], Iterable[Allowance]] = tuple,
    ) -> None:
        self.options = options
        self.loop = loop
        run = run_seed()
        self.context = context = IsolationContext(
            test_id=f"{name}-{next_test()}",
            mode=options.isolation,
            seed=derive_seed(run, name),
            run_seed=run,
            env=env,
            source=filename,
            tags={**tags, "mode": options.isolation},
        )
        self.errors: list[BaseException] = []
        self.settled = False
        self._modules = modules
        self._whole_loop = loop is None
        self._features = FeatureSet(context, options.features)
        self._tasks_before: frozenset[tasks.Task] = frozenset()
        self._allowances = allowances
        self._leaks: LeakWatch | None = None
        if options.watched_leaks:
            self._leaks = LeakWatch(
                context, options.watched_leaks, allowances, self._report, whole_loop=self._whole_loop
            )
        self._before: IsolationContext | None = None
        alone = options.isolation == Isolation.CONTAMINATION_DETECTION.value
        gate.enter(context, identity.owner(), loop, alone=alone)

    def open(self) -> None:
        """Begin the test. Has to be called in the test's context, and from its thread."""
        context = self.context
        hooks.begin(context)
        inherit_in_children()
        route_records()
        world.offer_world()
        self._thread = get_ident()
        self._before = identity.begin(context, whole_thread=self._whole_loop)
        if self._leaks is not None:
            self._leaks.begin()
        self._watch = Watch(context)
        self._token = current_context.set(context)
        if self.loop is not None:
            tasks.stamp_tasks(self.loop)
            self._tasks_before = frozenset(tasks_of(self.loop))
            self.enter_loop(self.loop)
        if (policy := self.options.sleeps) is not None and policy != "ignore":
            watch_sleeps(context, policy, self._modules, awaits=self.options.clock == "real")
        context.open_feature = self._features.open
        context.has_feature = self._features.has
        begin_routing(self.options.features.get("telemetry"))
        self._features.enter_early()
        self._watch.begin()

    def enter_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the test run on *loop* from now on, and the present context in its world of processes."""
        if self.loop is loop and self._loop_errors is not None:
            world.join_world(self.context)
            return
        self.loop = loop
        self._loop_errors = LoopErrors(self.context, loop, self._report, whole_loop=self._whole_loop)
        if self._leaks is not None:
            self._leaks.enter_loop(loop)
        self._world = world.enter_world(self.context, loop, whole_loop=self._whole_loop)
        if self.options.clock == "virtual":
            from supertester.isolation.virtual import enter_virtual_time  # Few tests need it.

            self._leave_time = enter_virtual_time(self.context, loop)
        assert self.context.runtime is not None
        self.context.runtime.thread = self._thread
        if self.options.crashes == "fail":
            self._stop_watching = world.watch_crashes(self.context)

    def leave(self) -> None:
        """Make the test's context what it was before `open`, where something else goes on in it."""
        if self._world is not None:
            world.leave_world(self._world)
        if self._token is not None:
            current_context.reset(self._token)

    # The end -----------------------------------------------------------------------------------------------------

    def is_clean(self) -> bool:
        """Say whether there is nothing that the loop would have to run for. This is all that a clean test pays."""
        return not (
            self.context.cleanups
            or cleanup.has_work(self.context)
            or self._left_running()
            or (self._leaks is not None and self._leaks.is_suspicious())
        )

    async def unwind(self) -> None:
        """Undo what the test did and find what it left; called again after an interruption, go on where it was."""
        context = self.context
        assert self.loop is not None
        self._stop_watching()  # What the cleanup kills did not crash.
        deadline = self.loop.time() + isolation_timeout(context.mode)
        try:
            await cleanup.unwind(context, deadline, self.errors)
        finally:
            await self._end_processes()
            await self._end_tasks()
            if self._leaks is not None:
                if self.options.clock == "virtual" and self._whole_loop:
                    # What ends by itself needs that, where time can be real.
                    getattr(self.loop, "go_with_real_time", _nothing)()
                await self._leaks.end()

    async def _end_processes(self) -> None:
        left = world.leftover(self.context)
        if not left:
            return
        for process in left:
            if not is_allowed("processes", world.names_of(process), self._allowances()):
                self._report(world.process_leak(process))
        for refused in await world.kill(self.context, left, _DYING):
            self.context.report(Problem("cleanup", refused))

    async def _end_tasks(self) -> None:
        left = await tasks.let_end(self._left_running())
        for task in left:
            if not is_allowed("tasks", tasks.names_of(task), self._allowances()):
                self._report(tasks.leak_problem(task))
        for task in await tasks.end_tasks(left, _DYING):
            self.context.report(Problem("cleanup", f"task {tasks.describe_task(task)} would not end when cancelled"))

    def _left_running(self) -> set[tasks.Task]:
        left = tasks.left_running(self.loop) if self.loop is not None else set()
        if left and not self._whole_loop:
            left = {task for task in left - self._tasks_before if tasks.owner_of(task) is self.context}
        return left

    def _report(self, problem: Problem) -> bool:
        """Do with *problem* what the test's options say; return ``False`` if the test has ended."""
        policy = self.options.leak_policy(problem.kind) if problem.kind in LEAK_KINDS else "fail"
        if policy == "fail" or self.context.closed:
            return self.context.report(problem)
        if policy == "warn":
            warnings.warn(f"{self.context.test_id}: {problem}", ResourceWarning, stacklevel=2)
        return True

    def settle(self, *, thorough: bool = True) -> None:
        """Look for what failed behind the test's back, and leave its features; nothing new is expected after this.

        Args:
            thorough: Also look for what takes long to find.
        """
        self.settled = True
        if self.loop is not None:
            for task in tasks.failed_tasks(self.loop):
                if self._whole_loop or tasks.owner_of(task) is self.context:
                    self.context.report(tasks.failure_problem(task))
            if self._whole_loop and (forget := getattr(self.loop, "forget_done", None)) is not None:
                forget()  # Else the coroutines of its tasks would look as if nobody had awaited them.
        if thorough and self._watch is not None:
            self._watch.look()
        if self._leaks is not None:
            self._leaks.settle()
        if is_collecting():
            _attach_evidence(self.context)
        try:
            self._features.close()
        except BaseException as error:  # noqa: BLE001 - shown with the other failures of the cleanup
            self.errors.append(error)

    def close(self) -> None:
        """End the test: from here on, what happens is not its problem any more."""
        context = self.context
        context.closed = True
        self._leave_time()
        identity.end(context, self._before)
        context.outer = None
        if self._leaks is not None:
            self._leaks.close()
        if self._loop_errors is not None:
            self._loop_errors.close()
        if self._watch is not None:
            self._watch.close()
        if (root := context.made("root")) is not None:
            root.die(NORMAL)
        # Nor does it stay in memory, in a ring of references, until the next collection.
        self._leaks = self._loop_errors = context.has_feature = context.make_world = None

    # What was found ----------------------------------------------------------------------------------------------

    def take_failure(self) -> IsolationFailure | None:
        """Return the problems found since this was last asked, as an error to raise, or ``None``."""
        problems = self.context.problems
        if not problems:
            return None
        failure = IsolationFailure(problems)
        problems.clear()
        return failure

    def take_errors(self) -> BaseException | None:
        """Return the one error of the cleanup, or a group of them, or ``None``.

        An interruption, such as ``KeyboardInterrupt``, is returned itself: it has to end the run.
        """
        errors, self.errors = self.errors, []
        if not errors:
            return None
        interrupts = [error for error in errors if not isinstance(error, (Exception, asyncio.CancelledError))]
        if interrupts:
            return interrupts[0]
        if len(errors) == 1:
            return errors[0]
        return BaseExceptionGroup(f"{len(errors)} cleanups of {self.context.test_id} failed", errors)


def _nothing() -> None: ...


def _attach_evidence(context: IsolationContext) -> None:
    """Attach the logs and the telemetry of a test to the report of its run."""
    if lines := last_records(context, _ATTACHED):
        attach("log records", "\n".join(lines))
    telemetry = context.features.get("telemetry")
    # What has arrived: nobody waits here for more, as the test may be one whose schedule is explored.
    if telemetry is not None and (events := telemetry.inbox.events()):
        attach("telemetry", "\n".join(map(str, events[-_ATTACHED:])))


def evidence(context: IsolationContext) -> str:
    """Return what happened in the test before it failed, as far as that is known, or an empty string."""
    return "\n".join(filter(None, (_deaths(context), log_evidence(context), *(each() for each in context.evidence))))


def _deaths(context: IsolationContext, *, limit: int = 5) -> str:
    """Return the last deaths in the test's runtime with the last messages of who died, or an empty string."""
    runtime = context.made("runtime")
    # The body of a test is a process, too, but its end with the cleanup is no event.
    deaths = [] if runtime is None else [each for each in runtime.deaths if not isinstance(each.pid, Root)]
    if not deaths:
        return ""
    lines = [f"the last of {len(deaths)} deaths in this test:" if len(deaths) > limit else "deaths in this test:"]
    for death in deaths[-limit:]:
        lines.append(f"  {death.pid!r}")
        lines += [f"    {kind} {message!r}" for kind, message in death.pid.recent_messages[-3:]]
    return "\n".join(lines)
