"""What the rest of an application sees."""

from __future__ import annotations

from typing import Any

from session_pool import ProgramAdapter, PythonPool, PythonPort

from supertester import HarnessMixin
from supertester.targets.stdio import MockPort
from tests.support import SIMPLE, PoolCase

CALLBACKS = [
    ("create_program", 1),
    ("execute_program", 2),
    ("execute_program", 3),
    ("list_programs", 0),
    ("delete_program", 1),
    ("get_program_info", 1),
    ("health_check", 0),
    ("get_stats", 0),
    ("supports_test_layer", 1),
    ("get_test_capabilities", 0),
]


class TestCompliance(HarnessMixin, PoolCase):
    def test_the_adapter_has_all_that_is_required(self) -> None:
        self.assert_implements(PythonPool, ProgramAdapter)
        self.assertEqual({name for name, _ in CALLBACKS}, {n for n in vars(ProgramAdapter) if not n.startswith("_")})

    def test_what_is_missing_or_different_is_named(self) -> None:
        async def coroutine(self: Any, program_id: str) -> None: ...
        def too_few(self: Any, program_id: str) -> dict[str, Any]: ...

        wrong: dict[str, Any] = {"execute_program": too_few, "delete_program": coroutine, "health_check": True}
        for name, value in {**wrong, "list_programs": None}.items():
            other = type("Other", (PythonPool,), {name: value})
            with self.subTest(name), self.assertRaisesRegex(AssertionError, name):
                self.assert_implements(other, ProgramAdapter)


class TestSessionAdapter(PoolCase):
    def setUp(self) -> None:
        self.mock = MockPort()
        self.mock.allow_command("create_program", {"program_id": "p"})
        self.mock.allow_command("execute_program", {"value": 2})
        pool = self.start_pool(1, port_factory=lambda: PythonPort(*self.mock.pipes()))
        self.adapter = PythonPool(pool).session_adapter("bound_test")

    def test_it_is_bound_to_its_session(self) -> None:
        self.assertEqual(self.adapter.session_id, "bound_test")
        self.assertTrue(callable(self.adapter.create_program) and callable(self.adapter.execute_program))

    def test_each_of_its_calls_says_so_on_the_wire(self) -> None:
        program = self.adapter.create_program({"signature": SIMPLE})
        self.adapter.execute_program(program, {"value": 1}, {"timeout": 5})
        self.assertEqual([each.message["session"] for each in self.mock.history()], ["bound_test", "bound_test"])
