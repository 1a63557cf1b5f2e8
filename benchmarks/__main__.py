"""``python -m benchmarks``; imported once more by every process that a figure starts, so it imports nothing else."""

from __future__ import annotations

if __name__ == "__main__":
    import sys

    from benchmarks.command import main

    sys.exit(main(sys.argv[1:]))
