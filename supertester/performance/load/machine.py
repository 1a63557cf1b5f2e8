"""How busy the machine is: with this program, and with others."""

from __future__ import annotations

import time

__all__ = ["Busyness"]


class Busyness:
    """Counts processors in use, from its creation on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._own = time.process_time()
        self._all, self._family = _all_seconds(), _family_seconds()

    def own(self) -> float:
        """Return how many processors this process has used, on average."""
        return (time.process_time() - self._own) / self._elapsed()

    def foreign(self) -> float | None:
        """Return how many other programs used, those of this process and of its children aside."""
        if self._all is None:
            return None
        everything = (_all_seconds() or 0.0) - self._all
        return max(everything - (_family_seconds() - self._family), 0.0) / self._elapsed()

    def _elapsed(self) -> float:
        return max(time.perf_counter() - self._began, 1e-9)


def _all_seconds() -> float | None:
    """Return the seconds of processor time that the machine has used."""
    import psutil

    try:
        times = psutil.cpu_times()
    except OSError:  # Some containers hide it.
        return None
    # Linux counts the time of guests twice: as theirs, and as that of users.
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(value for name, value in times._asdict().items() if name not in idle))


def _family_seconds() -> float:
    """Return those of this process and of its children that live."""
    import psutil

    own = psutil.Process()
    seconds = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        seconds += times.user + times.system
    return seconds
