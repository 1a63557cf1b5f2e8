"""What a test leaves or does wrong is found also while another thread explores, with the line of the test."""

from __future__ import annotations

from supertester.schedule.entropy import controlled_entropy
from supertester.testing import inner_case, run_inner
from tests.isolation import test_sleeps
from tests.isolation.leaks import test_planted


class Exploring:
    """Opens the control of entropy, which puts its stand-ins on top of what isolation has put into the process."""

    def setUp(self) -> None:
        run_inner(inner_case(lambda case: None))
        self.enterContext(controlled_entropy())  # type: ignore[attr-defined]
        super().setUp()  # type: ignore[misc]


class TestThreads(Exploring, test_planted.TestThreads):
    pass


class TestChildren(Exploring, test_planted.TestChildren):
    pass


class TestDescriptors(Exploring, test_planted.TestDescriptors):
    pass


class TestSleeps(Exploring, test_sleeps.TestSleeps):
    test_of_a_helper_that_bound_the_name_before_count = None  # type: ignore[assignment]  # Takes out and puts in again.


class TestPolicies(Exploring, test_sleeps.TestPolicies):
    pass
