import dataclasses
import unittest
from typing import Any

from supertester._core.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Part:
    number: int
    name: str = "a"
    note: str = dataclasses.field(default="", compare=False)
    secret: str = dataclasses.field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Other:
    number: int


class TestValues(unittest.TestCase):
    def test_are_compared_by_their_fields(self) -> None:
        self.assertEqual(Part(number=1), Part(number=1, note="not compared"))
        self.assertEqual(hash(Part(number=1)), hash(Part(number=1, note="not compared")))
        self.assertNotEqual(Part(number=1), Part(number=2))
        self.assertNotEqual(Part(number=1), Part(number=1, secret="compared"))

    def test_are_equal_to_no_other_kind(self) -> None:
        self.assertNotEqual(Part(number=1), Other(number=1))
        self.assertNotEqual(Other(number=1), 1)

    def test_show_their_fields(self) -> None:
        self.assertEqual(repr(Part(number=1, secret="x")), "Part(number=1, name='a', note='')")

    def test_cannot_be_changed(self) -> None:
        part: Any = Part(number=1)
        with self.assertRaisesRegex(dataclasses.FrozenInstanceError, "cannot assign to field 'name'"):
            part.name = "b"
        with self.assertRaisesRegex(dataclasses.FrozenInstanceError, "cannot delete field 'name'"):
            del part.name
        self.assertEqual(part, Part(number=1))

    def test_are_dataclasses_otherwise(self) -> None:
        self.assertEqual(dataclasses.replace(Part(number=1), number=2), Part(number=2))
        self.assertEqual(dataclasses.asdict(Other(number=1)), {"number": 1})
        make: Any = Part
        with self.assertRaisesRegex(TypeError, "missing 1 required keyword-only argument: 'number'"):
            make()
        with self.assertRaisesRegex(TypeError, "positional"):
            make(1)
