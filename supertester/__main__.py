"""``python -m supertester``: see `supertester.runner`."""

from __future__ import annotations

import sys

from supertester.runner import collector

__all__: list[str] = []


def _main() -> None:
    collector.pause()
    from supertester.runner.farewell import leave
    from supertester.runner.program import run_program

    report = run_program(sys.argv[1:])
    if "unittest" in sys.modules:
        sys.exit(report.exit_status)
    leave(report.exit_status)  # No test was loaded here, so there is nothing to be taken apart object by object.


if __name__ == "__main__":
    _main()
