"""`supertester.env`: where the helpers register what has to be undone."""

from __future__ import annotations

import unittest

from echo_lab import Counter

from supertester import IsolatedTestCase
from supertester.isolation import isolate, set_env
from supertester.processes import cleanup_on_exit
from tests.support import Notebook


class TestEnv(unittest.IsolatedAsyncioTestCase):
    def test_an_environment_of_ones_own_gets_the_cleanups(self) -> None:
        """A harness of its own is given what is to be run at the end."""
        notebook = Notebook()
        done: list[str] = []
        with set_env(notebook):
            cleanup_on_exit(lambda: done.append("cleaned up"))
        self.assertEqual(done, [])
        for callback in notebook.callbacks:
            callback()
        self.assertEqual(done, ["cleaned up"])

    async def test_isolation_ends_when_the_environment_says_so(self) -> None:
        """With an environment, the servers of `isolate` live until it runs the cleanup."""
        notebook = Notebook()
        async with isolate("registry", env=notebook):
            counter = await Counter.start_link(5)
        self.assertTrue(counter.is_alive())
        [cleanup] = notebook.callbacks
        await cleanup()
        self.assertFalse(counter.is_alive())

    def test_what_is_no_environment_is_refused(self) -> None:
        """An object without on_exit() is refused, and the message shows it."""
        with self.assertRaisesRegex(TypeError, "on_exit"):
            set_env("no environment")  # type: ignore[arg-type]


class TestTheEnvironmentOfATest(IsolatedTestCase):
    done: list[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.done = []

    @classmethod
    def tearDownClass(cls) -> None:
        if cls.done != ["second", "first"]:
            raise AssertionError(f"the cleanups did not run newest first: {cls.done}")
        super().tearDownClass()

    async def test_cleanups_run_newest_first(self) -> None:
        """By default the running test is the environment; cleanups, plain or async, run newest first."""

        async def second() -> None:
            self.done.append("second")

        self.cleanup_on_exit(lambda: self.done.append("first"))
        self.cleanup_on_exit(second)
        self.assertEqual(self.done, [])
