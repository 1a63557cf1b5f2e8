"""An HTML page that stands alone: one file, nothing loaded from anywhere, no script but one that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

__all__ = ["facts", "page", "section", "table"]

_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --dim: #59636e; --rule: #d8dee4;
  --first: #0b62c4; --second: #8250df; --bad: #c62f36; --good: #1a7f37; --mark: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6ebf0; --dim: #98a4b0; --rule: #333b44;
  --first: #58a6ff; --second: #bc8cff; --bad: #ff7b72; --good: #56d364; --mark: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .dim, small { color: var(--dim); } .bad { color: var(--bad); } .good { color: var(--good); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem; margin: 0; }
dl div { border: 1px solid var(--rule); border-radius: 6px; padding: .5rem .75rem; }
dt { color: var(--dim); font-size: .8rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
figure { margin: 0; overflow-x: auto; } svg { display: block; width: 100%; min-width: 30rem; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; } th { color: var(--dim); font-weight: 500; }
pre { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px; padding: .75rem; font-size: .85rem; }
summary { cursor: pointer; color: var(--dim); }
svg text { font: 11px system-ui, sans-serif; fill: var(--dim); } svg .label { fill: var(--ink); }
svg .grid { stroke: var(--rule); } svg .mark { stroke: var(--mark); stroke-dasharray: 3 3; }
svg .marked { fill: var(--mark); }
svg .mark.fault { stroke: var(--bad); } svg .mark.recovery { stroke: var(--good); }
svg .marked.fault { fill: var(--bad); } svg .marked.recovery { fill: var(--good); }
 svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .first { stroke: var(--first); } svg .second { stroke: var(--second); } svg .bad { stroke: var(--bad); }
svg rect, svg circle { stroke: none !important; } svg rect.first, svg circle.first { fill: var(--first); }
svg rect.second, svg circle.second { fill: var(--second); } svg rect.bad, svg circle.bad { fill: var(--bad); }
"""


def page(title: str, parts: Iterable[str], *, style: str = "", script_hash: str = "") -> str:
    """Return a whole page of *parts*, which are HTML already.

    Args:
        title: The heading.
        parts: What follows it.
        style: Rules of CSS beside the common ones.
        script_hash: The SHA-256, in Base64, of the one script that may run; by default none may.
    """
    body = "\n".join(parts)
    scripts = f" script-src 'sha256-{script_hash}';" if script_hash else ""
    # Whatever gets into the page, it loads nothing and runs nothing else.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:;{scripts}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Return a part of a page with a heading."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def facts(values: Sequence[tuple[str, str]]) -> str:
    """Return a few numbers with their names, as tiles."""
    return "<dl>" + "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in values) + "</dl>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of text."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<figure><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></figure>"
