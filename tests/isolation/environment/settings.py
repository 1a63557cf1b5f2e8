"""The settings of an application, for tests to override."""

from typing import Any

RETRIES = 3
TIMEOUT = 1.5
LIMITS = {"rows": 10}


def __getattr__(name: str) -> Any:
    if name == "LAZY":
        return "computed"
    raise AttributeError(name)
