import copy
import itertools
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any
from unittest import mock

from supertester.errors import Unsupported
from supertester.testing import inner_case, run_inner
from tests.isolation.tables_support import TablesTestCase


class TestInjections(TablesTestCase):
    def test_are_seen_by_the_test_alone_until_restored(self) -> None:
        barrier = threading.Barrier(2, timeout=20)

        def body_of(name: str) -> Any:
            def body(case: Any) -> None:
                mine: dict[str, Any] = {}
                restore = case.tables.inject(self.store, "SESSIONS", mine)
                barrier.wait()
                self.user.alias[name] = 1
                barrier.wait()
                case.assertEqual((mine, self.store.SESSIONS), ({name: 1}, {name: 1}))
                case.assertTrue(restore())
                barrier.wait()
                case.assertEqual(self.user.alias, {"outside": [1]})

            return body

        self.run_together(body_of("ada"), body_of("bob"))

    def test_of_functions_are_called_by_the_module_itself(self) -> None:
        other = self.store.now

        def body(case: Any) -> None:
            with case.tables.inject(self.name, "now", lambda: "inside"):
                case.assertEqual((self.store.tell_time(), self.store.now()), ("inside", "inside"))
                case.assertEqual(other(), "outside")
            case.assertEqual(self.store.tell_time(), "outside")

        self.run_test(body)

    def test_of_functions_let_others_pickle_them_by_name(self) -> None:
        self.store.now.__module__ = self.name

        def body(case: Any) -> None:
            case.tables.inject(self.name, "now", mock.Mock(return_value="mocked"))
            with case.assertRaisesRegex(pickle.PicklingError, "Mock"):
                pickle.dumps(self.store.now)

        self.run_test(body)
        self.assertIs(pickle.loads(pickle.dumps(self.store.now)), self.store.now)
        self.assertIs(copy.copy(self.store.now), self.store.now)

    def test_of_what_the_standard_library_holds_are_seen_in_that_attribute_alone(self) -> None:
        log = self.store.log = logging.getLogger(self.name)

        def body(case: Any) -> None:
            fake = mock.Mock()
            case.tables.inject(self.store, "log", fake)
            self.store.log.warning("hello")
            fake.warning.assert_called_once_with("hello")
            case.assertIs(logging.getLogger(self.name), log)

        self.run_test(body)
        self.assertEqual(self.store.log.name, self.name)
        self.assertIsInstance(self.store.log, logging.Logger)

    def test_of_objects_are_seen_wherever_the_program_holds_them(self) -> None:
        def body(case: Any) -> None:
            case.tables.inject(self.store, "REGISTRY", mock.Mock(title="fake"))
            case.assertEqual((self.user.REGISTRY.title, self.store.REGISTRY.title), ("fake", "fake"))

        self.run_test(body)
        self.assertEqual(self.user.REGISTRY.title, "registry")

    def test_into_a_mirror_are_seen_in_the_mirror(self) -> None:
        def body(case: Any) -> None:
            mirror = case.tables.mirror(self.ref("REGISTRY"))
            with case.tables.inject(self.ref("REGISTRY"), "register", lambda name: f"fake {name}"):
                case.assertEqual(self.user.REGISTRY.register("a"), "fake a")
            with case.tables.inject(self.store.REGISTRY, "title", "fake", scope="process"):
                case.assertEqual((self.user.REGISTRY.title, mirror.title), ("fake", "fake"))
            case.assertIs(self.store.REGISTRY.register("a"), self.store.REGISTRY)
            case.assertEqual((mirror.title, list(mirror.entries)), ("registry", ["a"]))

        self.run_test(body)
        self.assertEqual(vars(self.store.REGISTRY).keys(), {"entries", "by_value", "lock", "title"})

    def test_of_class_attributes_may_be_of_any_type(self) -> None:
        registry, store = self.ref("Registry"), self.store

        def body(case: Any) -> None:
            case.tables.inject(registry, "limit", 1)
            case.tables.inject(registry, "version", staticmethod(lambda: 2))
            case.tables.inject(store.Registry, "register", lambda self, name: f"{self.title} {name}")
            case.tables.inject(registry, "shared", {"mine": 1})
            case.assertEqual((store.Registry.limit, store.REGISTRY.limit), (1, 1))
            case.assertEqual((store.Registry.version(), store.REGISTRY.version()), (2, 2))
            case.assertEqual(store.REGISTRY.register("x"), "registry x")
            case.assertEqual(store.Registry.shared, {"mine": 1})
            Context().run(lambda: None)

        self.run_test(body)
        self.assertEqual((store.Registry.limit, store.Registry.version()), (7, 1))
        self.assertIs(store.REGISTRY.register("x"), store.REGISTRY)

    def test_of_values_that_no_test_alone_can_see_are_refused_with_the_remedy(self) -> None:
        def body(case: Any) -> None:
            with case.assertRaisesRegex(Unsupported, "LIMIT is 5: .*scope='process'"):
                case.tables.inject(self.store, "LIMIT", 6)
            with case.assertRaisesRegex(Unsupported, "inherits 'limit' from Registry"):
                case.tables.inject(type("Sub", (self.store.Registry,), {}), "limit", 6)
            owner = type("Owner", (), {"size": property(lambda self: 1)})
            with case.assertRaisesRegex(Unsupported, "Owner.size is a property"):
                case.tables.inject(owner, "size", 6)

        self.run_test(body)

    def test_nest_and_are_restored_in_any_order_once_from_any_thread(self) -> None:
        for scope in ("test", "process"):
            for order in itertools.permutations(range(3)):
                with self.subTest(scope=scope, order=order):
                    self.run_test(lambda case, order=order, scope=scope: self.restored_in(order, scope, case))
                    self.assertEqual(self.store.SESSIONS, {"outside": [1]})

    def restored_in(self, order: tuple[int, ...], scope: str, case: Any) -> None:
        restores = [case.tables.inject(self.store, "SESSIONS", {number: 1}, scope=scope) for number in range(3)]
        left = [0, 1, 2]
        for number in order:
            with ThreadPoolExecutor(1) as pool:
                case.assertTrue(pool.submit(restores[number]).result())
            case.assertFalse(restores[number]())
            left.remove(number)
            case.assertEqual(self.store.SESSIONS, {left[-1]: 1} if left else {"outside": [1]})

    def test_by_many_threads_at_once_are_restored_once(self) -> None:
        def body(case: Any) -> None:
            restore = case.tables.inject(self.store, "LIMIT", 6, scope="process")
            with ThreadPoolExecutor(8) as pool:
                done = list(pool.map(lambda _: restore(), range(50)))
            case.assertEqual((done.count(True), self.store.LIMIT), (1, 5))

        self.run_test(body)

    def test_are_restored_at_the_end_whatever_the_body_does(self) -> None:
        def body(case: Any) -> None:
            case.tables.inject(self.store, "SESSIONS", {})
            case.tables.inject(self.store, "LIMIT", 6, scope="process")
            case.tables.inject(type_of(self.store), "limit", 6, scope="process")
            raise RuntimeError("in the body")

        def type_of(store: Any) -> Any:
            self.sub = type("Sub", (store.Registry,), {})
            return self.sub

        self.assertIn("in the body", run_inner(inner_case(body)).report)
        self.assertEqual((self.store.LIMIT, self.store.SESSIONS), (5, {"outside": [1]}))
        self.assertNotIn("limit", vars(self.sub))

    def test_for_the_process_are_seen_by_all_and_keep_what_a_class_holds(self) -> None:
        held = vars(self.store.Registry)["version"]

        def body(case: Any) -> None:
            with case.tables.inject(self.ref("Registry"), "version", lambda: 3, scope="process"):
                seen: list[int] = []
                thread = threading.Thread(target=lambda: seen.append(self.store.Registry.version()))
                Context().run(thread.start)
                thread.join()
                case.assertEqual(seen, [3])

        self.run_test(body)
        self.assertIs(vars(self.store.Registry)["version"], held)

    def test_lie_over_mirrors(self) -> None:
        def body(case: Any) -> None:
            restore = case.tables.inject(self.store, "SESSIONS", {"injected": 1})
            mirror = case.tables.mirror(self.ref("SESSIONS"))
            case.assertEqual(self.store.SESSIONS, {"injected": 1})
            restore()
            self.store.SESSIONS["mirrored"] = 1
            case.assertEqual(mirror, {"mirrored": 1})

        self.run_test(body)

    def test_of_a_table_into_itself_do_not_ask_for_ever(self) -> None:
        def body(case: Any) -> None:
            mirror = case.tables.mirror(self.ref("SESSIONS"))
            case.tables.inject(self.store, "SESSIONS", self.store.SESSIONS)
            self.store.SESSIONS["a"] = 1
            case.assertEqual(mirror, {"a": 1})

        self.run_test(body)
