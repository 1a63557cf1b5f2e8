"""Tests that disturb each other on purpose: of each class, two tests run at once, and meet before they look.

Those over ``unittest.TestCase`` share something, and `tests.torture` has to notice. Those over `IsolatedTestCase` do
the same with what the library gives them, and must see nothing of each other.
"""

import contextlib
import contextvars
import logging
import os
import random
import socket
import threading
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from supertester.case import IsolatedTestCase
from supertester.otp import GenServer, whereis

__all__ = ["ISOLATED", "NOTICED_BY_FAILING", "NOTICED_IN_THE_PROCESS"]

barrier = threading.Barrier(2, timeout=30.0)
SETTINGS: dict[str, str] = {}
logging.getLogger(__name__).addHandler(logging.NullHandler())  # Or its records would be shown on stderr.
_held: list[Any] = []


class Pair:
    """Two tests that do the same with values of their own."""

    def test_one(self) -> None:
        self.disturb("one")

    def test_two(self) -> None:
        self.disturb("two")

    def disturb(self, mine: str) -> None:
        raise NotImplementedError


class SharedGlobal(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        SETTINGS["name"] = mine
        barrier.wait()
        seen = SETTINGS["name"]
        barrier.wait()
        self.assertEqual(seen, mine)


class SharedLogs(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        records: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("tests.torture.planted")
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        barrier.wait()
        logger.error(mine)
        barrier.wait()
        self.assertEqual(records, [mine])


class SharedEnvironment(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        os.environ["TORTURE_NAME"] = mine
        self.addCleanup(os.environ.pop, "TORTURE_NAME", None)
        barrier.wait()
        seen = os.environ["TORTURE_NAME"]
        barrier.wait()
        self.assertEqual(seen, mine)


class SharedFolder(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        with contextlib.chdir({"one": "/", "two": "/usr"}[mine]):
            barrier.wait()
            seen = Path.cwd()
            barrier.wait()
        self.assertEqual(str(seen), {"one": "/", "two": "/usr"}[mine])


class SharedRandomness(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        expected = random.Random(mine).random()
        random.seed(mine)
        barrier.wait()
        seen = random.random()
        barrier.wait()
        self.assertEqual(seen, expected)


class SharedWarnings(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        with enter_in_turn(mine, warnings.catch_warnings(record=True)) as caught:
            warnings.simplefilter("always")
            barrier.wait()
            warnings.warn(mine, stacklevel=1)
            barrier.wait()
        self.assertEqual([str(each.message) for each in caught], [mine])


@contextlib.contextmanager
def enter_in_turn(mine: str, manager: Any) -> Iterator[Any]:
    """Enter *manager* in the first test before it is entered in the second, and leave it in reverse order."""
    with contextlib.ExitStack() as stack:
        for turn in ("one", "two"):
            if mine == turn:
                entered = stack.enter_context(manager)
            barrier.wait()
        yield entered
        for turn in ("two", "one"):
            if mine == turn:
                stack.close()
            barrier.wait()


class SharedPort(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        barrier.wait()
        with socket.socket() as server:
            try:
                server.bind(("127.0.0.1", PORT))
                bound = True
            except OSError:
                bound = False
            barrier.wait()
        self.assertTrue(bound, f"port {PORT} is taken")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


PORT = free_port()


class LeftThread(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        stop = threading.Event()
        _held.append(stop)
        threading.Thread(target=stop.wait, name=f"left by {mine}", daemon=True).start()


class LeftEnvironment(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        os.environ[f"TORTURE_{mine}"] = "left"


class LeftLevel(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        logging.getLogger(f"tests.torture.{mine}").setLevel("DEBUG")


class LeftSocket(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        _held.append(socket.socket())


class FailingThread(Pair, unittest.TestCase):
    def disturb(self, mine: str) -> None:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()


NOTICED_BY_FAILING: list[type[Any]] = [
    SharedGlobal,
    SharedLogs,
    SharedEnvironment,
    SharedFolder,
    SharedRandomness,
    SharedWarnings,
    SharedPort,
]
NOTICED_IN_THE_PROCESS: dict[type[Any], str] = {
    LeftThread: "threads",
    LeftEnvironment: "environment",
    LeftLevel: "levels of loggers",
    LeftSocket: "file descriptors",
    FailingThread: "ZeroDivisionError",
}


def clear() -> None:
    """Take back what the tests left in the process on purpose."""
    for each in _held:
        each.set() if isinstance(each, threading.Event) else each.close()
    _held.clear()
    for mine in ("one", "two"):
        os.environ.pop(f"TORTURE_{mine}", None)
        logging.getLogger(f"tests.torture.{mine}").setLevel("NOTSET")


# The same with isolation ---------------------------------------------------------------------------------------------


class IsolatedNames(Pair, IsolatedTestCase):
    def disturb(self, mine: str) -> None:
        async def use() -> None:
            server = await GenServer.start_link(name="server")
            barrier.wait()
            self.assertIs(whereis("server"), server)
            self.assertEqual(list(self.isolation.registry or ()), ["server"])
            barrier.wait()

        self._callAsync(use)


class IsolatedVariables(Pair, IsolatedTestCase):
    variable: ClassVar[contextvars.ContextVar[str]] = contextvars.ContextVar("variable", default="unset")

    def disturb(self, mine: str) -> None:
        self.assertEqual(self.variable.get(), "unset")
        self.variable.set(mine)
        barrier.wait()
        self.assertEqual(self.variable.get(), mine)
        barrier.wait()


class IsolatedEnvironment(Pair, IsolatedTestCase):
    def disturb(self, mine: str) -> None:
        self.assertNotIn("TORTURE_NAME", os.environ)
        os.environ["TORTURE_NAME"] = mine
        barrier.wait()
        self.assertEqual(os.environ["TORTURE_NAME"], mine)
        barrier.wait()


class IsolatedRandomness(Pair, IsolatedTestCase):
    def disturb(self, mine: str) -> None:
        expected = random.Random(mine).random()
        random.seed(mine)
        barrier.wait()
        self.assertEqual(random.random(), expected)
        barrier.wait()


class IsolatedWarnings(Pair, IsolatedTestCase):
    def disturb(self, mine: str) -> None:
        with enter_in_turn(mine, warnings.catch_warnings(record=True)) as caught:
            warnings.simplefilter("always")
            barrier.wait()
            warnings.warn(mine, stacklevel=1)
            barrier.wait()
        self.assertEqual([str(each.message) for each in caught], [mine])


class IsolatedLogs(Pair, IsolatedTestCase):
    def disturb(self, mine: str) -> None:
        with self.logs.capture("INFO") as captured:
            barrier.wait()
            logging.getLogger("tests.torture.planted").error(mine)
            barrier.wait()
        self.assertEqual([record.getMessage() for record in captured.records], [mine])


class IsolatedPorts(Pair, IsolatedTestCase):
    numbers: ClassVar[set[int]] = set()

    def disturb(self, mine: str) -> None:
        number = self.ports.reserve().number
        self.numbers.add(number)
        self.addCleanup(self.numbers.discard, number)
        barrier.wait()
        seen = set(self.numbers)
        barrier.wait()
        self.assertEqual(len(seen), 2)


class IsolatedTables(Pair, IsolatedTestCase, tables=["tests.torture.planted:SETTINGS"]):
    def disturb(self, mine: str) -> None:
        SETTINGS["name"] = mine
        barrier.wait()
        self.assertEqual(SETTINGS, {"name": mine})
        barrier.wait()


class IsolatedTelemetry(Pair, IsolatedTestCase):
    async def test_one(self) -> None:  # type: ignore[override]
        await self.emit("one")

    async def test_two(self) -> None:  # type: ignore[override]
        await self.emit("two")

    async def emit(self, mine: str) -> None:
        self.telemetry.attach(["tests.torture"])
        barrier.wait()
        self.telemetry.emit("tests.torture", {}, {"mine": mine})
        barrier.wait()
        await self.assert_telemetry_count("tests.torture", 1, timeout=0.0)
        await self.assert_telemetry("tests.torture", {"mine": mine}, timeout=0.0)


ISOLATED: list[type[Any]] = [
    IsolatedLogs,
    IsolatedPorts,
    IsolatedTables,
    IsolatedTelemetry,
    IsolatedNames,
    IsolatedVariables,
    IsolatedEnvironment,
    IsolatedRandomness,
    IsolatedWarnings,
]
