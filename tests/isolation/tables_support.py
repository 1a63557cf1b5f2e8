"""A program with tables of every kind, and tests that run inner tests over it."""

import functools
import itertools
import sys
import threading
import types
import unittest
from contextvars import Context
from typing import Any

from supertester.testing import inner_case, run_inner

STORE = """
import collections, functools, threading

SESSIONS = {"outside": [1]}
QUEUE = ["outside"]
SEEN = {"outside"}
RECENT = collections.deque(["outside"], maxlen=3)
ORDERED = collections.OrderedDict(outside=1)
GROUPS = collections.defaultdict(list, outside=[1])
COUNTS = collections.Counter(outside=1)
LIMIT = 5
NAME = "outside"


class Registry:
    limit = 7
    shared = {"outside": 1}

    def __init__(self):
        self.entries = {"outside": 1}
        self.by_value = self.entries
        self.lock = threading.Lock()
        self.title = "registry"

    def register(self, name):
        with self.lock:
            self.entries[name] = len(self.entries)
        return self

    def __contains__(self, name):
        return name in self.entries

    @functools.lru_cache(maxsize=4)
    def doubled(self, number):
        return number * 2

    @staticmethod
    def version():
        return 1


REGISTRY = Registry()


class Named(dict):
    def __init__(self, *args):
        super().__init__(*args)
        self.log = ["outside"]

    def note(self, name):
        self.log.append(name)
        self[name] = len(self)


NAMED = Named({"outside": 1})
calls = []


@functools.lru_cache(maxsize=3, typed=True)
def squared(number):
    calls.append(number)
    return number * number


def now():
    return "outside"


def tell_time():
    return now()


def login(name):
    SESSIONS[name] = []
    QUEUE.append(name)
    SEEN.add(name)
    RECENT.append(name)
    ORDERED[name] = 1
    GROUPS[name].append(1)
    COUNTS[name] += 1
    REGISTRY.register(name)
    NAMED.note(name)
    Registry.shared[name] = 1


class Service:
    def __init__(self, store):
        self.store = store


class Slotted:
    __slots__ = ("store",)

    def __init__(self, store):
        self.store = store


service, slotted = Service(SESSIONS), Slotted(SESSIONS)
nested = {"sessions": SESSIONS, "all": [SESSIONS]}


def in_closure(store=SESSIONS):
    def look():
        return store
    return look


def by_default(store=SESSIONS, *, keyword=SESSIONS):
    return store, keyword


look = in_closure()
"""
SORTS = """
import collections, configparser, dataclasses, queue, threading, types, typing, weakref

subclasses = []


class Told(dict):
    def __init_subclass__(cls):
        subclasses.append(cls.__name__)


class Registered(Told):
    pass


class Generic(dict[str, int], typing.Generic[typing.TypeVar("T")]):
    pass


class Slotted:
    __slots__ = ("rows", "__private")

    def __init__(self):
        self.rows = self.__private = [0]


@dataclasses.dataclass
class Rows:
    rows: list = dataclasses.field(default_factory=lambda: [0])


class Synchronised:
    def __init__(self):
        self.rows = [0]
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.ready = threading.Event()
        self.ready.set()
        self.local = threading.local()

    def use(self):
        assert self.ready.is_set()
        with self.lock, self.changed:
            self.rows.append(1)
            self.changed.notify_all()


class Row:
    pass


row, other = Row(), Row()
JOBS = queue.Queue()
JOBS.put(0)
SPACE = types.SimpleNamespace(rows=[0])
USERS = collections.UserDict({0: 0})
REGISTERED = Registered({0: 0})
GENERIC = Generic({0: 0})
SLOTTED = Slotted()
ROWS = Rows()
SYNCHRONISED = Synchronised()
WEAK = weakref.WeakValueDictionary({0: row})

LOOK = {
    "JOBS": lambda: list(JOBS.queue),
    "SPACE": lambda: SPACE.rows,
    "USERS": lambda: list(USERS),
    "REGISTERED": lambda: list(REGISTERED),
    "GENERIC": lambda: list(GENERIC),
    "SLOTTED": lambda: SLOTTED.rows,
    "ROWS": lambda: ROWS.rows,
    "SYNCHRONISED": lambda: SYNCHRONISED.rows,
    "WEAK": lambda: list(WEAK),
}
TOUCH = {
    "JOBS": lambda: JOBS.put(1),
    "SPACE": lambda: SPACE.rows.append(1),
    "USERS": lambda: USERS.update({1: 1}),
    "REGISTERED": lambda: REGISTERED.update({1: 1}),
    "GENERIC": lambda: GENERIC.update({1: 1}),
    "SLOTTED": lambda: SLOTTED.rows.append(1),
    "ROWS": lambda: ROWS.rows.append(1),
    "SYNCHRONISED": lambda: SYNCHRONISED.use(),
    "WEAK": lambda: WEAK.update({1: other}),
}
"""
KINDS = ("SESSIONS", "QUEUE", "SEEN", "RECENT", "ORDERED", "GROUPS", "COUNTS", "REGISTRY", "NAMED", "Registry.shared")
_serial = itertools.count(1).__next__


def names_in(value: Any) -> set[str]:
    return set(value.entries if hasattr(value, "entries") else value)


class TablesTestCase(unittest.TestCase):
    maxDiff = None
    """With a program of two modules, of which the second imports from the first."""

    def setUp(self) -> None:
        self.name = f"store_{_serial()}"
        self.store = self.module(self.name, STORE)
        self.user = self.module(
            f"{self.name}_user", f"from {self.name} import *\nfrom {self.name} import SESSIONS as alias\n"
        )

    def module(self, name: str, source: str) -> Any:
        module: Any = types.ModuleType(name)
        sys.modules[name] = module
        self.addCleanup(sys.modules.pop, name, None)
        exec(source, module.__dict__)
        return module

    def ref(self, name: str) -> str:
        return f"{self.name}:{name}"

    def get(self, name: str) -> Any:
        return functools.reduce(getattr, name.split("."), self.store)

    def run_test(self, body: Any, **options: Any) -> None:
        result = run_inner(inner_case(body, **options))
        self.assertEqual(result.report, "")
        self.assertEqual(len(result.skipped), 0)

    def run_together(self, *bodies: Any, **options: Any) -> None:
        """Run inner tests at once, each in a thread of its own."""
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda body=body: results.append(run_inner(inner_case(body, **options))))
            for body in bodies
        ]
        for thread in threads:
            Context().run(thread.start)
        for thread in threads:
            thread.join(30)
        self.assertEqual([result.report for result in results], [""] * len(bodies))
