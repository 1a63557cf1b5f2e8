import asyncio
import copy
import gc
import importlib
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase, tag
from supertester.errors import UsageError
from supertester.isolation import isolate, uninstall
from supertester.isolation.identity import owner
from supertester.isolation.tables import places, routes, routing
from supertester.otp import GenServer
from supertester.telemetry.emission import add_listener, remove_listener
from supertester.testing import inner_case, run_inner
from tests.isolation.tables_support import KINDS, SORTS, STORE, TablesTestCase, names_in


class TestMirrors(TablesTestCase):
    def test_two_tests_at_once_see_their_own_and_the_source_stays(self) -> None:
        barrier = threading.Barrier(2, timeout=20)
        before = {kind: copy.deepcopy(names_in(self.get(kind))) for kind in KINDS}

        def body_of(name: str) -> Any:
            def body(case: Any) -> None:
                mirrors = {kind: case.tables.mirror(self.ref(kind)) for kind in KINDS}
                barrier.wait()
                self.user.login(name)
                barrier.wait()
                for kind, mirror in mirrors.items():
                    with case.subTest(kind=kind):
                        case.assertEqual(names_in(self.get(kind)), {name})
                        case.assertEqual(names_in(mirror), {name})
                        case.assertIs(type(mirror), self.get(kind).__class__)

            return body

        self.run_together(body_of("ada"), body_of("bob"))
        self.assertEqual({kind: names_in(self.get(kind)) for kind in KINDS}, before)

    def test_one_within_another_shares_its_tables_until_it_has_its_own(self) -> None:
        async def body(case: Any) -> None:
            outer = case.tables.mirror(self.ref("SESSIONS"))
            async with isolate("full_isolation") as inner:
                self.user.login("shared")
                case.assertEqual(names_in(outer), {"shared"})
                restore = inner.feature("tables").inject(self.name, "SESSIONS", {})
                self.user.login("injected")
                restore()
                self.user.login("shared again")
                with inner.feature("environment").config(self.store.SESSIONS, in_config=1):
                    case.assertIn("in_config", outer)
                inner.feature("environment").config(self.store.SESSIONS, to_the_end=1)
                case.assertIn("to_the_end", outer)
                own = inner.feature("tables").mirror(self.ref("SESSIONS"))
                self.user.login("own")
                case.assertEqual(names_in(own), {"own"})
            case.assertEqual(names_in(outer), {"shared", "shared again"})

        before = set(self.store.SESSIONS)
        self.run_test(body)
        self.assertEqual(set(self.store.SESSIONS), before)

    def test_without_a_mirror_the_interference_shows(self) -> None:
        barrier = threading.Barrier(2, timeout=20)
        seen: list[set[str]] = []

        def body_of(name: str) -> Any:
            def body(case: Any) -> None:
                barrier.wait()
                self.user.login(name)
                barrier.wait()
                seen.append(set(self.store.SESSIONS))

            return body

        self.run_together(body_of("ada"), body_of("bob"))
        self.assertEqual(seen, [{"outside", "ada", "bob"}] * 2)

    def test_begin_with_deep_copies_of_the_data_where_that_is_asked_for(self) -> None:
        def body(case: Any) -> None:
            for kind in KINDS:
                with case.subTest(kind=kind):
                    mirror = case.tables.mirror(self.ref(kind), include_data=True)
                    case.assertIn("outside", mirror)
                    case.assertIn("outside", self.get(kind))
            self.store.SESSIONS["outside"].append(2)
            self.store.REGISTRY.entries.clear()
            case.assertEqual(self.user.alias, {"outside": [1, 2]})

        self.run_test(body)
        self.assertEqual(self.store.SESSIONS, {"outside": [1]})
        self.assertIn("outside", self.store.REGISTRY)

    def test_keep_what_is_no_data(self) -> None:
        def body(case: Any) -> None:
            registry = case.tables.mirror(self.ref("REGISTRY"))
            case.assertEqual((registry.entries, registry.title), ({}, "registry"))
            case.assertIs(registry.by_value, registry.entries)
            case.assertIsNot(registry.lock, source_lock)
            case.assertEqual(case.tables.mirror(self.ref("RECENT")).maxlen, 3)
            case.assertEqual(case.tables.mirror(self.ref("GROUPS")).default_factory, list)
            named = case.tables.mirror(self.ref("NAMED"))
            self.store.NAMED.note("ada")
            case.assertEqual((named, named.log), ({"ada": 0}, ["ada"]))

        source_lock = self.store.REGISTRY.lock
        self.run_test(body)
        self.assertEqual((self.store.NAMED, self.store.NAMED.log), ({"outside": 1}, ["outside"]))

    def test_may_be_of_objects_of_all_sorts(self) -> None:
        sorts = self.module(f"{self.name}_sorts", SORTS)
        before = {name: look() for name, look in sorts.LOOK.items()}

        def body(case: Any, *, include_data: bool) -> None:
            for name, look in sorts.LOOK.items():
                with case.subTest(name=name):
                    mirror = case.tables.mirror(f"{sorts.__name__}:{name}", include_data)
                    sorts.TOUCH[name]()
                    case.assertEqual(look(), [*(before[name] if include_data else []), 1])
                    case.assertIs(getattr(sorts, name).__class__, type(mirror))

        self.run_test(lambda case: body(case, include_data=False))
        self.run_test(lambda case: body(case, include_data=True))
        self.assertEqual({name: look() for name, look in sorts.LOOK.items()}, before)
        self.assertEqual(sorts.subclasses, ["Registered"])

    def test_are_seen_through_every_way_the_program_holds_the_table(self) -> None:
        def body(case: Any) -> None:
            sessions = case.tables.mirror(self.ref("SESSIONS"))
            self.store.login("ada")
            ways = {
                "module": self.store.SESSIONS,
                "from import": self.user.SESSIONS,
                "alias": self.user.alias,
                "instance": self.store.service.store,
                "slot": self.store.slotted.store,
                "dict": self.store.nested["sessions"],
                "list": self.store.nested["all"][0],
                "closure": self.store.look(),
                "default": self.store.by_default()[0],
                "keyword default": self.store.by_default()[1],
                "later import": importlib.import_module(self.name).SESSIONS,
            }
            for way, found in ways.items():
                with case.subTest(way=way):
                    case.assertEqual(found, {"ada": []})
                    case.assertEqual(sessions, found)

        self.run_test(body)
        self.assertEqual(self.store.service.store, {"outside": [1]})

    def test_are_seen_by_tasks_threads_executors_and_servers_of_the_test(self) -> None:
        class Logs(GenServer):
            def handle_call(server, name: Any, sender: Any) -> Any:  # noqa: N805
                return self.user.login(name)

        async def in_task(name: str) -> None:
            self.user.login(name)

        async def body(case: Any) -> None:
            sessions = case.tables.mirror(self.ref("SESSIONS"))
            await asyncio.create_task(in_task("task"))
            await asyncio.to_thread(self.user.login, "to_thread")
            await asyncio.get_running_loop().run_in_executor(None, self.user.login, "executor")
            thread = threading.Thread(target=self.user.login, args=("thread",))
            thread.start()
            thread.join()
            server = await Logs.start_link()
            await server.call("server")
            case.assertEqual(set(sessions), {"task", "to_thread", "executor", "thread", "server"})

        self.run_test(body)
        self.assertEqual(self.store.SESSIONS, {"outside": [1]})

    def test_are_seen_by_an_executor_that_outlives_the_test_only_in_its_jobs(self) -> None:
        with ThreadPoolExecutor(1) as pool:

            def body(case: Any) -> None:
                sessions = case.tables.mirror(self.ref("SESSIONS"))
                pool.submit(self.user.login, "ada").result()
                case.assertEqual(set(sessions), {"ada"})

            self.run_test(body)
            pool.submit(self.user.login, "outside 2").result()
        self.assertEqual(set(self.store.SESSIONS), {"outside", "outside 2"})

    def test_leave_a_patch_what_it_has_to_put_back(self) -> None:
        def body(case: Any) -> None:
            with mock.patch.dict(self.store.SESSIONS, {"patched": 1}):
                mirror = case.tables.mirror(self.ref("SESSIONS"))
                self.store.login("ada")
            case.assertEqual(mirror, {"ada": []})

        self.run_test(body)
        self.assertEqual(self.store.SESSIONS, {"outside": [1]})

    def test_of_a_table_that_somebody_put_back_are_seen_again(self) -> None:
        source = [self.store.SESSIONS]  # The first mirror changes this list as well.

        def body(case: Any) -> None:
            case.tables.mirror(self.ref("SESSIONS"))
            self.store.login("ada")
            case.assertEqual(set(self.user.alias), {"ada"})

        self.run_test(body)
        [standin] = source
        self.store.SESSIONS = routing.table_of(standin).source
        self.run_test(body)
        self.assertIs(self.store.SESSIONS, standin)

    def test_are_seen_through_a_method_that_somebody_keeps(self) -> None:
        def keep(case: Any) -> None:
            case.tables.mirror(self.ref("SESSIONS"))
            self.kept = self.store.SESSIONS.setdefault, self.store.SESSIONS.__contains__

        def use(case: Any) -> None:
            mirror = case.tables.mirror(self.ref("SESSIONS"))
            put, has = self.kept
            put("ada", 1)
            case.assertEqual((mirror, has("ada"), has("outside")), ({"ada": 1}, True, False))

        self.run_test(keep)
        self.run_test(use)
        self.assertTrue(self.kept[1]("outside"))

    def test_of_the_same_table_are_one(self) -> None:
        def body(case: Any) -> None:
            sessions = case.tables.mirror(self.ref("SESSIONS"))
            sessions["ada"] = 1
            case.assertIs(case.tables.mirror(self.ref("SESSIONS")), sessions)
            case.assertIs(case.tables.mirror(f"{self.name}_user:alias"), sessions)
            case.assertIs(case.tables.mirror_of(self.ref("SESSIONS")), sessions)
            case.assertEqual(sessions, {"ada": 1})
            message = "is mirrored in this test with include_data=False, which cannot become True; mirror it once"
            with case.assertRaisesRegex(UsageError, message):
                case.tables.mirror(self.ref("SESSIONS"), include_data=True)

        self.run_test(body)

    def test_are_made_for_the_class_and_for_a_tag(self) -> None:
        sessions, queue = self.ref("SESSIONS"), self.ref("QUEUE")

        class Inner(IsolatedTestCase, tables=[sessions]):
            @tag(tables=[queue])
            def test(case) -> None:  # noqa: N805
                self.user.login("ada")
                case.assertEqual(case.tables.mirror_of(sessions), {"ada": []})
                case.assertEqual(case.tables.mirror_of(queue), ["ada"])

            @tag(tables=queue)
            def test_one_name(case) -> None:  # noqa: N805
                case.assertEqual(self.store.QUEUE, [])

        self.assertEqual(run_inner(Inner).report, "")
        self.assertEqual(self.store.QUEUE, ["outside"])

    def test_of_cached_functions_are_fresh_caches_of_the_same_size(self) -> None:
        squared = self.store.squared
        squared(2)

        def body(case: Any) -> None:
            case.tables.mirror(self.ref("squared"))
            routed = self.user.squared
            case.assertEqual(routed(2), 4)
            case.assertEqual(routed(2), 4)
            case.assertEqual(tuple(self.store.squared.cache_info()), (1, 1, 3, 1))
            case.assertEqual(routed.cache_parameters(), {"maxsize": 3, "typed": True})
            case.assertEqual((routed.__name__, routed.__wrapped__(3)), ("squared", 9))
            routed.cache_clear()
            case.assertEqual(routed.cache_info().currsize, 0)
            case.tables.mirror(self.ref("Registry.doubled"))
            case.assertEqual(self.store.REGISTRY.doubled(4), 8)
            case.assertEqual(self.store.Registry.doubled.cache_info().currsize, 1)

        self.run_test(body)
        self.assertEqual(tuple(self.store.squared.cache_info()), (0, 1, 3, 1))
        self.assertEqual(self.store.Registry.doubled.cache_info().currsize, 0)

    def test_are_gone_after_the_test(self) -> None:
        kept: list[Any] = []

        class Row:
            pass

        def body(case: Any) -> None:
            row = self.store.SESSIONS if False else Row()
            case.tables.mirror(self.ref("SESSIONS"))["row"] = row
            kept.append(weakref.ref(row))
            kept.append(case.tables)

        self.run_test(body)
        gc.collect()
        self.assertIsNone(kept[0]())
        with self.assertRaisesRegex(UsageError, "has ended; mirror.* would have no effect"):
            kept[1].mirror(self.ref("SESSIONS"))

    def test_leave_nothing_behind_however_many_tests_there_are(self) -> None:
        contexts: list[Any] = []

        def body(case: Any) -> None:
            case.tables.mirror(self.ref("SESSIONS"))
            case.tables.inject(self.store.Registry, "limit", 1)
            contexts.append(weakref.ref(case.isolation))

        self.run_test(body)
        before = self.count_routes()
        for _ in range(20):
            self.run_test(body)
        gc.collect()
        self.assertEqual(self.count_routes(), before)
        self.assertEqual([context() for context in contexts], [None] * 21)

    def count_routes(self) -> tuple[int, int]:
        """Return how many objects and attributes of this test's program are routed."""
        attributes = [1 for cls, _, _ in routes._attributes if cls() is self.store.Registry]
        return len([1 for table in list(routes._standins) if table.name.startswith(self.name)]), len(attributes)

    def test_of_a_module_that_is_loaded_again_follow_it_and_leave_nothing(self) -> None:
        def body(case: Any) -> None:
            exec(STORE, self.store.__dict__)
            sessions = case.tables.mirror(self.ref("SESSIONS"))
            self.store.login("ada")
            case.assertEqual(set(sessions), {"ada"})

        del self.user
        sys.modules.pop(f"{self.name}_user")
        for _ in range(4):
            self.run_test(body)
        gc.collect()
        self.assertEqual(self.count_routes(), (1, 0))

    def test_that_outlived_code_of_the_test_asks_for_is_refused(self) -> None:
        go, seen = threading.Event(), []

        def straggler() -> None:
            go.wait(20)
            try:
                self.user.login("late")
            except UsageError as error:
                seen.append(str(error))

        def body(case: Any) -> None:
            case.tables.mirror(self.ref("SESSIONS"))
            self.thread = threading.Thread(target=straggler)
            self.thread.start()

        run_inner(inner_case(body))
        go.set()
        self.thread.join(20)
        self.assertIn("let the test wait for it", seen[0])
        self.assertEqual(self.store.SESSIONS, {"outside": [1]})

    def test_are_made_while_others_add_names_to_modules(self) -> None:
        """Where somebody listens to what Python does, other threads run between one look at a name and the next."""
        queue, seen = self.get("QUEUE"), list[int]()

        def told(value: Any) -> int:
            if value is queue:
                seen.append(id(value))
                for module in (self.store, self.user):
                    setattr(module, f"added_{len(seen)}", None)
            return id(value)

        def body(case: Any) -> None:
            with mock.patch.object(places, "id", told, create=True):
                case.tables.mirror(self.ref("QUEUE"))
            case.assertEqual(self.get("QUEUE"), [])

        self.run_test(body)
        self.assertTrue(seen)


