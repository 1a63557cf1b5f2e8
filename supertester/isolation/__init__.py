"""Isolation: what a test has for itself, and what it must not leave behind.

`supertester.case.IsolatedTestCase` does all this for a ``unittest`` test; `isolate` does it anywhere else.
"""

from supertester._core.tags import tag
from supertester.context import Isolation, IsolationContext, Problem, ProcessInfo
from supertester.env import Env, current_env, set_env
from supertester.isolation.children import parent_test_id
from supertester.isolation.features import FEATURES, Feature
from supertester.isolation.identity import adopt
from supertester.isolation.installed import uninstall
from supertester.isolation.leaks.allowed import UnusedAllowance, allow_leak, unused_allowances
from supertester.isolation.leaks.kinds import LEAK_KINDS
from supertester.isolation.modes import isolation_allows_async, isolation_timeout
from supertester.isolation.options import Options
from supertester.isolation.scope import IsolationFailure
from supertester.isolation.sleeps import allow_sleep
from supertester.isolation.standalone import (
    fetch_isolation_context,
    isolate,
    put_isolation_context,
    verify_test_isolation,
)

__all__ = [
    "FEATURES",
    "LEAK_KINDS",
    "Env",
    "Feature",
    "Isolation",
    "IsolationContext",
    "IsolationFailure",
    "Options",
    "Problem",
    "ProcessInfo",
    "UnusedAllowance",
    "adopt",
    "allow_leak",
    "allow_sleep",
    "current_env",
    "fetch_isolation_context",
    "isolate",
    "isolation_allows_async",
    "isolation_timeout",
    "parent_test_id",
    "put_isolation_context",
    "set_env",
    "tag",
    "uninstall",
    "unused_allowances",
    "verify_test_isolation",
]
