import unittest

from supertester.schedule.accesses import Accesses
from supertester.schedule.happens_before import HappensBefore, class_of
from supertester.schedule.steps import Step, dependent


def step(lane, *causes, reads=(), writes=(), adds=(), epoch=0):
    made = Step((lane,), causes, epoch)
    made.reads.update(reads)
    made.writes.update(writes)
    made.adds.update(adds)
    return made


class TestDependence(unittest.TestCase):
    def test_two_reads_commute_and_a_write_commutes_with_neither_a_read_nor_a_write(self):
        self.assertFalse(dependent(step(0, reads="x"), step(1, reads="x")))
        self.assertTrue(dependent(step(0, reads="x"), step(1, writes="x")))
        self.assertTrue(dependent(step(0, writes="x"), step(1, reads="x")))
        self.assertTrue(dependent(step(0, writes="x"), step(1, writes="x")))
        self.assertFalse(dependent(step(0, writes="x"), step(1, writes="y")))

    def test_counting_commutes_with_counting_alone(self):
        self.assertFalse(dependent(step(0, adds="x"), step(1, adds="x")))
        self.assertTrue(dependent(step(0, adds="x"), step(1, reads="x")))
        self.assertTrue(dependent(step(0, writes="x"), step(1, adds="x")))

    def test_taking_away_a_callback_is_not_independent_of_its_lane(self):
        one = step(0)
        one.disabled.append(((1,), ()))
        self.assertTrue(dependent(one, step(1)))
        self.assertTrue(dependent(step(1), one))
        self.assertFalse(dependent(one, step(2)))


class TestHappensBefore(unittest.TestCase):
    def test_what_nothing_else_orders_races(self):
        order = HappensBefore([step(0, writes="x"), step(1, writes="x"), step(2, reads="y")])
        self.assertEqual(order.races, [[], [0], []])
        self.assertEqual(order.reversal(0, 1), [(1,)])

    def test_cause_lane_and_time_order_without_a_race(self):
        self.assertEqual(HappensBefore([step(0, writes="x"), step(1, 0, writes="x")]).races, [[], []])
        self.assertEqual(HappensBefore([step(0, writes="x"), step(0, writes="x")]).races, [[], []])
        self.assertEqual(HappensBefore([step(0, writes="x"), step(1, writes="x", epoch=1)]).races, [[], []])

    def test_a_conflict_over_a_third_step_is_no_race(self):
        order = HappensBefore([step(0, writes="xy"), step(1, writes="y"), step(2, 1, reads="x")])
        self.assertEqual(order.races, [[], [0], []])

    def test_a_reversal_begins_with_what_the_second_step_needs(self):
        order = HappensBefore([step(0, writes="x"), step(1, writes="y"), step(2, writes="xy")])
        self.assertEqual(order.races[2], [1, 0])
        self.assertEqual(order.reversal(0, 2), [(1,)])

    def test_stopping_races_with_everything_that_nothing_orders_before_it(self):
        steps = [step(0), step(1), step(2)]
        steps[2].last = True
        self.assertEqual(HappensBefore(steps).races, [[], [], [1, 0]])


class TestClass(unittest.TestCase):
    def test_the_order_of_independent_steps_makes_no_class_of_its_own(self):
        one = [step(0, writes="x"), step(1, writes="y"), step(2, 0, reads="x")]
        other = [step(1, writes="y"), step(0, writes="x"), step(2, 1, reads="x")]
        self.assertEqual(class_of(one), class_of(other))

    def test_the_order_of_conflicting_steps_does(self):
        one = [step(0, writes="x"), step(1, writes="x")]
        self.assertNotEqual(class_of(one), class_of(one[::-1]))


class Lane:
    def __init__(self, *path):
        self.path = path


class TestAccesses(unittest.TestCase):
    def test_names_say_who_made_an_object_and_how_manieth_it_is(self):
        accesses = Accesses()
        accesses.begin(Lane(0), ())
        first, second = object(), object()
        self.assertEqual([accesses.name(first), accesses.name(second)], [((0,), 1), ((0,), 2)])
        accesses.begin(Lane(1), ())
        self.assertEqual(accesses.name(first), ((0,), 1))
        self.assertEqual(accesses.name(object()), ((1,), 1))

    def test_what_no_lane_made_counts_as_one_per_type(self):
        accesses = Accesses()
        accesses.begin(Lane(0), ())
        accesses.touch([], changing=True)
        accesses.touch([], changing=False)
        (step,) = accesses.steps
        self.assertEqual((step.writes, step.reads), ({(("outside", "list"), None)}, {("lane", (0,)), *step.writes}))

    def test_whoever_counts_needs_all_that_counted_before(self):
        accesses = Accesses()
        counter = object()
        accesses.begin(Lane(0), ())
        accesses.add(counter)
        self.assertEqual(accesses.now, (0,))
        accesses.begin(Lane(1), ())
        self.assertEqual(accesses.now, (1,))
        accesses.begin(Lane(2), ())
        accesses.add(counter)
        accesses.write(counter)
        self.assertEqual(accesses.now, (0, 2))
        self.assertEqual(accesses.steps[2].writes, set())
