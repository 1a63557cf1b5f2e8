"""What an operation cost earlier, on this machine, kept in a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

from supertester.errors import UsageError
from supertester.performance.statistics import Interval

__all__ = ["MACHINE", "UPDATE", "Baseline", "fingerprint", "load_baseline", "save_baseline", "wants_update"]

MACHINE: Final = "SUPERTESTER_MACHINE"
"""The environment variable that gives machines which are alike one name."""
UPDATE: Final = "SUPERTESTER_UPDATE_BASELINES"
"""The environment variable that asks for new baselines."""
_FORMAT: Final = 1
_lock = Lock()


@dataclass(frozen=True)
class Baseline:
    """What an operation cost: its ratios to the reference work, and the functions it called."""

    time: Interval
    cpu: Interval
    reductions: int


def wants_update() -> bool:
    """Say whether the environment asks for new baselines."""
    return os.environ.get(UPDATE, "") not in ("", "0")


def fingerprint() -> str:
    """Return what times depend on: the machine, and the Python. Only what has the same one is compared.

    ``SUPERTESTER_MACHINE`` replaces the part that is the machine, for runners that are alike but for their names.
    """
    import platform

    machine = os.environ.get(MACHINE) or ", ".join(
        [platform.node(), _processor(), f"{os.cpu_count()} cores", platform.system(), platform.machine()]
    )
    return f"{machine}; {platform.python_implementation()} {platform.python_version()}{sys.abiflags}"


def _processor() -> str:
    """Return the model of the processor, as far as the system tells."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def load_baseline(path: Path, name: str) -> tuple[Baseline | None, list[str]]:
    """Return the baseline of this machine, or ``None``, and the fingerprints of the machines that have one.

    Raises:
        UsageError: The file is no file of baselines.
    """
    machines = _entries(path).get(name, {})
    found = machines.get(fingerprint())
    if found is None:
        return None, sorted(machines)
    try:
        return Baseline(Interval(**found["time"]), Interval(**found["cpu"]), found["reductions"]), sorted(machines)
    except (KeyError, TypeError) as error:
        raise UsageError(f"the baseline of {name!r} in {path} cannot be read ({error!r}); record it anew") from error


def save_baseline(path: Path, name: str, baseline: Baseline) -> None:
    """Keep *baseline* for this machine; those of others and of other operations stay as they are."""
    import tempfile

    with _lock:
        entries = dict(_entries(path))
        entries[name] = {**entries.get(name, {}), fingerprint(): asdict(baseline)}
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": _FORMAT, "baselines": entries}, indent=2, sort_keys=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text + "\n")
        Path(file.name).replace(path)


def _entries(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UsageError(f"{path} is no file of baselines: {error}") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise UsageError(f"{path} is no file of baselines of format {_FORMAT}; give another, or record anew")
    found: dict[str, Any] = data["baselines"]
    return found
