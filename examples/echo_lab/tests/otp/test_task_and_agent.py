"""`Task` and `Agent`: a function in a process, and a value in a process."""

from __future__ import annotations

from echo_lab import Counter

from supertester import CallExit, IsolatedTestCase
from supertester.otp import NORMAL, Agent, Task


class TestTask(IsolatedTestCase):
    async def test_a_task_runs_a_function_in_a_process(self) -> None:
        """A task runs a function, plain or async, and is awaited for the result."""
        counter = await Counter.start_link(5)
        self.assertEqual(await Task.async_(sum, [1, 2, 3]), 6)
        self.assertEqual(await Task.async_(counter.call, ("add", 1)), 6)

    async def test_a_task_that_fails_says_why(self) -> None:
        """The exception of a task is the cause of what its result raises."""
        with self.assertRaises(CallExit) as caught:
            await Task.async_(int, "no number")
        self.assertIsInstance(caught.exception.__cause__, ValueError)

    async def test_a_task_ends_when_its_function_does(self) -> None:
        """A task is a process, and ends when its function returns."""
        task = Task.async_(len, "echo")
        self.assertEqual(await task.result(), 4)
        self.assertIn(task.pid.exit_reason, (None, NORMAL))


class TestAgent(IsolatedTestCase):
    async def test_an_agent_keeps_a_value(self) -> None:
        """An agent keeps a value, which functions read and change inside it."""
        agent = await Agent.start_link(dict)
        await Agent.update(agent, lambda users: users | {"ada": 1})
        self.assertEqual(await Agent.get(agent, sorted), ["ada"])

    async def test_reading_and_changing_is_one_step(self) -> None:
        """get_and_update reads and changes without anybody in between."""
        agent = await Agent.start_link(5)
        self.assertEqual(await Agent.get_and_update(agent, lambda n: (n, n + 1)), 5)
        self.assertEqual(await Agent.get(agent), 6)
