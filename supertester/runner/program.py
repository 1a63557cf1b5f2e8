"""`main`: the program behind ``python -m supertester``, and for the end of a test module."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from supertester.errors import UsageError
from supertester.runner import collector
from supertester.runner.loading import load
from supertester.runner.options import Options
from supertester.runner.outcomes import RunReport
from supertester.runner.plain import plain_options

if TYPE_CHECKING:
    from supertester.runner.nursery import Nursery

__all__ = ["main", "run_program"]

COMMANDS = ("audit", "lint")
"""What is done instead of running tests, if it stands first."""
_USAGE = 2


def main(
    module: str | ModuleType = "__main__", *, argv: Sequence[str] | None = None, exit: bool = True, **options: Any
) -> RunReport:
    """Run the tests of *module*, with what the command line says; as ``unittest.main`` does, for its last lines.

    Args:
        module: The module, or its name.
        argv: The command line, with the name of the program; that of the process if nothing is said.
        exit: Whether to end the process, with the run's exit status.
        options: Fields of `supertester.runner.options.Options` that hold unless the command line says otherwise, e.g.
            ``jobs=2``.

    Raises:
        SystemExit: As *exit* says, and with status 2 if the command line makes no sense.
        TypeError: There is no such option.

    Example::

        if __name__ == "__main__":
            supertester.main()
    """
    arguments = list(sys.argv if argv is None else argv)
    name = module if isinstance(module, str) else module.__name__
    report = run_program(arguments[1:], prog=arguments[0], module=name, defaults=options)
    if exit:
        sys.exit(report.exit_status)
    return report


def run_program(
    arguments: Sequence[str],
    *,
    prog: str = "python -m supertester",
    module: str | None = None,
    defaults: dict[str, Any] | None = None,
) -> RunReport:
    """Do what the command line *arguments* ask for.

    Raises:
        SystemExit: They make no sense.
    """
    if module is None and arguments[:1] and arguments[0] in COMMANDS:
        from supertester.runner.commands import run_command

        collector.resume()
        raise SystemExit(run_command(arguments[0], arguments[1:]))
    try:
        if module is not None or defaults:
            return run_options(_parsed(arguments, prog, module, defaults or {}))
        plain = plain_options(arguments)
        return run_options(plain) if plain is not None else _run_parsed(arguments, prog)
    except UsageError as error:
        sys.stderr.write(f"{prog}: error: {error}\n")
        raise SystemExit(_USAGE) from None


def _run_parsed(arguments: Sequence[str], prog: str) -> RunReport:
    """Run what *arguments* ask for; the process that will load the tests gets ready while they are understood."""
    with contextlib.ExitStack() as stack:
        nursery = None
        if hasattr(os, "fork"):
            from supertester.runner.nursery import Nursery

            nursery = Nursery()
            stack.callback(nursery.kill)
        options = _parsed(arguments, prog, None, {})
        if options.jobs and options.start_method == "fork" and not options.coverage:
            return run_options(options, nursery)
    return run_options(options)


def _parsed(arguments: Sequence[str], prog: str, module: str | None, defaults: dict[str, Any]) -> Options:
    from supertester.runner import cli
    from supertester.runner.settings import apply_settings

    parser = cli.make_parser(prog)
    apply_settings(parser, sections=COMMANDS)
    _set_defaults(parser, defaults)
    return replace(cli.parse(arguments, parser), module=module)


def _set_defaults(parser: Any, defaults: dict[str, Any]) -> None:
    known = {action.dest for action in parser._actions}
    if unknown := sorted(defaults.keys() - known):
        raise TypeError(f"there is no option {unknown[0]!r}; the options are fields of supertester.runner.Options")
    parser.set_defaults(**defaults)


def run_options(options: Options, nursery: Nursery | None = None) -> RunReport:
    """Load, by *nursery* if there is one, choose, run and report."""
    if options.coverage:
        return _run_covered(options)
    with load(options, nursery) as loaded:
        from supertester.runner.session import display, run_session  # While another process loads the tests.

        return run_session(loaded, options, [display(options)])


def _run_covered(options: Options) -> RunReport:
    from supertester.runner.covering import Covering
    from supertester.runner.session import display, run_session
    from supertester.runner.writing import write

    with Covering() as covering:
        with load(options) as loaded:
            if not loaded.is_here:
                covering.stop_here()
            report = run_session(loaded, options, [display(options)])
        write(sys.stdout, covering.finish())
    return report
