"""The worker as a state machine: who may have it, how it dies, how it is."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from session_pool import PoolError, PoolWorker, SessionMismatch, SessionPool, WorkerInitFailed

from supertester import tag
from tests.support import PoolCase


class TestInit(PoolCase):
    def test_a_worker_begins_ready_with_a_live_port(self) -> None:
        _, port = self.mock_port()
        worker = PoolWorker.init_worker("test_1", lambda: port)
        self.assertEqual((worker.worker_id, worker.status, worker.generation), ("test_1", "ready", 1))
        self.assertTrue(worker.alive() and worker.port.alive)

    def test_a_pool_that_cannot_start_one_worker_leaves_none(self) -> None:
        ports = [self.mock_port()[1] for _ in range(2)]
        left = iter(ports)

        def start() -> Any:
            port = next(left, None)
            if port is None:
                raise WorkerInitFailed("no more")
            return port

        with self.assertRaisesRegex(WorkerInitFailed, "no more"):
            SessionPool(3, port_factory=start)
        self.assertEqual([port.alive for port in ports], [False, False])

    def test_a_pool_has_at_least_one_worker(self) -> None:
        with self.assertRaisesRegex(ValueError, "pool_size must be at least 1, got 0"):
            SessionPool(0)


class TestCheckout(PoolCase):
    def setUp(self) -> None:
        self.worker = PoolWorker("worker", self.mock_port()[1])

    def test_a_checkout_binds_the_worker_to_the_session(self) -> None:
        self.worker.checkout("user_123")
        self.assertEqual((self.worker.session_id, self.worker.status), ("user_123", "busy"))
        self.assertEqual(self.worker.sessions, {"user_123"})

    def test_the_session_gets_its_worker_again(self) -> None:
        for _ in range(2):
            self.worker.checkout("user_123")
            self.worker.checkin()
        self.assertEqual((self.worker.sessions, self.worker.status), ({"user_123"}, "ready"))

    def test_a_busy_worker_refuses_another_session(self) -> None:
        self.worker.checkout("user_123")
        with self.assertRaisesRegex(SessionMismatch, "serves the session 'user_123', not 'user_456'"):
            self.worker.checkout("user_456")
        self.assertEqual(self.worker.session_id, "user_123")

    def test_it_serves_one_call_of_a_session_at_a_time(self) -> None:
        self.worker.checkout("user_123")
        with self.assertRaisesRegex(PoolError, "worker is busy"):
            self.worker.checkout("user_123")

    def test_a_dead_worker_serves_nobody(self) -> None:
        self.worker.died()
        self.worker.checkin()
        with self.assertRaisesRegex(PoolError, "worker is dead"):
            self.worker.checkout("user_123")


class TestHealth(PoolCase):
    def test_a_worker_that_answers_is_healthy(self) -> None:
        mock, port = self.mock_port()
        mock.healthy()
        worker = PoolWorker("worker", port, health_failures=2)
        self.assertTrue(worker.health_check())
        self.assertGreater(worker.last_health_check, 0)
        self.assertEqual(worker.health_failures, 0)

    async def test_each_check_that_fails_counts(self) -> None:
        mock, port = self.mock_port()
        mock.simulate_timeout("ping", times=3)
        worker = PoolWorker("worker", port)
        for failures in (1, 2, 3):
            self.assertFalse(worker.health_check(timeout=0.01))
            self.assertEqual(worker.health_failures, failures)
        self.assertEqual(worker.last_health_check, 0.0)
        await mock.wait_for_command("ping", count=3)


class _Port:
    """A port that nobody calls."""

    alive = True
    pid = None


class WorkerMachine(RuleBasedStateMachine):
    """Any sequence of what can happen to a worker, beside what has to be true of it."""

    kind: ClassVar[type[PoolWorker]] = PoolWorker
    sessions = st.sampled_from(["ann", "bob", None])

    def __init__(self) -> None:
        super().__init__()
        self.worker = self.kind("worker", _Port())  # type: ignore[arg-type]
        self.serving: tuple[str | None] | None = None

    @rule(session=sessions)
    def checkout(self, session: str | None) -> None:
        allowed = self.worker.status == "ready"
        try:
            self.worker.checkout(session)
        except PoolError:
            assert not allowed, "a ready worker has refused"
        else:
            assert allowed, f"the worker serves {self.serving} and took {session!r}"
            self.serving = (session,)

    @rule()
    def checkin(self) -> None:
        self.worker.checkin()
        self.serving = None

    @precondition(lambda self: self.worker.operations > 2)
    @rule()
    def die(self) -> None:
        self.worker.died()
        self.serving = None

    @invariant()
    def it_is_in_one_of_three_states(self) -> None:
        assert self.worker.status in {"ready", "busy", "dead"}
        assert (self.worker.status == "busy") == (self.serving is not None)
        assert self.worker.session_id == (self.serving or (None,))[0]


class Promiscuous(PoolWorker):
    """Forgets that it serves somebody."""

    def checkout(self, session: str | None) -> None:
        if self.status == "busy":
            self.status = "ready"
        super().checkout(session)


class PromiscuousMachine(WorkerMachine):
    kind = Promiscuous


STEPS = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),  # A slow machine is no fault of what is generated.
)
FEW_STEPS = settings(STEPS, stateful_step_count=5)


@tag(layer="component")  # Hypothesis first reads the source of all that is imported, which unit tests have no time for.
class TestTransitions(PoolCase):
    def test_every_sequence_keeps_the_rules(self) -> None:
        run_state_machine_as_test(WorkerMachine, settings=STEPS)

    def test_a_planted_bug_is_found_and_shrunk_to_two_steps(self) -> None:
        with self.assertRaisesRegex(AssertionError, "the worker serves .* and took") as caught:
            run_state_machine_as_test(PromiscuousMachine, settings=FEW_STEPS)
        steps = [line for line in caught.exception.__notes__ if line.startswith("state.checkout")]
        self.assertEqual(len(steps), 2, steps)
