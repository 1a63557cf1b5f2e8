"""Tests for concurrent Python: isolated, without sleeps, on servers and supervisors that behave as OTP's do.

>>> import supertester
>>> supertester.version()
'0.1.0'

This is the facade: the few names that most tests need. Each is loaded from its home on first use, so importing the
package costs next to nothing and an application that only runs servers never loads the test tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supertester._core.lazy import lazy_attributes

if TYPE_CHECKING:
    from supertester._core.mismatch import Mismatch
    from supertester._core.outcome import Outcome
    from supertester._core.tags import tag
    from supertester.case import IsolatedTestCase
    from supertester.context import Isolation, IsolationContext
    from supertester.errors import (
        CallExit,
        MissingSyncHandler,
        StartFailed,
        UnknownMessage,
        Unsupported,
        UsageError,
        WaitTimeout,
    )
    from supertester.harness import Scenario, run_scenario
    from supertester.isolation.explored import explore
    from supertester.isolation.installed import uninstall
    from supertester.isolation.leaks.allowed import allow_leak
    from supertester.isolation.sleeps import allow_sleep
    from supertester.mixins.chaos import ChaosMixin
    from supertester.mixins.harness import HarnessMixin
    from supertester.mixins.otp import OTPAssertions
    from supertester.mixins.performance import PerformanceMixin
    from supertester.mixins.services import ServiceAssertions
    from supertester.otp import ChildSpec, DynamicSupervisor, GenServer, Pid, Registry, Supervisor
    from supertester.runner.program import main

__all__ = [
    "CallExit",
    "ChaosMixin",
    "ChildSpec",
    "DynamicSupervisor",
    "GenServer",
    "HarnessMixin",
    "IsolatedTestCase",
    "Isolation",
    "IsolationContext",
    "Mismatch",
    "MissingSyncHandler",
    "OTPAssertions",
    "Outcome",
    "PerformanceMixin",
    "Pid",
    "Registry",
    "Scenario",
    "ServiceAssertions",
    "StartFailed",
    "Supervisor",
    "UnknownMessage",
    "Unsupported",
    "UsageError",
    "WaitTimeout",
    "__version__",
    "allow_leak",
    "allow_sleep",
    "explore",
    "main",
    "run_scenario",
    "tag",
    "uninstall",
    "version",
]

__version__ = "0.1.0"

_HOMES = {
    "supertester._core.mismatch": ("Mismatch",),
    "supertester._core.outcome": ("Outcome",),
    "supertester._core.tags": ("tag",),
    "supertester.case": ("IsolatedTestCase",),
    "supertester.context": ("Isolation", "IsolationContext"),
    "supertester.errors": (
        "CallExit",
        "MissingSyncHandler",
        "StartFailed",
        "UnknownMessage",
        "Unsupported",
        "UsageError",
        "WaitTimeout",
    ),
    "supertester.harness": ("Scenario", "run_scenario"),
    "supertester.isolation.explored": ("explore",),
    "supertester.isolation.installed": ("uninstall",),
    "supertester.mixins.chaos": ("ChaosMixin",),
    "supertester.mixins.harness": ("HarnessMixin",),
    "supertester.isolation.leaks.allowed": ("allow_leak",),
    "supertester.isolation.sleeps": ("allow_sleep",),
    "supertester.mixins.otp": ("OTPAssertions",),
    "supertester.mixins.performance": ("PerformanceMixin",),
    "supertester.mixins.services": ("ServiceAssertions",),
    "supertester.otp": ("ChildSpec", "DynamicSupervisor", "GenServer", "Pid", "Registry", "Supervisor"),
    "supertester.runner.program": ("main",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def version() -> str:
    """Return the version of the library."""
    return __version__


if not TYPE_CHECKING:  # A type checker reads the imports above, so that it can tell a misspelt name.
    __getattr__ = lazy_attributes(__name__, _HOME_OF)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