class TestCreated(TablesTestCase):
    def test_tables_are_the_tests_own_and_in_its_summary(self) -> None:
        def body(case: Any) -> None:
            tables = case.tables
            made = tables.create("dict", name="prices", copy_from=self.ref("SESSIONS"))
            case.assertEqual((type(made), made), (dict, {"outside": [1]}))
            made["outside"].append(2)
            case.assertIs(tables.created["prices"], made)
            case.assertEqual((tables.create("list", copy_from=[1]), tables.create("set", copy_from=[1])), ([1], {1}))
            tables.mirror(self.ref("QUEUE"))
            restore = tables.inject(self.store, "SESSIONS", {})
            summary = case.isolation.summary()
            for line in (
                "table prices (dict)",
                f"mirror of {self.ref('QUEUE')} (0 rows)",
                f"injection into {self.ref('SESSIONS')} (test)",
            ):
                case.assertIn(line, summary)
            restore()
            case.assertNotIn("injection", case.isolation.summary())

        self.run_test(body)
        self.assertEqual(self.store.SESSIONS, {"outside": [1]})

    def test_with_table_ends_with_the_body_also_after_an_exception(self) -> None:
        def body(case: Any) -> None:
            with case.tables.with_table("list", name="a") as table:
                table.append(1)
                case.assertEqual(dict(case.tables.created), {"a": [1]})
            with case.assertRaises(KeyError), case.tables.with_table():
                raise KeyError
            case.assertEqual(dict(case.tables.created), {})

        self.run_test(body)

    def test_all_is_told_as_events(self) -> None:
        sent: list[tuple[str, Any]] = []
        ids: list[str] = []

        def told(case: Any) -> None:
            ids.append(case.isolation.test_id)
            case.tables.create(name="a")
            case.tables.mirror(self.ref("QUEUE"), include_data=True)
            case.tables.inject(self.store, "SESSIONS", {})

        def listen(event: Any) -> None:
            test = owner()
            if test is not None and test.test_id in ids:
                sent.append((event.name.removeprefix("supertester.ets."), dict(event.measurements)))

        add_listener(listen)
        self.addCleanup(remove_listener, listen)
        self.run_test(told)
        self.assertEqual(
            sent,
            [
                ("isolation.setup", {}),
                ("table.created", {}),
                ("table.mirrored", {"row_count": 1}),
                ("table.injected", {}),
                ("table.deleted", {}),
                ("table.deleted", {}),
                ("cleanup.complete", {"tables_deleted": 2}),
            ],
        )


