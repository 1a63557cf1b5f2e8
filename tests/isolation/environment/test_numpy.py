import pickle
import random
import sys
import types
import unittest
import unittest.mock
from collections.abc import Callable
from typing import Any

try:
    import numpy as np
    import numpy.random  # It loads it when first used, and a test in which it does so has no generator of its own.
except ImportError:
    raise unittest.SkipTest("numpy is not installed") from None

from supertester.isolation import uninstall
from supertester.isolation.environment import numpy_random
from supertester.testing import inner_case, run_inner
from tests.alone import alone
from tests.isolation.environment.support import report_of, side_by_side


class TestNumpy(unittest.TestCase):
    def test_its_functions_can_be_sent_to_other_processes(self) -> None:
        report_of(lambda case: np.random.rand())
        for name in ("rand", "randint", "seed", "sample", "ranf"):
            with self.subTest(name=name):
                function = getattr(np.random, name)
                self.assertIs(pickle.loads(pickle.dumps(function)), function)

    def test_the_same_test_draws_the_same_numbers_again(self) -> None:
        seen: list[Any] = []

        def body(case: Any) -> None:
            case.assertEqual(case.environment.summary(), [])
            seen.append(
                (np.random.rand(), np.random.randint(0, 1000), list(np.random.permutation(9)), np.random.normal())
            )
            case.assertEqual(case.environment.summary(), ["numpy"])

        self.assertEqual(report_of(body) + report_of(body), "")
        self.assertEqual(seen[0], seen[1])

    @alone("draws from the generator of the process, which Hypothesis seeds")
    def test_what_a_test_draws_and_seeds_changes_nothing_outside(self) -> None:
        np.random.seed(5)
        expected = np.random.rand()
        np.random.seed(5)

        def body(case: Any) -> None:
            np.random.seed(7)
            case.assertEqual(np.random.rand(), np.random.RandomState(7).rand())
            state = np.random.get_state()
            first = np.random.rand()
            np.random.set_state(state)
            case.assertEqual(np.random.rand(), first)

        self.assertEqual(report_of(body), "")
        self.assertEqual(np.random.rand(), expected)

    def test_two_at_once_each_draw_from_their_own(self) -> None:
        def body(seed: int) -> Callable[..., None]:
            def test(case: Any, meet: Callable[[], object]) -> None:
                expected = np.random.RandomState(seed)
                np.random.seed(seed)
                for _ in range(5):
                    meet()
                    case.assertEqual(np.random.rand(), expected.rand())

            return test

        self.assertEqual(side_by_side(body(1), body(2)), ["", ""])

    def test_hypothesis_seeds_that_of_the_test(self) -> None:
        from hypothesis import given, settings
        from hypothesis import strategies as st
        from hypothesis.internal import entropy

        uninstall()
        given(st.none())(settings(max_examples=1, database=None)(lambda _: None))()
        self.assertIsNotNone(entropy.NP_RANDOM)
        seen = set()

        def body(case: Any) -> None:
            @settings(max_examples=3, database=None)
            @given(st.integers())
            def check(_: int) -> None:
                seen.add((np.random.rand(), random.random()))

            check()

        self.assertEqual(report_of(body), "")
        self.assertEqual(len(seen), 1)

    def test_uninstall_puts_everything_back(self) -> None:
        uninstall()
        before = {name: each for name, each in vars(np.random).items() if callable(each)}
        run_inner(inner_case(lambda case: None))
        self.assertNotEqual(np.random.rand, before["rand"])
        uninstall()
        self.assertEqual({name: each for name, each in vars(np.random).items() if callable(each)}, before)

    def test_one_that_is_half_imported_is_left_to_a_later_test(self) -> None:
        uninstall()
        half = types.ModuleType("numpy.random")
        half.__spec__ = types.SimpleNamespace(_initializing=True)  # type: ignore[assignment]
        with unittest.mock.patch.dict(sys.modules, {"numpy.random": half}):
            self.assertEqual(report_of(lambda case: None), "")
        expected = np.random.RandomState(3).rand()

        def body(case: Any) -> None:
            np.random.seed(3)
            case.assertEqual(np.random.rand(), expected)
            case.assertEqual(case.environment.summary(), ["numpy"])

        self.assertEqual(report_of(body), "")

    def test_a_numpy_without_the_shared_generator_is_left_alone(self) -> None:
        with unittest.mock.patch.dict(sys.modules, {"numpy.random": unittest}):
            self.assertIsNone(numpy_random.install()())
