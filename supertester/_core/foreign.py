"""Systems that are no processes of the runtime, known by the names of their classes.

The runtime must tell them from the names of processes, which may be any value; `supertester.targets` makes targets of
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["adapter_of", "has_workers", "is_foreign"]

_ADAPTERS: Final[Mapping[str, str]] = {
    "_asyncio.Task": "tasks.TaskTarget",
    "asyncio.tasks.Task": "tasks.TaskTarget",
    "threading.Thread": "threads.ThreadTarget",
    "concurrent.futures.thread.ThreadPoolExecutor": "threads.ThreadPoolTarget",
    "concurrent.futures.process.ProcessPoolExecutor": "executors.ProcessPoolTarget",
    "pykka._ref.ActorRef": "pykka_actor.PykkaTarget",
    "pykka._proxy.ActorProxy": "pykka_actor.PykkaTarget",
    "ray.actor.ActorHandle": "ray_actor.RayActorTarget",
    "supertester.targets.external.ExternalProcess": "os_process.ProcessTarget",
    "subprocess.Popen": "os_process.ProcessTarget",
    "asyncio.subprocess.Process": "os_process.ProcessTarget",
    "multiprocessing.process.BaseProcess": "os_process.ProcessTarget",
    "psutil.Process": "os_process.ProcessTarget",
}
"""The adapter for each class, by name, so that nothing is imported for things that nobody has."""


def adapter_of(thing: Any) -> str | None:
    """Return the module and the name of the adapter for *thing*, or ``None``."""
    names = (f"{cls.__module__}.{cls.__qualname__}" for cls in type(thing).__mro__)
    return next((_ADAPTERS[name] for name in names if name in _ADAPTERS), None)


def has_workers(thing: Any) -> bool:
    """Say whether it has the ``workers()`` of a pool."""
    return callable(getattr(thing, "workers", None)) and not isinstance(thing, type)


def is_foreign(thing: Any) -> bool:
    """Say whether it is a system by itself, and so neither the name of a process nor a function to be called.

    What can be called and has ``workers()`` is not taken for a pool, because mocks have whatever is asked for.
    """
    return adapter_of(thing) is not None or (has_workers(thing) and not callable(thing))
