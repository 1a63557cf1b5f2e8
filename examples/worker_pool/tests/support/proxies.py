"""`Proxies`: a bad network between the pool and its workers, each of which has a proxy of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from worker_pool import Worker

from supertester.chaos import NetworkProxy, network_proxy

__all__ = ["Proxies"]

_PATIENCE = 60.0
"""Seconds that the loop may take; it must not be blocked by what waits for a worker."""


class Proxies:
    """Made in the event loop of a test; `dial` is for the pool, which calls it in its threads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._proxies: dict[tuple[str, int], NetworkProxy] = {}

    def dial(self, worker: Worker) -> str:
        """Return the address of a new proxy for *worker*."""

        async def begin() -> NetworkProxy:
            return await network_proxy("127.0.0.1", worker.port)

        proxy = asyncio.run_coroutine_threadsafe(begin(), self._loop).result(_PATIENCE)
        self._proxies[worker.id, worker.generation] = proxy
        return f"{proxy.host}:{proxy.port}"

    def of(self, worker: Any) -> NetworkProxy:
        return self._proxies[worker.id, worker.generation]

    def call(self, function: Callable[[], Any]) -> Any:
        """Return what *function* returns when it is called in the loop, where toxics are put on and taken off."""

        async def called() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(_PATIENCE)

    def has_toxics(self) -> bool:
        return any(proxy.toxics for proxy in self._proxies.values())
