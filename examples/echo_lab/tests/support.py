"""What the tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supertester.servers import TestableGenServer

__all__ = ["Notebook", "PlainCounter", "TestableCounter"]


class Notebook:
    """An environment, as a harness of one's own would have: it collects what is to be run at the end."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], Any]] = []

    def on_exit(self, callback: Callable[[], Any]) -> None:
        self.callbacks.append(callback)


class PlainCounter:
    """A counter of some other actor library: it has a mailbox, and nobody can tell when it has read it."""

    def __init__(self) -> None:
        self.state = 0
        self.mailbox: list[Any] = []

    def handle_call(self, request: Any) -> Any:
        return self.state if request == "value" else None

    def cast(self, message: Any) -> None:
        self.mailbox.append(message)

    def call(self, request: Any, timeout: float = 5.0) -> Any:
        while self.mailbox:
            _, n = self.mailbox.pop(0)
            self.state += n
        return self.handle_call(request)


class TestableCounter(PlainCounter, TestableGenServer):
    """The same, with an answer to the message that tests synchronise with."""
