"""`Agent`: a server that only keeps a value, for functions to read and change (rule 32)."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from supertester.otp.genserver import GenServer
from supertester.otp.signals import call, cast

__all__ = ["Agent"]


class Agent(GenServer):
    """A value in a process. ``Agent.start_link(0)``, or with a function that makes the first value.

    The functions run inside the agent, one at a time; plain functions only.

    >>> import asyncio
    >>> async def main():
    ...     agent = await Agent.start_link(dict)
    ...     await Agent.update(agent, lambda users: users | {"ada": 1})
    ...     return await Agent.get(agent, sorted)
    >>> asyncio.run(main())
    ['ada']
    """

    def init(self, initial: Any = None) -> Any:
        # A class such as `dict` makes the first value; any other callable value could as well be meant as the value.
        return initial() if isinstance(initial, (FunctionType, MethodType, type)) else initial

    def handle_call(self, request: Any, sender: Any) -> Any:
        kind, fn = request
        if kind == "get":
            return self.state if fn is None else fn(self.state)
        if kind == "update":
            self.state = fn(self.state)
            return None
        reply, self.state = fn(self.state)
        return reply

    def handle_cast(self, message: Any) -> None:
        self.state = message(self.state)

    @staticmethod
    async def get(agent: Any, fn: Callable[[Any], Any] | None = None, timeout: float = 5.0) -> Any:
        """Return ``fn(value)``, or the value."""
        return await call(agent, ("get", fn), timeout)

    @staticmethod
    async def update(agent: Any, fn: Callable[[Any], Any], timeout: float = 5.0) -> None:
        """Make ``fn(value)`` the value."""
        await call(agent, ("update", fn), timeout)

    @staticmethod
    async def get_and_update(agent: Any, fn: Callable[[Any], tuple[Any, Any]], timeout: float = 5.0) -> Any:
        """``fn(value)`` gives what to return and the new value."""
        return await call(agent, ("get_and_update", fn), timeout)

    @staticmethod
    def cast(agent: Any, fn: Callable[[Any], Any]) -> None:
        """Make ``fn(value)`` the value, without waiting."""
        cast(agent, fn)
