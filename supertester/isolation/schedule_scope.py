"""`ScheduleScope`: the scope of one schedule of an explored test.

It is what `Scope` is for a test, and there are thousands of them in a second. So all that is the same for each schedule
is found out once, in a `Plan`; errors that nobody caught are asked of the loop, which keeps them; and the world of
processes is made when something first needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from threading import get_ident
from typing import Any

from supertester._core.seeds import run_seed
from supertester.context import Isolation, IsolationContext, current_context
from supertester.env import Env, current_env
from supertester.isolation import gate, hooks, identity, world
from supertester.isolation.children import inherit_in_children
from supertester.isolation.coroutines import Watch
from supertester.isolation.features import FeatureSet, early_features
from supertester.isolation.leaks.allowed import Allowance
from supertester.isolation.leaks.watch import LeakWatch
from supertester.isolation.logs.routing import route_records
from supertester.isolation.loop_errors import problem_of
from supertester.isolation.options import Options
from supertester.isolation.scope import Scope, next_test
from supertester.isolation.sleeps import watch as watch_sleeps
from supertester.isolation.telemetry.routing import begin_routing
from supertester.isolation.virtual import enter_virtual_time
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies.fifo import Fifo

__all__ = ["Plan", "ScheduleScope"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the schedules of one test have in common; the arguments are those of `Scope`.

    Attributes:
        env, run_seed: As they are when the exploration begins.
        early: The names of the features that have to be on from the beginning.
    """

    name: str
    options: Options
    tags: Mapping[str, Any]
    filename: str | None
    modules: frozenset[str]
    allowances: Callable[[], Iterable[Allowance]]
    env: Env = field(default_factory=current_env)
    run_seed: int = field(default_factory=run_seed)

    @property
    def early(self) -> tuple[str, ...]:
        """The features that have to be on from the beginning."""
        return early_features(self.options.isolation, self.options.features, self.tags)


class ScheduleScope(Scope):
    """The life of one schedule, on its loop.

    Args:
        plan: What it has in common with the others.
        early: The same as ``plan.early``.
        loop: Its loop.
    """

    def __init__(self, plan: Plan, early: tuple[str, ...], loop: ExploringLoop) -> None:
        self.options = options = plan.options
        self.loop: Any = loop
        self._plan = plan
        self._early = early
        self.context = context = IsolationContext(
            test_id=f"{plan.name}-{next_test()}",
            mode=options.isolation,
            seed=loop.seed,
            run_seed=plan.run_seed,
            env=plan.env,
            source=plan.filename,
            tags=dict(plan.tags),
        )
        self.errors: list[BaseException] = []
        self.settled = False
        self._whole_loop = True
        self._has_world = False
        self._features = FeatureSet(context, options.features)
        self._allowances = plan.allowances
        self._leaks = None
        if options.watched_leaks:
            self._leaks = LeakWatch(context, options.watched_leaks, plan.allowances, self._report, whole_loop=True)
        alone = options.isolation == Isolation.CONTAMINATION_DETECTION.value
        gate.enter(context, identity.owner(), None, alone=alone)

    @classmethod
    def prepare(cls, plan: Plan) -> None:
        """Put into the process what the schedules of *plan* need; once for all of them."""
        inherit_in_children()
        route_records()
        world.offer_world()
        begin_routing(plan.options.features.get("telemetry"))
        if plan.options.watched_leaks:
            LeakWatch.install(plan.options.watched_leaks)
        cls._begin_and_end(plan)

    @classmethod
    def _begin_and_end(cls, plan: Plan) -> None:
        """Let a schedule without a test put in place what is missing, before the control of schedules comes on top.

        Where two replace one attribute, the first to be put in has to be the last to be taken out.
        """
        kind: Any = ExploringLoop
        loop = kind(Fifo())
        scope, context = cls(plan, plan.early, loop), copy_context()
        try:
            context.run(scope.open)
            context.run(scope.settle, thorough=False)
        finally:
            loop.close()
            scope.close()

    def open(self) -> None:
        """Begin the schedule. Has to be called in its context, and from its thread."""
        context, plan = self.context, self._plan
        hooks.begin(context)
        self._thread = get_ident()
        self._before = identity.begin(context, whole_thread=True)
        if self._leaks is not None:
            self._leaks.enter_loop(self.loop)
        self._watch = Watch(context)
        self._token = current_context.set(context)
        if (policy := self.options.sleeps) is not None and policy != "ignore":
            watch_sleeps(context, policy, plan.modules, awaits=False)
        context.open_feature = self._features.open
        context.has_feature = self._features.has
        context.postpone_world(partial(self._make_world, self.loop.reserve()))
        for name in self._early:
            self._features.open(name)
        self._watch.begin()

    def _make_world(self, reserved: int) -> None:
        """Give the schedule its processes, whose lane is the same whoever needs them first."""
        with self.loop.as_root(reserved):
            self._has_world = True
            self._world = world.enter_world(self.context, self.loop, whole_loop=True)
            enter_virtual_time(self.context, self.loop)
            assert self.context.runtime is not None
            self.context.runtime.thread = self._thread
            if self.options.crashes == "fail":
                self._stop_watching = world.watch_crashes(self.context)

    def settle(self, *, thorough: bool = True) -> None:
        """Look for what failed behind the back of the schedule, and leave its features."""
        for event in self.loop.unhandled:
            self._report(problem_of(event))
        super().settle(thorough=thorough)
