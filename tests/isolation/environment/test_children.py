"""Child processes see the variables of the test that starts them, whichever way it does."""

import asyncio
import multiprocessing
import os
import pickle
import subprocess
import sys
import unittest
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from typing import Any
from unittest import mock

from supertester.isolation import uninstall
from supertester.isolation.children import TEST_ID
from tests.isolation.environment import at_import
from tests.isolation.environment.support import report_of, side_by_side
from tests.joining import join_and_close

NAME = "SUPERTESTER_TESTS_VARIABLE"
REMOVED = "SUPERTESTER_TESTS_REMOVED"
ASK = f"import os; print(os.environ.get({NAME!r}), {REMOVED!r} in os.environ, {TEST_ID!r} in os.environ)"
COMMAND = f'"{sys.executable}" -c "{ASK}"'
EXPECTED = "mine False True"


def change_variables() -> None:
    os.environ[NAME] = "mine"
    os.environ.pop(REMOVED, None)


class TestChildren(unittest.TestCase):
    """With a variable in the process that the tests remove."""

    def setUp(self) -> None:
        self.enterContext(mock.patch.dict(os.environ, {REMOVED: "no"}))

    def ask(self, way: Callable[[Any], Any]) -> None:
        """Let *way*, an isolated test, ask child processes; it puts the answers into ``case.answers``."""
        answers: list[Any] = []

        def body(case: Any) -> Any:
            change_variables()
            case.answers = answers
            return way(case)

        async def test(case: Any) -> None:
            result = body(case)
            if result is not None:
                await result

        self.assertEqual(report_of(test), "")
        self.assertTrue(answers)
        self.assertEqual([str(each).strip() for each in answers], [EXPECTED] * len(answers))

    def test_what_starts_programs_can_be_sent_to_other_processes(self) -> None:
        report_of(lambda case: None)
        for name in ("system", "execv", "execve", "posix_spawn", "chdir"):
            with self.subTest(name=name):
                function = getattr(os, name)
                self.assertIs(pickle.loads(pickle.dumps(function)), function)

    def test_who_replaces_the_mapping_replaces_the_variables_of_no_child(self) -> None:
        def way(case: Any) -> None:
            with mock.patch.object(os, "environ", {NAME: "of a mock", REMOVED: "of a mock"}):
                case.answers.append(subprocess.check_output([sys.executable, "-c", ASK], text=True))

        self.ask(way)

    def test_of_subprocess(self) -> None:
        def way(case: Any) -> None:
            case.answers.append(subprocess.check_output([sys.executable, "-c", ASK], text=True))
            case.answers.append(subprocess.check_output(COMMAND, shell=True, text=True))

        self.ask(way)

    def test_of_shells(self) -> None:
        def way(case: Any) -> None:
            with os.popen(COMMAND) as out:
                case.answers.append(out.read())
            file = case.tmp_path / "out"
            case.assertEqual(os.system(f"{COMMAND} > {file}; exit 3"), 3 << 8)
            case.answers.append(file.read_text())
            case.assertEqual(os.system(b"kill -9 $$"), 9)

        self.ask(way)

    def test_of_posix_spawn(self) -> None:
        def way(case: Any) -> None:
            file = case.tmp_path / "out"
            environments = [os.environ, dict(os.environ), *([None] if sys.version_info >= (3, 13) else [])]
            for spawn in (os.posix_spawn, os.posix_spawnp):
                for env in environments:
                    pid = spawn("/bin/sh", ["sh", "-c", f"{COMMAND} > {file}"], env)
                    case.assertEqual(os.waitpid(pid, 0)[1], 0)
                    case.answers.append(file.read_text())

        self.ask(way)

    def test_of_asyncio(self) -> None:
        async def way(case: Any) -> None:
            await ask_asyncio(case)

        self.ask(way)

    @unittest.skipUnless(find_spec("uvloop"), "uvloop is not installed")
    def test_of_uvloop(self) -> None:
        uvloop = __import__("uvloop")
        answers: list[str] = []

        class Loop:
            loop_factory = staticmethod(uvloop.new_event_loop)

        async def test(case: Any) -> None:
            case.assertIsInstance(asyncio.get_running_loop(), uvloop.Loop)
            case.answers = answers
            change_variables()
            await ask_asyncio(case)

        from supertester.case import IsolatedTestCase
        from supertester.testing import inner_case, run_inner

        self.assertEqual(run_inner(inner_case(test, Loop, IsolatedTestCase)).report, "")
        self.assertEqual([each.strip() for each in answers], [EXPECTED] * 2)
        uninstall()
        self.assertNotIn("subprocess_exec", vars(uvloop.Loop))

    def test_of_multiprocessing(self) -> None:
        for method in multiprocessing.get_all_start_methods():
            if method == "fork" and sys.version_info >= (3, 12):
                continue  # It warns where there are threads.
            with self.subTest(method):
                answers: list[Any] = []

                def body(case: Any, method: str = method, answers: list[Any] = answers) -> None:
                    change_variables()
                    del os.environ["PATH"]
                    context: Any = multiprocessing.get_context(method)
                    receiver, sender = context.Pipe(duplex=False)
                    child = context.Process(target=at_import.tell, args=(sender,))
                    child.start()
                    sender.close()  # Where only the child can send, its death ends the wait.
                    answers.append(receiver.recv())
                    join_and_close(child)
                    receiver.close()

                self.assertEqual(report_of(body), "")
                # A forked process has imported nothing anew, and its identity is its parent's.
                at_start = None if method == "fork" else "mine"
                self.assertEqual(answers, [(at_start, "mine", False, method != "fork")])

    def test_of_process_pools(self) -> None:
        seen: list[Any] = []

        def body(case: Any) -> None:
            change_variables()
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                seen.extend(pool.map(at_import.seen_here, [1]))

        self.assertEqual(report_of(body), "")
        self.assertEqual(seen, ["mine"])

    def test_of_two_tests_at_once(self) -> None:
        seen: dict[str, str] = {}

        def body(value: str) -> Callable[..., None]:
            def test(case: Any, meet: Callable[[], object]) -> None:
                os.environ[NAME] = value
                meet()
                seen[value] = subprocess.check_output([sys.executable, "-c", ASK], text=True).split()[0]

            return test

        self.assertEqual(side_by_side(body("one"), body("two")), ["", ""])
        self.assertEqual(seen, {"one": "one", "two": "two"})

    def test_that_are_forked_and_replaced(self) -> None:
        # In a process without threads: Python warns of a fork beside them.
        answers = subprocess.check_output(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                "from tests.isolation.environment import test_children as tests; tests.replace()",
            ],
            text=True,
        )
        self.assertEqual(answers.splitlines(), [EXPECTED] * 6)

    def test_given_an_environment_of_their_own_get_that(self) -> None:
        def body(case: Any) -> None:
            os.environ[NAME] = "mine"
            out = subprocess.check_output([sys.executable, "-c", ASK], text=True, env={REMOVED: "x", NAME: "given"})
            case.assertEqual(out.split(), ["given", "True", "True"])

        self.assertEqual(report_of(body), "")

    def test_outside_of_tests_get_what_they_always_got(self) -> None:
        report_of(lambda case: None)
        read, write = os.pipe()
        with os.fdopen(read) as out:
            environment = {"ONLY": "this"}
            pid = os.posix_spawn("/usr/bin/env", ["env"], environment, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
            os.close(write)
            os.waitpid(pid, 0)
            self.assertEqual(out.read(), "ONLY=this\n")
        self.assertEqual(os.system("exit 2"), 2 << 8)
        with self.assertRaises(TypeError):
            os.posix_spawn("/usr/bin/env", ["env"], 3)  # type: ignore[arg-type]

    def test_uninstall_puts_back_what_starts_them(self) -> None:
        uninstall()
        before = [os.system, os.execv, os.execve, os.posix_spawn, os.posix_spawnp]
        report_of(lambda case: None)
        after = [os.system, os.execv, os.execve, os.posix_spawn, os.posix_spawnp]
        self.assertFalse(set(before) & set(after))
        uninstall()
        self.assertEqual([os.system, os.execv, os.execve, os.posix_spawn, os.posix_spawnp], before)


async def ask_asyncio(case: Any) -> None:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", ASK, stdout=pipe)
    case.answers.append((await child.communicate())[0].decode())
    child = await asyncio.create_subprocess_shell(COMMAND, stdout=pipe)
    case.answers.append((await child.communicate())[0].decode())


def replace() -> None:
    """Start programs in an isolated test with all that forks, and let them print what they see."""
    python, arguments = sys.executable, ["python", "-c", ASK]

    def body(case: Any) -> None:
        change_variables()
        spawns: list[Callable[[], int]] = [
            lambda: os.spawnv(os.P_WAIT, python, arguments),
            lambda: os.spawnvp(os.P_WAIT, python, arguments),
            lambda: os.spawnve(os.P_WAIT, python, arguments, os.environ),
            lambda: os.spawnl(os.P_WAIT, python, *arguments),
        ]
        for spawn in spawns:
            case.assertEqual(spawn(), 0)
        for replace in (lambda: os.execv(python, arguments), lambda: os.execlp(python, *arguments)):
            pid = os.fork()
            if not pid:
                replace()
            case.assertEqual(os.waitpid(pid, 0)[1], 0)

    os.environ[REMOVED] = "no"
    sys.exit(report_of(body) or None)
