"""``python -m benchmarks.growth``: after 1,000, 10,000 and 100,000 tests, what has grown in the process?

Not a matter of time but of counts: each test has to leave the process as it was, or the suites that this library is for
would slow down and run out of memory.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import unittest
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

from supertester import IsolatedTestCase

__all__ = ["Tests", "containers", "counts", "grown", "growth", "main", "run_tests"]

RSS = "RSS (KiB)"

SIZES = (1_000, 10_000, 100_000)
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_STATM, _FDS = Path("/proc/self/statm"), Path("/proc/self/fd")


class Tests(IsolatedTestCase):
    """Two tests that do nothing, in full isolation."""

    def test_plain(self) -> None: ...

    async def test_async(self) -> None: ...


def run_tests(count: int) -> None:
    """Run *count* tests, plain and async in turn, all of which have to pass."""
    result = unittest.TestResult()
    for number in range(count):
        Tests("test_async" if number % 2 else "test_plain").run(result)
    if result.testsRun != count or not result.wasSuccessful():
        raise RuntimeError(f"a test that does nothing failed:\n{[*result.failures, *result.errors]}")


def containers() -> dict[str, int]:
    """Return the sizes of all that modules and classes of the library keep, by name."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "supertester":
            found.update(_sizes(name, vars(module)))
            for each in list(vars(module).values()):
                if isinstance(each, type) and each.__module__ == name:
                    found.update(_sizes(f"{name}.{each.__qualname__}", vars(each)))
    return found


def _sizes(name: str, members: Any) -> dict[str, int]:
    sizes = {}
    for member, value in list(members.items()):
        if isinstance(value, Sized) and not isinstance(value, (type, str, bytes)):
            sizes[f"{name}.{member}"] = len(value)
    return sizes


def counts() -> dict[str, int]:
    """Return what can grow, as numbers."""
    gc.collect()
    return {
        RSS: int(_STATM.read_text().split()[1]) * _PAGE // 1024 if _STATM.exists() else 0,
        "objects": len(gc.get_objects()),
        "kept by the library": sum(containers().values()),
        "loggers": len(logging.Logger.manager.loggerDict),
        "threads": threading.active_count(),
        "file descriptors": len(list(_FDS.iterdir())) if _FDS.exists() else 0,
        "collector callbacks": len(gc.callbacks),
    }


def growth(sizes: tuple[int, ...] = SIZES) -> dict[int, dict[str, int]]:
    """Return the counts after so many tests in all, by number."""
    run_tests(2)
    counts()  # What measuring itself leaves, it leaves once.
    found, done = {}, 2
    for size in sizes:
        run_tests(size - done)
        done = size
        found[size] = counts()
    return found


def grown(found: Mapping[int, Mapping[str, int]]) -> list[str]:
    """Name what grew by more than one for every hundred tests; not the RSS, which is the allocator's business."""
    first, last = min(found), max(found)
    return [
        name
        for name, value in found[first].items()
        if name != RSS and found[last][name] - value > (last - first) // 100
    ]


def main(sizes: tuple[int, ...] = SIZES) -> int:
    """Print the table; the status says whether anything has `grown`."""
    found = growth(sizes)
    print(f"{'after so many tests':22}" + "".join(f"{size:>12,}" for size in found))
    for name in found[sizes[0]]:
        print(f"{name:22}" + "".join(f"{each[name]:>12,}" for each in found.values()))
    names = grown(found)
    print(f"grown: {', '.join(names)}" if names else "nothing has grown")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