class TestUninstall(TablesTestCase):
    def test_puts_the_very_objects_back_everywhere(self) -> None:
        before = {kind: id(self.get(kind)) for kind in (*KINDS, "squared", "now", "Registry.doubled")}
        limit = vars(self.store.Registry)["limit"]

        def body(case: Any) -> None:
            for kind in (*KINDS, "squared", "Registry.doubled"):
                case.tables.mirror(self.ref(kind))
            case.tables.inject(self.store, "now", lambda: 1)
            case.tables.inject(self.store.Registry, "limit", 1)
            self.late = self.store.SESSIONS

        self.run_test(body)
        self.assertNotEqual(id(self.store.SESSIONS), before["SESSIONS"])
        uninstall()
        self.assertEqual({kind: id(self.get(kind)) for kind in before}, before)
        self.assertEqual(vars(self.store.Registry)["limit"], limit)
        places = (self.user.alias, self.store.service.store, self.store.slotted.store, self.store.look(), self.late)
        self.assertEqual({id(place) for place in (*places, *self.store.by_default())}, {before["SESSIONS"]})

    def test_puts_two_back_that_one_place_holds(self) -> None:
        sessions, queue = id(self.store.SESSIONS), id(self.store.QUEUE)
        source = (
            f"from {self.name} import *\ndef both(sessions=SESSIONS, queue=QUEUE, limit=1):\n    return sessions, queue"
        )
        user = self.module(
            f"{self.name}_both", source + "\nclass Both:\n    one, two = SESSIONS, QUEUE\npair = [SESSIONS, QUEUE]\n"
        )

        def places() -> list[list[bool]]:
            pairs = (user.both(), (user.Both.one, user.Both.two), user.pair)
            return [[id(one) == sessions, id(two) == queue] for one, two in pairs]

        def body(case: Any) -> None:
            case.tables.mirror(self.ref("SESSIONS"))
            case.tables.mirror(self.ref("QUEUE"))
            self.assertEqual(places(), [[False, False]] * 3)

        self.run_test(body)
        uninstall()
        self.assertEqual(places(), [[True, True]] * 3)

    def test_looks_at_the_whole_process_twice_however_many_tables_there_are(self) -> None:
        def body(case: Any) -> None:
            for kind in KINDS[:3]:
                case.tables.mirror(self.ref(kind))

        def look(*things: Any) -> list[Any]:
            looks.append(len(things))
            return referrers(*things)

        self.run_test(body)
        looks, referrers = [], gc.get_referrers
        with mock.patch("gc.get_referrers", look):
            uninstall()
        self.assertLessEqual(len(looks), 2)
        self.assertGreaterEqual(looks[0], 3)
        self.assertEqual(self.store.SESSIONS.keys(), {"outside"})

    def test_can_be_followed_by_another_test(self) -> None:
        def body(case: Any) -> None:
            case.tables.mirror(self.ref("SESSIONS"))
            self.user.login("ada")
            case.assertEqual(set(self.store.SESSIONS), {"ada"})

        for _ in range(2):
            self.run_test(body)
            uninstall()
        self.assertEqual(self.store.SESSIONS.keys(), {"outside"})
