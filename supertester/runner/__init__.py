"""``python -m supertester``: a runner for ``unittest`` suites that loses nothing.

Values are in `outcomes` (what became of a test, of a run; who is told) and in `options`. Work goes through these:

======================  ===================================================================================
module                  idea
======================  ===================================================================================
``outcomes``            `TestOutcome`, `RunReport`, the `Observer` protocol
``options``             `Options`: a field per option, with defaults; checked when made
``declared``            `DeclaredTest`: what is known of a test before it runs; a value that crosses processes
``loading finding``     names, ``discover``, ``load_tests``: from `Options` to `Loaded`
``running``             `run`: `Loaded` or a suite, `Options` and observers in, a `RunReport` out
``in_process``          the run of ``jobs=0``
``plan history``        what belongs together, and what begins first, by what earlier runs took
``crew``                the parent's event loop: hands out work, hears what becomes of it, replaces who dies
``desks ledger``        what it knows of each worker; which tests have an outcome
``remaining``           which tests are left
``hearing``             what workers say
``deaths timekeeping``  what dead workers did; who runs for too long
``nursery zygote``      the process that has loaded the tests and begins workers, from both sides
``beginning spawning``  how a process becomes a worker; zygote and workers that are fresh interpreters
``worker threaded``     runs units, one test at a time or several in threads
``recording walking``   a ``unittest`` result and suite for it: one `TestOutcome` per test, fixtures once
``queue frames wire``   how they talk: a pipe of units; frames of plain data; values as such
``capture holes blame`` what a test writes, its middle freed; the threads that it leaves or lets die
``ladder forking``      timeouts, and the signals for them
``interrupts farewell`` Ctrl-C; and what a forked process does at its end
``exceptions replay``   exceptions that survive the way; `TestRunner`, which reports them to any result
``settings layers``     files and environment; which of the declared tests, by tags
``order rounds``        in which order, how often; runs within a run
``companions``          who goes along with each test: ``guard`` (layers), ``attaching``, ``covering``
``outcome_history``     what came of tests in earlier runs
``bisecting changes``   the test that another depends on; what each changes in its process
``audit lint commands`` five questions about a suite; sleeps in sources; their command lines
``reports``             JUnit XML, the page, the live display
``session``             all that surrounds a run: choices, rounds, memory, reports
``cli plain program``   the command line, also one of names alone, and the program
``text``                what it prints
``files collector``     files that runs remember in; the garbage collector while modules are loaded
======================  ===================================================================================

Selection and order are functions from declared tests to declared tests; what they return is what is run::

    with load(options) as loaded:
        chosen = loaded.choose(order(select(loaded.tests)))
        report = run(chosen, options, [observer])

`Loaded.choose` takes any sequence of declared tests of this load, also one test several times with different
``attempt``; so repeating, running failures again and bisecting are further calls of `run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supertester._core.lazy import lazy_attributes

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
    from supertester.runner.replay import TestRunner
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
    "TestRunner",
    "load",
    "run",
]

_HOMES = {
    "declared": ("DeclaredTest",),
    "loading": ("Loaded", "load"),
    "options": ("Options",),
    "outcomes": ("Attachment", "Observer", "Problem", "RunReport", "Running", "Silent", "Subtest", "TestOutcome"),
    "replay": ("TestRunner",),
    "running": ("run",),
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # A type checker reads the imports above.
    __getattr__ = lazy_attributes(__name__, _HOME_OF)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
