"""Actors of Ray as targets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from supertester._core.lazy import lazy_import
from supertester.errors import Unsupported, UsageError, WaitTimeout
from supertester.targets.os_process import ProcessTarget
from supertester.targets.target import Identity, Target

__all__ = ["RayActorTarget"]


class RayActorTarget(ProcessTarget):
    """One life of an actor of Ray: the process that it lives in, until that ends; if Ray restarts it, that is the next.

    To kill it is to let it crash, so Ray restarts it if it was made with ``max_restarts``. To stop it ends it for good.

    Args:
        handle: The handle of an actor on this machine that is alive: to wait for that, ``ray.get`` something of it.

    Raises:
        UsageError: It is not alive (yet), or dead for good.
        Unsupported: It lives on another machine.
    """

    lacks = {  # noqa: RUF012 - declared a ClassVar above
        "queue_len": "Ray does not tell how many calls an actor has not begun; count those that you have made",
        "workers": "an actor has no workers of its own",
    }

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        found = _state_of(handle)
        if found.get("State") != "ALIVE":
            raise UsageError(f"{handle!r} is {found.get('State', 'unknown')}, not ALIVE", reason="noproc")
        if found["Address"]["NodeID"] != lazy_import("ray", purpose="an actor").get_runtime_context().get_node_id():
            raise Unsupported(f"{handle!r} can be no target: it lives on another machine, {found['Address']}")
        super().__init__(found["Pid"])
        name = f"{found['ActorClassName']} {found['ActorID']}"
        self._identity = Identity(name, found["Pid"], found["NumRestarts"])

    async def stop(self, timeout: float = 5.0) -> Any:
        """Let it end when it has done what it was given before, for good, and wait for that."""
        if self.is_alive():
            self.handle.__ray_terminate__.remote()
        return await self.ended(timeout, "it was asked to terminate")

    async def sync(self, timeout: float = 5.0) -> None:
        """Wait until it has done what this process has given it before.

        Raises:
            WaitTimeout: It has not, in so many seconds, or has ended.
        """
        errors = lazy_import("ray.exceptions", purpose="an actor")
        try:
            async with asyncio.timeout(timeout):
                await self.handle.__ray_call__.remote(_nothing)
        except (TimeoutError, errors.RayActorError) as error:
            raise WaitTimeout(f"{self!r} has not done all within {timeout:g} s: {error}") from error

    def workers(self) -> Sequence[Target]:
        """Raise `Unsupported`."""
        raise self.unsupported("workers")


def _nothing(_: Any) -> None:
    """Be a call that does nothing."""


def _state_of(handle: Any) -> dict[str, Any]:
    state = lazy_import("ray._private.state", purpose="an actor of Ray", extra="ray")
    found: dict[str, Any] = state.actors(handle._actor_id.hex()) or {}
    return found
