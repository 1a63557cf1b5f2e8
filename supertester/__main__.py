"""``python -m supertester``: see `supertester.runner`."""

from __future__ import annotations

import sys

from supertester.runner.program import run_program

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(run_program(sys.argv[1:]).exit_status)
