"""The runtime without a test case around it: one default runtime per event loop, nothing to open or close."""

from __future__ import annotations

import asyncio
import subprocess
import sys as python
import unittest
from pathlib import Path
from typing import Any

import supertester
from supertester.errors import UsageError
from supertester.otp import (
    KILLED,
    ChildSpec,
    GenServer,
    Supervisor,
    call,
    cast,
    current_runtime,
    exit,
    flag_trap_exit,
    link,
    monitor,
    process_info,
    self_pid,
    until_idle,
    whereis,
)

__tags__ = {"layer": "system"}


class Counter(GenServer):
    def init(self, start: int = 0) -> Any:
        return {"count": start}

    def handle_call(self, request: Any, sender: Any) -> Any:
        match request:
            case "value":
                return self.state["count"]
            case ("add", n):
                self.state["count"] += n
                return self.state["count"]

    def handle_cast(self, message: Any) -> Any:
        match message:
            case ("add", n):
                self.state["count"] += n


class StandaloneRuntime(unittest.TestCase):
    def test_a_plain_program_starts_calls_casts_and_stops_servers(self) -> None:
        async def main() -> list[Any]:
            counter = await Counter.start_link(5, name="counter")
            seen = [await counter.call("value"), await call("counter", ("add", 2))]
            cast("counter", ("add", 3))
            seen.append(await counter.call("value", timeout=5.0))
            await counter.stop()
            return [*seen, counter.is_alive(), whereis("counter")]

        self.assertEqual([5, 7, 10, False, None], asyncio.run(main()))

    def test_a_plain_program_supervises(self) -> None:
        async def main() -> bool:
            supervisor = await Supervisor.start_link([ChildSpec("counter", Counter, kwargs={"name": "counter"})])
            first = whereis("counter")
            exit(first, "kill")
            await until_idle()
            second = whereis("counter")
            await supervisor.stop()
            return second not in (None, first) and first.exit_reason == KILLED and not second.is_alive()

        self.assertTrue(asyncio.run(main()))

    def test_every_loop_has_a_runtime_of_its_own(self) -> None:
        async def main() -> Any:
            pid = await Counter.start(name="counter")
            self.assertIs(current_runtime(), pid.runtime)
            self.assertIs(current_runtime(), current_runtime())
            return pid.runtime

        self.assertIsNot(asyncio.run(main()), asyncio.run(main()))

    def test_a_program_may_leave_its_servers_running(self) -> None:
        class Waiting(GenServer):
            async def handle_cast(self, message: Any) -> None:
                await asyncio.Event().wait()

        async def main() -> None:
            (await Waiting.start_link()).cast("wait")
            (await Counter.start_link()).cast(("add", 1))

        with self.assertNoLogs("asyncio"):
            asyncio.run(main())

    def test_without_a_process_there_is_nobody_to_act_for(self) -> None:
        async def main() -> None:
            counter = await Counter.start_link()
            for function in (self_pid, flag_trap_exit, lambda: link(counter), lambda: monitor(counter)):
                with self.assertRaises(UsageError):
                    function()
            self.assertEqual((), process_info(counter).links)

        asyncio.run(main())

    def test_without_a_loop_a_name_means_nothing(self) -> None:
        with self.assertRaises(UsageError):
            cast("counter", 1)

    def test_a_pid_of_a_loop_that_has_ended_is_no_trap(self) -> None:
        pid = asyncio.run(Counter.start())
        try:
            pid.cast(("add", 1))
        except (UsageError, RuntimeError) as error:
            self.assertTrue(str(error))

    def test_the_runtime_needs_the_standard_library_alone(self) -> None:
        program = (
            "import sys; before = set(sys.modules); import supertester.otp; "
            "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
            "print(sorted(name for name in new if name not in sys.stdlib_module_names))"
        )
        self.assertEqual("['supertester']", self.run_python(program))

    def test_the_runtime_does_not_import_the_test_tools(self) -> None:
        program = (
            "import sys, supertester.otp; print([name for name in ('unittest', 'doctest') if name in sys.modules])"
        )
        self.assertEqual("[]", self.run_python(program))

    def run_python(self, program: str) -> str:
        root = Path(supertester.__file__).parent.parent
        run = subprocess.run([python.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
        return run.stdout.strip()
