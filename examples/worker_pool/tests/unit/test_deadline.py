"""One deadline for all attempts."""

from __future__ import annotations

from worker_pool.deadline import Deadline

from supertester import IsolatedTestCase


class TestDeadline(IsolatedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 100.0

    def deadline(self, timeout: float, attempts: int) -> Deadline:
        return Deadline(timeout, attempts, lambda: self.now)

    def test_attempts_share_what_is_left(self) -> None:
        deadline = self.deadline(9.0, 3)
        self.assertEqual(deadline.share(0), 3.0)
        self.now += 3.0
        self.assertEqual(deadline.share(1), 3.0)
        self.now += 1.0  # It failed early, so the last one has more time.
        self.assertEqual(deadline.share(2), 5.0)

    def test_no_attempt_goes_beyond_the_deadline(self) -> None:
        deadline = self.deadline(9.0, 3)
        for spent in (0.0, 2.5, 8.0, 20.0):
            self.now = 100.0 + spent
            for attempt in range(3):
                self.assertLessEqual(deadline.share(attempt), deadline.left())

    def test_there_is_never_less_than_nothing_left(self) -> None:
        deadline = self.deadline(1.0, 1)
        self.now += 5.0
        self.assertEqual((deadline.left(), deadline.share(0)), (0.0, 0.0))
