"""The command ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import cases, dpor, imports, linear, lives, load, messages, os_servers, runs, scale, schedules, sleeps
from benchmarks.beam import Beam, opened_beam
from benchmarks.measure import Figure, measure
from benchmarks.peers import with_peers
from benchmarks.report import as_data, is_missed, summary, table

__all__ = ["all_figures", "chosen", "main"]

QUICK = 10
"""By how much ``--quick`` divides the work."""


def all_figures(beam: Beam | None, *, peers: bool = False) -> list[Figure]:
    """Return every figure, in the order of the table."""
    figures = [
        *messages.figures(beam),
        *lives.figures(beam),
        *cases.figures(),
        *imports.figures(),
        *load.figures(),
        *sleeps.figures(),
        *schedules.figures(),
        *os_servers.figures(),
        *runs.figures(),
        *scale.figures(),
        *linear.figures(),
        *dpor.figures(),
    ]
    return with_peers(figures) if peers else figures


def chosen(figures: Sequence[Figure], names: Sequence[str]) -> list[Figure]:
    """Return the figures called *names*, or beginning with one of them and a dash; all, without names.

    Raises:
        LookupError: There is none of a name.
    """
    if not names:
        return list(figures)
    for name in names:
        if not any(_is(figure, name) for figure in figures):
            raise LookupError(f"no figure is called {name!r}; there are {', '.join(figure.name for figure in figures)}")
    return [figure for figure in figures if any(_is(figure, name) for name in names)]


def _is(figure: Figure, name: str) -> bool:
    return figure.name == name or figure.name.startswith(f"{name}-")


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError(f"at least 1 round is needed, got {rounds}")
    return rounds


def main(arguments: Sequence[str]) -> int:
    if list(arguments[:1]) == ["bugs"]:
        from benchmarks.bugs.__main__ import main as bugs  # It has options of its own.

        return bugs(arguments[1:])
    if list(arguments[:1]) == ["suites"]:
        from benchmarks.suites import main as suites  # It measures nothing.

        return suites(arguments[1:])
    if list(arguments[:1]) == ["orphans"]:
        from benchmarks.orphans import main as orphans

        return orphans(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the library beside its references."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a figure, or the beginning of several: scale")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    parser.add_argument("--peers", action="store_true", help="also measure other libraries; see benchmarks/peers.txt")
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="how often to measure (7; with --quick 3)")
    parser.add_argument("--quick", action="store_true", help=f"do a {QUICK}th of the work: rough, but soon done")
    parser.add_argument("--strict", action="store_true", help="end with status 1 if a target is missed")
    options = parser.parse_args(arguments)
    rounds = options.rounds or (3 if options.quick else 7)
    measured = []
    with opened_beam() as beam:
        try:
            figures = chosen(all_figures(beam, peers=options.peers), options.names)
        except LookupError as error:
            parser.error(str(error))
        erlang = "" if beam is not None else "; no BEAM, because `elixir` is not on the path"
        print(f"Python {platform.python_version()}, {rounds} rounds{erlang}\n", flush=True)
        for figure in figures:
            found = measure(figure.smaller(QUICK) if options.quick else figure, rounds)
            measured.append(found)
            print("\n".join(table(found)), flush=True)
    print(summary(measured))
    if options.json:
        options.json.write_text(json.dumps(as_data(measured), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(options.strict and is_missed(measured))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
