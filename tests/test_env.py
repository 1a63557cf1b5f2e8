import os
import sys
import types
import unittest
from collections.abc import Callable
from unittest import mock

from supertester import env
from supertester.env import DEFAULT, current_env, set_env
from supertester.errors import UsageError


class Recorder:
    def __init__(self) -> None:
        self.callbacks: list[Callable[[], object]] = []

    def on_exit(self, callback: Callable[[], object]) -> object:
        self.callbacks.append(callback)
        return None


class TestEnv(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(set_env, set_env(None))

    def test_the_default_is_the_running_test(self) -> None:
        self.assertIs(current_env(), DEFAULT)
        with self.assertRaisesRegex(UsageError, "no test is running here"):
            DEFAULT.on_exit(print)

    def test_set_env_returns_the_one_before(self) -> None:
        first, second = Recorder(), Recorder()
        self.assertIs(set_env(first), DEFAULT)
        self.assertEqual(set_env(second), first)
        self.assertIs(current_env(), second)

    def test_what_set_env_returned_can_be_set_again(self) -> None:
        first = Recorder()
        set_env(first)
        set_env(set_env(Recorder()))
        self.assertIs(current_env(), first)

    def test_set_env_is_a_context_manager(self) -> None:
        outer, inner = Recorder(), Recorder()
        with set_env(outer):
            with set_env(inner) as previous:
                current_env().on_exit(print)
                previous.on_exit(repr)
            self.assertIs(current_env(), outer)
        self.assertIs(current_env(), DEFAULT)
        self.assertEqual((outer.callbacks, inner.callbacks), ([repr], [print]))

    def test_environments_can_be_told_apart(self) -> None:
        recorder = Recorder()
        set_env(recorder)
        previous = set_env(None)
        self.assertEqual({previous, set_env(None)}, {previous, DEFAULT})
        self.assertNotEqual(DEFAULT, previous)
        self.assertEqual(repr(DEFAULT), "<environment: the running test>")
        self.assertIn("Recorder", repr(previous))

    def test_what_has_no_on_exit_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, r"needs a method on_exit\(callback\), got 3"):
            set_env(3)  # type: ignore[arg-type]


class TestEnvironmentVariable(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(set_env, set_env(None))
        module = types.ModuleType("harness_of_this_test")
        module.recorder = Recorder()  # type: ignore[attr-defined]
        module.Recorder = Recorder  # type: ignore[attr-defined]
        module.nothing = 3  # type: ignore[attr-defined]
        self.module = module
        self.enterContext(mock.patch.dict(sys.modules, {module.__name__: module}))
        self.enterContext(mock.patch.dict(env._loaded))

    def use(self, spec: str) -> None:
        self.enterContext(mock.patch.dict(os.environ, {env.VARIABLE: spec}))

    def test_names_an_environment(self) -> None:
        self.use("harness_of_this_test:recorder")
        self.assertIs(current_env(), self.module.recorder)

    def test_names_a_class_that_is_made_once(self) -> None:
        self.use("harness_of_this_test:Recorder")
        self.assertIsInstance(current_env(), Recorder)
        self.assertIs(current_env(), current_env())

    def test_gives_way_to_set_env(self) -> None:
        self.use("harness_of_this_test:recorder")
        mine = Recorder()
        with set_env(mine):
            self.assertIs(current_env(), mine)
        self.assertIs(current_env(), self.module.recorder)

    def test_nonsense_is_refused(self) -> None:
        for spec, message in {
            "harness_of_this_test": "must be module:attribute",
            "no_such_module:x": "cannot be loaded: No module named 'no_such_module'",
            "harness_of_this_test:other": "has no attribute 'other'",
            "harness_of_this_test:nothing": "has no method on_exit",
        }.items():
            with self.subTest(spec=spec):
                self.use(spec)
                with self.assertRaisesRegex(UsageError, message):
                    current_env()
