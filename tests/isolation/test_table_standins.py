import collections
import copy
import dataclasses
import functools
import importlib
import json
import pickle
import types
from typing import Any

from tests.isolation.tables_support import SORTS, TablesTestCase


class TestStandIns(TablesTestCase):
    """Every operation on a routed container does what it does on the container itself."""

    def check(self, name: str, *operations: Any) -> None:
        def body(case: Any) -> None:
            case.tables.mirror(self.ref(name), include_data=True)
            for operation in operations:
                plain = copy.deepcopy(self.source)
                case.tables.mirror_of(self.ref(name))
                routed = self.get(name)
                with case.tables.inject(self.store, name, copy.deepcopy(self.source)), case.subTest(operation):
                    expected, seen = outcome(operation, plain), outcome(operation, routed)
                    case.assertEqual(seen, expected)
                    case.assertEqual(list(routed), list(plain))

        self.source = copy.deepcopy(self.get(name))
        self.run_test(body)
        self.assertEqual(self.get(name), self.source)

    DICTS = """
        t["a"] = 1; del t["outside"]; "outside" in t; len(t); bool(t); list(t); dict(t); {**t}; f(**t); sorted(t)
        set(t); tuple(t); frozenset(t); repr(t); str(t); f"{t}"; t == {"outside": [1]}; {"outside": [1]} == t
        t != {}; {} == t; t | {"b": 2}; {"b": 2} | t; t.get("x", 1); t.pop("outside"); t.pop("x", 3); t.popitem()
        t.setdefault("c", 2); t.update(a=1); t.update({"q": 1}); t.update(t); t.clear(); t.copy(); list(t.keys())
        list(t.values()); list(t.items()); list(reversed(t)); list(iter(t)); copy.copy(t); copy.deepcopy(t)
        json.dumps(t); json.dumps(t, indent=1, sort_keys=True); json.dumps([t]); pickle.loads(pickle.dumps(t))
        hash(t); t["missing"]; isinstance(t, dict); isinstance(t, collections.abc.MutableMapping)
        t.fromkeys([1]); "%(outside)s" % t; "{outside}".format_map(t); [*t]; dict(t.items())
        t.keys() & {"outside"}; dict(t, z=1); collections.ChainMap(t)["outside"]
        types.MappingProxyType(t)["outside"]; collections.OrderedDict(t); t < {}; t(); dict.fromkeys(t)
        type(t) in (1,); matched(t); collections.Counter(t.keys()); collections.UserDict(t).data; mutated(t)
        ior(t, {"k": 1}); vars_of(t); {"x": 0}.__or__(t); merged({"x": 0}, t); t.__contains__("outside")
        bound(t, "get", "outside"); t.nothing; max(t)
    """
    LISTS = """
        t.append(1); t[0] = 2; t[0]; t[-1]; t[5]; del t[0]; t[0:1] = [1, 2]; t[:]; t + [1]; [1] + t; t * 2; 2 * t
        len(t); "outside" in t; list(t); tuple(t); sorted(t); set(t); repr(t); t == ["outside"]; ["outside"] == t
        t < ["z"]; ["a"] < t; t.extend([1]); t.extend(t); [].extend(t); t.insert(0, 1); t.remove("outside")
        t.pop(); t.index("outside"); t.count("outside"); t.reverse(); t.sort(); t.clear(); t.copy(); copy.copy(t)
        copy.deepcopy(t); json.dumps(t); json.dumps({"a": t}); pickle.loads(pickle.dumps(t)); hash(t)
        isinstance(t, list); ",".join(t); f(*t); [*t]; (*t,); isinstance(t, collections.abc.Sequence); matched(t)
        iadd(t, [1]); imul(t, 2); list(reversed(t)); list(iter(t)); bool(t); bisect.insort(t, "a")
        extended([1], t); sliced([1], t); sum([t], []); list(zip(t)); max(t); t.nothing; dict.fromkeys(t); str(t)
        t + t; bound(t, "append", 1); unpacked(t); iadd(t, t)
    """
    SETS = """
        t.add(1); t.discard("outside"); t.remove("outside"); t.remove(5); t.pop(); t.clear(); t.copy(); len(t)
        bool(t); "outside" in t; list(t); set(t); frozenset(t); sorted(t); repr(t); str(t); t == {"outside"}
        {"outside"} == t; t | {1}; {1} | t; t & {"outside"}; {"outside"} & t; t - {1}; {"outside"} - t; t ^ {1}
        {1} ^ t; t <= {"outside"}; {1} <= t; {"outside"} >= t; t < {1, "outside"}; t.union([1]); {1}.union(t)
        updated({1}, t); t.update([1]); t.update(t); t.issubset({"outside"}); {"outside"}.issubset(t)
        t.issuperset(()); {"outside"}.issuperset(t); t.isdisjoint({1}); {1}.isdisjoint(t); {1}.intersection(t)
        {1}.difference(t); {1}.symmetric_difference(t); ior(t, {2}); isub(t, {"outside"}); copy.copy(t)
        copy.deepcopy(t); pickle.loads(pickle.dumps(t)); hash(t); isinstance(t, set); max(t); f(*t); {*t}
        isinstance(t, collections.abc.MutableSet); t.nothing; frozenset({1}) | t; ior(t, t); bound(t, "add", 3)
        dict.fromkeys(t); t.intersection_update({1}); t.difference_update({1})
        t.symmetric_difference_update({1}); frozenset(["outside"]) == t
    """
    DEQUES = """
        t.append(1); t.appendleft(1); t.pop(); t.popleft(); t.rotate(1); t.maxlen; t.extend([1, 2, 3])
        t.extendleft([1]); t[0]; t[0] = 1; len(t); list(t); collections.deque(t); repr(t)
        t == collections.deque(["outside"]); t.copy(); copy.copy(t); collections.deque(["outside"]) == t
        t + collections.deque([1]); collections.deque([1]) + t; pickle.loads(pickle.dumps(t))
        isinstance(t, collections.deque); matched(t); t.extend(t); iadd(t, [1]); "outside" in t; del t[0]
        bool(t); t.clear(); t.insert(0, 1); t.index("outside"); t.count("outside"); t.remove("outside")
        t.reverse(); list(reversed(t)); hash(t)
    """

    def test_of_dicts(self) -> None:
        self.check("SESSIONS", *operations(self.DICTS))

    def test_of_ordered_dicts(self) -> None:
        own = """
            t.move_to_end("outside"); t.popitem(last=False); isinstance(t, collections.OrderedDict)
            t == collections.OrderedDict(outside=1); collections.OrderedDict(outside=1) == t
            collections.OrderedDict() | t; collections.OrderedDict(t)
        """
        self.check("ORDERED", *operations(self.DICTS), *operations(own))

    def test_of_defaultdicts(self) -> None:
        own = """
            t["new"].append(1); t.default_factory; isinstance(t, collections.defaultdict); t.__missing__("k")
            collections.defaultdict(int) | t; collections.defaultdict(list, outside=[1]) == t
            setattr(t, "default_factory", None)
        """
        self.check("GROUPS", *operations(self.DICTS), *operations(own))

    def test_of_counters(self) -> None:
        own = """
            t["a"] += 1; t.most_common(1); t.total(); t.subtract("a"); t + t; t - collections.Counter(outside=1); +t; -t
            collections.Counter(outside=1) + t; collections.Counter(t); t.elements(); t["none"]
            isinstance(t, collections.Counter)
        """
        self.check("COUNTS", *operations(self.DICTS), *operations(own))

    def test_of_subclasses_of_dict(self) -> None:
        own = 't.note("a"); t.log; setattr(t, "log", 1); t.log.append(2)'
        self.check("NAMED", *operations(self.DICTS), *operations(own))

    def test_of_lists(self) -> None:
        self.check("QUEUE", *operations(self.LISTS))

    def test_of_sets(self) -> None:
        self.check("SEEN", *operations(self.SETS))

    def test_of_deques(self) -> None:
        self.check("RECENT", *operations(self.DEQUES))

    def test_cover_every_method_of_the_type(self) -> None:
        """No method is inherited that would work on the storage of the stand-in."""
        inherited = {"__new__", "__init__", "__class__", "__getattribute__", "__init_subclass__", "__subclasshook__"}
        inherited |= {
            "__class_getitem__",
            "__sizeof__",
            "__doc__",
            "__getstate__",
            "__dict__",
            "__weakref__",
            "__module__",
        }
        inherited |= {"__hash__", "fromkeys"}

        def body(case: Any) -> None:
            for kind in ("SESSIONS", "QUEUE", "RECENT", "ORDERED", "GROUPS", "COUNTS", "NAMED"):
                case.tables.mirror(self.ref(kind))
                for base in type(self.get(kind)).__mro__[1:-1]:
                    members = {name for name, member in vars(base).items() if callable(member)}
                    case.assertEqual(members - inherited - set(vars(type(self.get(kind)))), set(), kind)

        self.run_test(body)

    def test_of_objects_keep_their_identity_and_methods(self) -> None:
        def body(case: Any) -> None:
            mirror = case.tables.mirror(self.ref("REGISTRY"))
            registry = self.store.REGISTRY
            case.assertIsInstance(registry, self.store.Registry)
            case.assertIs(registry.register("a"), registry)
            case.assertEqual(registry, registry)
            case.assertEqual({registry: 1}[registry], 1)
            registry.title = "changed"
            del registry.by_value
            case.assertEqual(
                (mirror.title, hasattr(mirror, "by_value"), vars(registry)), ("changed", False, vars(mirror))
            )

        self.run_test(body)
        self.assertEqual(self.store.REGISTRY.title, "registry")

    def test_descriptors_give_what_they_give(self) -> None:
        def body(case: Any) -> None:
            case.tables.mirror(self.ref("REGISTRY")).title = "mirror"
            case.assertEqual(self.store.REGISTRY.length, 6)
            case.assertEqual(self.store.REGISTRY.doubled(2), 4)
            case.assertEqual(self.store.REGISTRY.doubled.cache_info().currsize, 1)

        self.store.Registry.length = functools.cached_property(lambda registry: len(registry.title))
        self.store.Registry.length.__set_name__(self.store.Registry, "length")
        self.run_test(body)
        self.assertEqual(self.store.REGISTRY.length, 8)

    def test_of_dataclasses_are_dataclasses(self) -> None:
        program = self.module(f"{self.name}_sorts", SORTS)
        rows = program.ROWS

        def body(case: Any) -> None:
            case.tables.mirror(f"{self.name}_sorts:ROWS").rows.append(1)
            case.assertTrue(dataclasses.is_dataclass(program.ROWS))
            case.assertEqual(dataclasses.asdict(program.ROWS), {"rows": [1]})
            case.assertEqual(dataclasses.replace(program.ROWS, rows=[2]).rows, [2])

        self.run_test(body)
        self.assertIsNot(program.ROWS, rows)
        self.assertEqual(dataclasses.asdict(program.ROWS), {"rows": [0]})
        self.assertEqual(program.ROWS, rows)

    def test_are_pickled_by_name_where_their_source_is(self) -> None:
        def body(case: Any) -> None:
            case.tables.mirror(self.ref("squared"))
            case.assertIs(pickle.loads(pickle.dumps(self.store.squared)), self.store.squared)

        self.store.squared.__wrapped__.__module__ = self.store.squared.__module__ = self.name
        self.run_test(body)


