import unittest

from supertester.context import Isolation, IsolationContext, Problem, ProcessInfo
from supertester.errors import UsageError


class TestIsolationContext(unittest.TestCase):
    def test_modes_are_strings(self) -> None:
        self.assertEqual(Isolation("registry"), "registry")
        self.assertEqual(f"{Isolation.FULL_ISOLATION}", "full_isolation")

    def test_tracks_processes_in_order(self) -> None:
        context = IsolationContext("t")
        context.track_process("one", name="n", module=dict)
        info = ProcessInfo("two")
        self.assertIs(context.track_process(info), info)
        self.assertEqual(context.processes, [ProcessInfo("one", "n", dict), info])

    def test_refuses_to_track_nothing(self) -> None:
        with self.assertRaisesRegex(UsageError, "needs a process, got None"):
            IsolationContext("t").track_process(None)

    def test_refuses_a_cleanup_that_cannot_be_called(self) -> None:
        with self.assertRaisesRegex(TypeError, "must be callable, got 3"):
            IsolationContext("t").add_cleanup(3)  # type: ignore[arg-type]

    def test_refuses_a_cleanup_that_would_never_run(self) -> None:
        with self.assertRaisesRegex(UsageError, "'t' has ended; its cleanup print would never run"):
            IsolationContext("t", closed=True).add_cleanup(print)

    def test_takes_no_problems_after_its_end(self) -> None:
        self.assertFalse(IsolationContext("t", closed=True).report(Problem("task", "m")))

    def test_has_no_features_while_it_does_not_run(self) -> None:
        with self.assertRaisesRegex(UsageError, "feature 'logs' is not available: test 't' is not running"):
            IsolationContext("t").feature("logs")

    def test_summary_says_what_the_test_created(self) -> None:
        context = IsolationContext("t", mode="basic")
        self.assertEqual(context.summary(), "t (basic)\n  nothing")
        context.track_process("<pid>", name="n", module=dict)
        context.add_cleanup(print, 1)
        context.features["ports"] = object()
        context.report(Problem("task", "something leaked"))
        self.assertEqual(
            context.summary().splitlines()[1:],
            ["  process '<pid>' named 'n' (dict)", "  feature ports", "  cleanup print", "  problem something leaked"],
        )

    def test_a_problem_shows_its_details_indented(self) -> None:
        self.assertEqual(str(Problem("task", "m", "a\nb\n")), "m\n     a\n     b")
