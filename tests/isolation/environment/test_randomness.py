import pickle
import random
import secrets
import unittest
import uuid
from collections.abc import Callable
from typing import Any

from supertester.isolation import isolate, uninstall
from supertester.testing import inner_case, run_inner
from tests.alone import alone
from tests.isolation.environment import importer
from tests.isolation.environment.support import report_of, side_by_side


def draw() -> list[Any]:
    """Draw in all the ways that go another way through ``random``."""
    pack = list(range(20))
    random.shuffle(pack)
    return [
        random.random(),
        importer.random(),
        importer.getrandbits(40),
        importer.choice(pack),
        importer.gauss(0, 1),
        random.gauss(0, 1),
        random.randint(0, 1000),
        random.sample(pack, 3),
        random.randbytes(4),
        random.uniform(0, 1),
        pack,
    ]


class TestRandom(unittest.TestCase):
    @alone("seeds the generator of the process, as Hypothesis does")
    def test_the_same_test_draws_the_same_numbers_again(self) -> None:
        seen: list[Any] = []

        def body(case: Any) -> None:
            seen.append([*draw(), *draw()])

        self.assertEqual(report_of(body), "")
        random.seed(3)
        random.gauss(0, 1)
        self.assertEqual(report_of(body), "")
        self.assertEqual(seen[0], seen[1])

    def test_the_numbers_come_from_the_seed_of_the_test(self) -> None:
        seen: list[Any] = []

        def first(case: Any) -> None:
            seen.append(random.random())

        def second(case: Any) -> None:
            seen.append(random.random())

        self.assertEqual(report_of(first) + report_of(second), "")
        self.assertNotEqual(seen[0], seen[1])

    @alone("compares the generator of the process, which Hypothesis seeds")
    def test_what_a_test_draws_and_seeds_changes_nothing_outside(self) -> None:
        before = random.getstate()

        def body(case: Any) -> None:
            draw()
            random.seed(1)
            importer.seed(2)
            random.setstate(random.Random(3).getstate())
            random.gauss(0, 1)

        self.assertEqual(report_of(body), "")
        self.assertEqual(random.getstate(), before)

    def test_seeds_and_states_of_a_test_are_those_of_random(self) -> None:
        def body(case: Any) -> None:
            for seed in (random.seed, importer.seed):
                seed("fixed")
                expected = random.Random("fixed")
                case.assertEqual(random.getstate(), expected.getstate())
                case.assertEqual(
                    [random.gauss(0, 1), random.gauss(0, 1), importer.gauss(0, 1), importer.random()],
                    [expected.gauss(0, 1), expected.gauss(0, 1), expected.gauss(0, 1), expected.random()],
                )
            state = random.getstate()
            first = draw()
            random.setstate(state)
            case.assertEqual(draw(), first)

        self.assertEqual(report_of(body), "")

    def test_two_at_once_each_draw_from_their_own(self) -> None:
        seen: dict[int, Any] = {}

        def body(seed: int) -> Callable[..., None]:
            def test(case: Any, meet: Callable[[], object]) -> None:
                random.seed(seed)
                meet()
                numbers = []
                for _ in range(5):
                    numbers.append(random.random())
                    numbers.append(random.gauss(0, 1))
                    meet()
                seen[seed] = numbers

            return test

        self.assertEqual(side_by_side(body(1), body(2)), ["", ""])
        for seed, numbers in seen.items():
            expected = random.Random(seed)
            pairs = [(expected.random(), expected.gauss(0, 1)) for _ in range(5)]
            self.assertEqual(numbers, [number for pair in pairs for number in pair])

    def test_its_functions_can_be_pickled(self) -> None:
        def body(case: Any) -> None:
            copied = pickle.loads(pickle.dumps(random.random))
            case.assertEqual(copied(), random.random())

        self.assertEqual(report_of(body), "")

    def test_one_within_another_has_its_own(self) -> None:
        async def body(case: Any) -> None:
            random.seed(1)
            async with isolate("full_isolation"):
                random.seed(2)
            case.assertEqual(random.random(), random.Random(1).random())

        self.assertEqual(report_of(body), "")

    def test_what_is_meant_to_be_unpredictable_stays_so(self) -> None:
        seen: list[Any] = []

        def body(case: Any) -> None:
            seen.append((secrets.token_hex(), uuid.uuid4(), random.SystemRandom().random(), random.Random().random()))

        self.assertEqual(report_of(body) + report_of(body), "")
        self.assertFalse(set(seen[0]) & set(seen[1]))

    @alone("draws from the generator of the process, as Hypothesis does")
    def test_where_the_feature_is_off_the_process_draws(self) -> None:
        seen: list[Any] = []

        def body(case: Any) -> None:
            seen.append(random.random())

        state = random.getstate()
        self.assertEqual(report_of(body, environment=False), "")
        random.setstate(state)
        self.assertEqual(seen, [random.random()])

    def test_uninstall_puts_everything_back(self) -> None:
        uninstall()
        hidden: Any = random.random.__self__  # type: ignore[attr-defined]
        before = [random.random, random.getrandbits, random.seed, importer.random, importer.seed, type(hidden)]
        self.assertIs(type(hidden), random.Random)
        run_inner(inner_case(lambda case: None))
        self.assertIsNot(type(hidden), random.Random)
        self.assertNotEqual(importer.random, before[3])
        uninstall()
        after = [random.random, random.getrandbits, random.seed, importer.random, importer.seed, type(hidden)]
        self.assertEqual(after, before)
        state = random.getstate()
        expected = random.Random()
        expected.setstate(state)
        self.assertEqual(random.random(), expected.random())

    def test_the_summary_names_it(self) -> None:
        def body(case: Any) -> None:
            case.assertEqual(case.environment.summary(), [])
            random.random()
            case.assertEqual(case.environment.summary(), ["random"])

        self.assertEqual(report_of(body), "")
