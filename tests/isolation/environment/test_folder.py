import os
import socket
import stat
import unittest
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

from supertester.isolation.environment import folder
from supertester.testing import inner_case, run_inner
from tests.isolation.environment.support import report_of, side_by_side


class TestFolder(unittest.TestCase):
    def test_is_made_on_first_use_and_removed_at_the_end(self) -> None:
        seen: list[Path] = []

        async def test_a_thing(case: Any) -> None:
            path = case.tmp_path
            case.assertIs(path, case.environment.tmp_path)
            case.assertTrue(path.is_dir())
            case.assertEqual(list(path.iterdir()), [])
            case.assertIn("    temporary folder", case.isolation.summary())
            (path / "deep" / "er").mkdir(parents=True)
            (path / "deep" / "er" / "file").write_text("x")
            seen.append(path)

        self.assertEqual(report_of(test_a_thing), "")
        self.assertFalse(seen[0].exists())
        self.assertRegex(seen[0].name, r"^Inner-test_a_thing-test-\d+-")
        self.assertTrue(seen[0].is_absolute())

    def test_is_one_for_all_the_threads_of_the_test(self) -> None:
        def body(case: Any) -> None:
            with ThreadPoolExecutor(8) as pool:
                paths = set(pool.map(lambda _: case.tmp_path, range(8)))
            case.assertEqual(len(paths), 1)

        self.assertEqual(report_of(body), "")

    def test_goes_away_with_whatever_is_in_it(self) -> None:
        seen: list[Path] = []
        outside = folder.make_folder("outside")
        self.addCleanup(folder.remove_folder, outside)
        (outside / "kept").touch()

        def body(case: Any) -> None:
            path = case.tmp_path
            seen.append(path)
            closed = path / "closed"
            (closed / "inner").mkdir(parents=True)
            (closed / "inner" / "file").touch()
            (closed / "inner" / "file").chmod(stat.S_IRUSR)
            (path / "link").symlink_to(outside)
            (path / "dangling").symlink_to("nowhere")
            os.mkfifo(path / "fifo")
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path / "socket"))
            for each in (closed / "inner", closed, path):
                each.chmod(0)

        self.assertEqual(report_of(body), "")
        self.assertFalse(seen[0].exists())
        self.assertTrue((outside / "kept").exists())

    def test_may_be_removed_by_the_test_itself(self) -> None:
        self.assertEqual(report_of(lambda case: case.tmp_path.rmdir()), "")

    def test_goes_away_also_when_the_test_fails_or_is_interrupted(self) -> None:
        seen: list[Path] = []

        def body(error: BaseException) -> Callable[[Any], None]:
            def test(case: Any) -> None:
                seen.append(case.tmp_path)
                raise error

            return test

        self.assertIn("on purpose", report_of(body(AssertionError("on purpose"))))
        with self.assertRaises(KeyboardInterrupt):
            run_inner(inner_case(body(KeyboardInterrupt())))
        self.assertEqual([path.exists() for path in seen], [False, False])

    def test_is_there_for_the_cleanups(self) -> None:
        def body(case: Any) -> None:
            path = case.tmp_path
            case.addCleanup(lambda: case.assertTrue(path.exists()))
            case.isolation.add_cleanup(lambda: case.assertTrue(path.exists()))

        self.assertEqual(report_of(body), "")

    def test_that_cannot_be_removed_fails_the_test(self) -> None:
        kept: list[Path] = []
        with mock.patch.object(folder.shutil, "rmtree", side_effect=PermissionError("no way")):
            report = report_of(lambda case: kept.append(case.tmp_path))
        self.assertIn("PermissionError: no way", report)
        folder.remove_folder(kept[0])
        self.assertFalse(kept[0].exists())

    def test_two_at_once_have_one_each(self) -> None:
        seen: list[Path] = []

        def body(case: Any, meet: Callable[[], object]) -> None:
            seen.append(case.tmp_path)
            meet()
            case.assertTrue(all(path.exists() for path in seen))
            meet()

        self.assertEqual(side_by_side(body, body), ["", ""])
        self.assertEqual(len(set(seen)), 2)

    def test_has_a_name_that_a_socket_can_have(self) -> None:
        path = folder.make_folder(f"package.module.{'Long' * 30}.test_{'name' * 30} (i=<3>)/-5")
        self.addCleanup(folder.remove_folder, path)
        self.assertLess(len(path.name), 55)
        self.assertRegex(path.name, r"^[A-Za-z0-9_-]+$")
