"""Failing schedules are kept, and files that are none of these do no harm."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.schedule.database import MOST, Database
from supertester.schedule.token import Schedule, Switch
from tests.alone import alone


def token(number: int) -> str:
    return Schedule((Switch((0,), number, (0, 1)),), choices=number + 1).token()


class TestDatabase(IsolatedTestCase):
    def setUp(self) -> None:
        self.database = Database("test_bank.BankTest.test_transfer", self.tmp_path)

    def test_there_is_nothing_at_first_and_no_folder_is_made(self) -> None:
        self.assertEqual(self.database.tokens(), [])
        self.assertFalse(self.database.folder.exists())

    def test_what_was_added_last_comes_first(self) -> None:
        for number in range(3):
            path = self.database.add(token(number), {})
            assert path is not None
            os.utime(path, ns=(number, number))
        self.assertEqual(self.database.tokens(), [token(2), token(1), token(0)])

    def test_a_file_says_what_it_is_about(self) -> None:
        path = self.database.add(token(1), {"failure": "Deadlock"})
        assert path is not None
        self.assertEqual(
            json.loads(path.read_text()),
            {"program": "test_bank.BankTest.test_transfer", "token": token(1), "failure": "Deadlock"},
        )

    def test_programs_do_not_see_each_other(self) -> None:
        self.database.add(token(1), {})
        self.assertEqual(Database("test_bank.BankTest.test_transfe", self.tmp_path).tokens(), [])
        self.assertEqual(Database("test bank/BankTest*test_transfer", self.tmp_path).tokens(), [])

    def test_the_same_schedule_is_kept_once(self) -> None:
        self.database.add(token(1), {})
        self.database.add(token(1), {})
        self.assertEqual(len(list(self.database.folder.iterdir())), 1)

    def test_dropping_removes_the_file_and_may_come_twice(self) -> None:
        self.database.add(token(1), {})
        self.database.drop(token(1))
        self.database.drop(token(1))
        self.assertEqual(self.database.tokens(), [])

    def test_old_ones_make_room(self) -> None:
        for number in range(MOST + 3):
            self.database.add(token(number), {})
        self.assertEqual(len(self.database.tokens()), MOST)

    def test_what_cannot_be_read_is_left_out(self) -> None:
        self.database.add(token(1), {})
        for name, text in (("a", "{"), ("b", "{}"), ("c", '{"token": "s9.abc"}'), ("d", "[1]"), ("e", "\ud800")):
            (self.database.folder / f"{name}.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        self.assertEqual(self.database.tokens(), [token(1)])

    def test_a_folder_that_cannot_be_made_is_no_error(self) -> None:
        (self.tmp_path / "failures").write_text("in the way")
        self.assertIsNone(self.database.add(token(1), {}))
        self.assertEqual(self.database.tokens(), [])

    def test_a_write_that_breaks_off_leaves_what_was_there(self) -> None:
        path = self.database.add(token(1), {"failure": "first"})
        assert path is not None
        with self.assertRaises(TypeError):
            self.database.add(token(1), {"failure": object()})
        self.assertEqual(json.loads(path.read_text())["failure"], "first")
        self.assertEqual([each.name for each in self.database.folder.iterdir()], [path.name])

    @alone("replaces a function of a module")
    def test_a_folder_that_another_removes_is_made_again(self) -> None:
        other = Database(self.database.program, self.tmp_path)
        make = tempfile.mkstemp

        def mkstemp(*args: Any, **kwargs: Any) -> tuple[int, str]:
            if not removed:
                removed.append(True)
                other.drop(token(2))  # There is none, so that the folder is empty, and goes.
            return make(*args, **kwargs)

        removed: list[bool] = []
        with mock.patch("supertester.schedule.database.tempfile.mkstemp", mkstemp):
            self.assertIsNotNone(self.database.add(token(1), {}))
        self.assertEqual((removed, self.database.tokens()), ([True], [token(1)]))

    @alone("replaces a function of a module")
    def test_a_folder_that_is_removed_once_it_was_found_to_be_there_is_made_again(self) -> None:
        other = Database(self.database.program, self.tmp_path)
        make = os.mkdir

        def mkdir(path: Path, mode: int = 0o777) -> None:
            try:
                make(path, mode)
            except FileExistsError:
                removed.append(Path(path))
                other.drop(token(2))
                raise

        removed: list[Path] = []
        self.database.folder.mkdir(parents=True)
        with mock.patch("os.mkdir", mkdir):
            self.assertIsNotNone(self.database.add(token(1), {}))
        self.assertEqual((removed, self.database.tokens()), ([self.database.folder], [token(1)]))

    def test_a_file_where_the_folder_should_be_is_no_error(self) -> None:
        self.database.folder.parent.mkdir()
        self.database.folder.write_text("in the way")
        self.assertIsNone(self.database.add(token(1), {}))
        self.assertEqual(self.database.tokens(), [])

    def test_many_at_the_same_time_lose_nothing(self) -> None:
        def work(first: int) -> None:
            database = Database("shared", Path(folder))
            for number in range(first, first + 4):
                database.add(token(number), {})
                database.drop(token(number))
            database.add(token(first + 5), {})

        folder = str(self.tmp_path)
        threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(Database("shared", self.tmp_path).tokens()), {token(100 * n + 5) for n in range(4)})
