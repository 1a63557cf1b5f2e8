"""``python -m supertester``: a runner for ``unittest`` suites that loses nothing.

Values are in `outcomes` (what became of a test, of a run; who is told) and in `options`. Work goes through these:

======================  ===================================================================================
module                  idea
======================  ===================================================================================
``outcomes``            `TestOutcome`, `RunReport`, the `Observer` protocol
``options``             `Options`: a field per option, with defaults; checked when made
``declared``            `DeclaredTest`: what is known of a test before it runs; a value that crosses processes
``loading``             names, ``discover``, ``load_tests``: from `Options` to `Loaded`
``recording``           a ``unittest.TestResult`` that turns its events into one `TestOutcome` per test
``walking``             runs tests one after the other with their class and module fixtures, as a suite does
``running``             `run`: `Loaded` or a suite, `Options` and observers in, a `RunReport` out
``configuration``       files and environment to the options that flags override
``selecting``           which of the declared tests, by tags and by what runs remember
``ordering``            in which order: shuffled, failures first
``cli``                 the command line: flags to `Options`, which observers, exit status
======================  ===================================================================================

Selection and order are functions from declared tests to declared tests; what they return is what is run::

    with load(options) as loaded:
        chosen = loaded.choose(order(select(loaded.tests)))
        report = run(chosen, options, [observer])

`Loaded.choose` takes any sequence of declared tests of this load, also one test several times with different
``attempt``; so repeating, running failures again and bisecting are further calls of `run`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supertester.runner.declared import DeclaredTest
    from supertester.runner.loading import Loaded, load
    from supertester.runner.options import Options
    from supertester.runner.outcomes import (
        Attachment,
        Observer,
        Problem,
        Running,
        RunReport,
        Silent,
        Subtest,
        TestOutcome,
    )
    from supertester.runner.running import run

__all__ = [
    "Attachment",
    "DeclaredTest",
    "Loaded",
    "Observer",
    "Options",
    "Problem",
    "RunReport",
    "Running",
    "Silent",
    "Subtest",
    "TestOutcome",
    "load",
    "run",
]

_HOMES = {
    "declared": ("DeclaredTest",),
    "loading": ("Loaded", "load"),
    "options": ("Options",),
    "outcomes": ("Attachment", "Observer", "Problem", "RunReport", "Running", "Silent", "Subtest", "TestOutcome"),
    "running": ("run",),
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # A type checker reads the imports above.

    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