def operations(text: str) -> list[str]:
    return [each.strip() for line in text.strip().splitlines() for each in line.split("; ") if each.strip()]


def outcome(operation: str, table: Any) -> Any:
    """Return what an operation gives on *table*, as something that can be compared."""
    names: dict[str, Any] = {"t": table, **HELPERS}
    try:
        code = compile(operation, "<operation>", "eval")
    except SyntaxError:
        code = compile(operation, "<operation>", "exec")
    try:
        value = eval(code, names)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other has to raise it too
        return type(error)
    if isinstance(value, collections.abc.Iterator):
        value = list(value)
    return (value.__class__, value)


def matched(table: Any) -> Any:
    match table:
        case {"outside": found, **rest}:
            return found, rest
        case [found, *rest]:
            return found, rest
    return None


def mutated(table: Any) -> Any:
    for name in table:
        table[f"{name}x"] = 1


def ior(table: Any, other: Any) -> bool:
    before = table
    table |= other
    return table is before


def isub(table: Any, other: Any) -> bool:
    before = table
    table -= other
    return table is before


def iadd(table: Any, other: Any) -> bool:
    before = table
    table += other
    return table is before


def imul(table: Any, other: Any) -> bool:
    before = table
    table *= other
    return table is before


def merged(plain: Any, table: Any) -> Any:
    plain |= table
    return plain


def extended(plain: Any, table: Any) -> Any:
    plain += table
    return plain


def sliced(plain: Any, table: Any) -> Any:
    plain[0:0] = table
    return plain


def updated(plain: Any, table: Any) -> Any:
    plain.update(table)
    return plain


def unpacked(table: Any) -> Any:
    (first,) = table
    return first


def bound(table: Any, name: str, *args: Any) -> Any:
    method = getattr(table, name)
    return method(*args)


HELPERS = {
    "collections": collections,
    "copy": copy,
    "json": json,
    "pickle": pickle,
    "types": types,
    "bisect": importlib.import_module("bisect"),
    "f": lambda *args, **kwargs: (args, kwargs),
    "vars_of": vars,
    **{
        function.__name__: function
        for function in (matched, mutated, ior, isub, iadd, imul, merged, extended, sliced, updated, unpacked, bound)
    },
}
