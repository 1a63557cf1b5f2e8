import sys
import types
import warnings
from typing import Any
from unittest import mock

from supertester.errors import Unsupported, UsageError
from supertester.isolation.options import Options
from supertester.testing import inner_case, run_inner
from tests.isolation.tables_support import TablesTestCase


class TestRefusals(TablesTestCase):
    def refused(self, kind: type[Exception], message: str, act: Any) -> None:
        def body(case: Any) -> None:
            with case.assertRaisesRegex(kind, message):
                act(case.tables)

        self.run_test(body)

    def test_of_names_that_do_not_exist_are_told_with_those_that_come_close(self) -> None:
        self.refused(
            UsageError, "has no attribute 'SESIONS'; did you mean 'SESSIONS'", lambda t: t.mirror(self.ref("SESIONS"))
        )
        self.refused(
            UsageError,
            f"there is no module '{self.name}x'; did you mean .*'{self.name}'",
            lambda t: t.mirror(f"{self.name}x:SESSIONS"),
        )
        self.refused(UsageError, "there is no module 'x_nope'; check its spelling", lambda t: t.mirror("x_nope:y"))
        self.refused(UsageError, "no attribute 'limmit'", lambda t: t.inject(self.ref("Registry"), "limmit", 1))

    def test_of_what_is_no_reference(self) -> None:
        self.refused(UsageError, "did you mean 'myapp.store:SESSIONS'", lambda t: t.mirror("myapp.store.SESSIONS"))
        self.refused(UsageError, "names no table", lambda t: t.mirror(":x"))
        self.refused(TypeError, "a table is named by a string", lambda t: t.mirror(self.store.SESSIONS))
        self.refused(Unsupported, "Python itself reads it", lambda t: t.mirror("sys:path"))
        self.refused(Unsupported, "self.environment", lambda t: t.mirror("os:environ"))

    def test_of_a_module_that_fails_to_load_show_why(self) -> None:
        with mock.patch.dict(sys.modules, {"broken_store": None}):
            self.refused(UsageError, "there is no module 'broken_store'", lambda t: t.mirror("broken_store:X"))

    def test_of_a_module_whose_imports_fail_show_theirs(self) -> None:
        class Broken:
            def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
                if name == "broken_store":
                    raise ModuleNotFoundError("No module named 'its_import'", name="its_import")

        finder = Broken()
        sys.meta_path.insert(0, finder)
        self.addCleanup(sys.meta_path.remove, finder)
        self.refused(ModuleNotFoundError, "its_import", lambda t: t.mirror("broken_store:X"))

    def test_of_an_attribute_that_cannot_be_set_leave_nothing_to_restore(self) -> None:
        self.refused(TypeError, "immutable type", lambda t: t.inject(dict, "get", 1, scope="process"))
        self.refused(TypeError, "immutable type", lambda t: t.inject(dict, "get", 1))

    def test_of_an_operation_that_the_replacement_lacks(self) -> None:
        def subscribe(tables: Any) -> None:
            tables.inject(self.store, "QUEUE", object())
            self.store.QUEUE[0]

        self.refused(TypeError, "'object' object has no __getitem__", subscribe)

    def test_of_what_is_no_table(self) -> None:
        for name in ("LIMIT", "NAME", "Registry", "now", "collections"):
            with self.subTest(name=name):
                self.refused(
                    Unsupported, "which is no table; .* use inject", lambda t, name=name: t.mirror(self.ref(name))
                )
        self.assertIs(type(self.store.now), types.FunctionType)

    def test_of_mirrors_that_do_not_exist(self) -> None:
        message = r"is not mirrored in this test \(mirrored: .*:QUEUE\); call mirror\('.*:SESSIONS'\) first"

        def ask(tables: Any) -> None:
            tables.mirror(self.ref("QUEUE"))
            tables.mirror_of(self.ref("SESSIONS"))

        self.refused(UsageError, message, ask)

    def test_of_what_cannot_be_copied(self) -> None:
        self.store.SESSIONS["file"] = sys.stderr
        self.refused(
            UsageError,
            "cannot be copied .*mirror it without data",
            lambda t: t.mirror(self.ref("SESSIONS"), include_data=True),
        )
        self.refused(Unsupported, "cannot be read", lambda t: t.mirror(self.ref("squared"), include_data=True))
        self.assertIs(type(self.store.SESSIONS), dict)

    def test_of_kinds_scopes_and_names(self) -> None:
        self.refused(UsageError, "no kind of tables 'dictt'; did you mean 'dict'", lambda t: t.create("dictt"))
        self.refused(UsageError, "the kinds are dict, list, set", lambda t: t.create(3))
        self.refused(UsageError, "no kind of tables .{8}; did you mean .dict.", lambda t: t.create(["dict"]))
        self.refused(TypeError, "include_data must be True or False", lambda t: t.mirror(self.ref("QUEUE"), "all"))
        self.refused(UsageError, "cannot be made of copy_from=3", lambda t: t.create("list", copy_from=3))
        self.refused(UsageError, "scope must be one of", lambda t: t.inject(self.store, "SESSIONS", {}, scope="thread"))
        self.refused(UsageError, "named 'a' already", lambda t: (t.create(name="a"), t.create(name="a")))

    def test_of_class_keywords_come_when_the_class_is_made(self) -> None:
        with self.assertRaisesRegex(UsageError, "did you mean 'a:b'"):
            Options.made_of({"tables": ["a.b"]})
        with self.assertRaisesRegex(TypeError, "must be a list of references"):
            Options.made_of({"tables": 3})

    def test_of_a_place_that_cannot_be_changed(self) -> None:
        self.store.Registry.fixed = staticmethod(self.store.squared)
        self.refused(Unsupported, "cannot be routed", lambda t: t.mirror(self.ref("Registry.fixed")))

    def test_warn_of_holders_that_cannot_be_changed(self) -> None:
        self.store.holder = (self.store.SESSIONS, 1)
        self.store.getter = self.store.SESSIONS.get

        def suspended() -> Any:
            sessions = self.store.SESSIONS
            yield sessions

        generator = suspended()
        next(generator)

        def body(case: Any) -> None:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                case.tables.mirror(self.ref("SESSIONS"))
            [warning] = caught
            message = str(warning.message)
            case.assertIn(f"a tuple of 2 items ({self.name}.holder)", message)
            case.assertIn("its method 'get', kept by somebody", message)
            case.assertIn("the variable 'sessions' of ", message)
            case.assertEqual(warning.filename, __file__)

        self.run_test(body)
        generator.close()

    def test_of_writes_past_all_methods_fail_the_test(self) -> None:
        import heapq

        def body(case: Any) -> None:
            case.tables.mirror(self.ref("QUEUE"))
            heapq.heappush(self.store.QUEUE, "stray")

        report = run_inner(inner_case(body)).report
        self.assertIn("something wrote 1 items of", report)

        def into_a_dict(case: Any) -> None:
            case.tables.mirror(self.ref("ORDERED"))
            dict.__setitem__(self.store.ORDERED, "stray", 1)
            self.raw = repr(list(dict.__iter__(self.store.ORDERED)))

        for _ in range(2):
            self.assertIn("something wrote 1 items of", run_inner(inner_case(into_a_dict)).report)
            self.assertIn("ORDERED, read past its methods>, 'stray']", self.raw)
        self.assertEqual(self.store.QUEUE, ["outside"])
        self.run_test(lambda case: case.assertEqual(case.tables.mirror(self.ref("QUEUE")), []))
