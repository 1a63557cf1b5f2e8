"""Who may import whom: the layers of the package, read from its source without importing it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.project.source import statements

__all__ = ["LAYERS", "check_layers"]

PACKAGE = "supertester"

# Imports go down this table, or sideways: within a folder, and between the plain modules of one layer. The folders of
# layer 3 stand on each other: chaos has scenarios among its faults, scenarios are measured, and to measure is to know
# whose work it was.
LAYERS: dict[str, float] = {
    "_core": 0,
    "errors": 0,
    "otp": 1,
    "schedule": 1,
    "linear": 1,
    "telemetry": 1,
    "context": 2,
    "env": 2,
    "attachments": 2,
    "failpoints": 2,
    "sim_process": 2,
    "targets": 2.5,
    "isolation": 3,
    "processes": 3,
    "servers": 3,
    "server_talk": 3,
    "server_probes": 3,
    "supervision": 3,
    "workers": 3,
    "supervision_trace": 3,
    "trees": 3,
    "tree_structure": 3,
    "restarts": 3,
    "sequence_diagram": 3,
    "tracing": 3,
    "leaks": 3,
    "performance": 3.1,
    "scenarios": 3.2,
    "chaos": 3.4,
    "harness": 3.6,
    "properties": 3.8,
    "programs": 3.8,
    "mixins": 4,
    "case": 5,
    "state_machines": 5.5,
    "reporting": 6,
    "runner": 6.5,  # its reports stand on `reporting`
    "testing": 6,
    "__main__": 6.8,
    "__init__": 7,  # the facade knows everything and nothing knows it
}
# An application may run these in production: they need neither the test tools nor anything from the package index.
STANDARD_LIBRARY_ONLY = frozenset({"otp", "schedule", "linear"})
UNITTEST_FROM = 4


@dataclass(frozen=True)
class Import:
    """One import statement: what is imported, and where."""

    module: str
    place: str

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def part(self) -> str:
        """The row of the table that the module belongs to, for a module of the package."""
        return part_of(self.module)


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def module_name(root: Path, path: Path) -> str:
    parts = [root.name, *path.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(root: Path, path: Path) -> Iterator[Import]:
    """Yield every import in *path*, also those inside functions: a lazy import is a dependency too."""
    package = module_name(root, path).split(".")
    if path.name != "__init__.py":
        package.pop()
    name = path.relative_to(root.parent)
    for node in statements(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        place = f"{name}:{node.lineno}"
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, place) for alias in node.names)
        else:
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            # `from supertester import errors` names a module, not something that the facade offers.
            children = [alias.name for alias in node.names if module == root.name and exists(root, alias.name)]
            yield from (Import(f"{module}.{child}", place) for child in children)
            if len(children) < len(node.names):
                yield Import(module, place)


def exists(root: Path, name: str) -> bool:
    return (root / name).is_dir() or (root / f"{name}.py").is_file()


def check_layers(root: Path) -> list[str]:
    """Say, a line each, how the package in folder *root* breaks the table; nothing if it does not."""
    problems: list[str] = []
    for path in sorted(root.rglob("*.py")):
        part = part_of(module_name(root, path))
        if part not in LAYERS:
            problems.append(f"{path.relative_to(root.parent)}: {part!r} is in no layer; add it to the table")
            continue
        is_folder = (root / part).is_dir()
        problems += [
            f"{found.place}: {part} (layer {LAYERS[part]}) imports {found.module}: {reason}"
            for found in imports_of(root, path)
            if (reason := objection(part, found, root=root, is_folder=is_folder))
        ]
    return problems


def objection(part: str, found: Import, *, root: Path, is_folder: bool) -> str | None:
    """Say what is wrong with *part* importing *found*, or return ``None``."""
    layer = LAYERS[part]
    if found.top == "unittest" and layer < UNITTEST_FROM:
        return f"only layers {UNITTEST_FROM} and up know unittest"
    if found.top != root.name:
        if part in STANDARD_LIBRARY_ONLY and found.top not in sys.stdlib_module_names:
            return "this part uses the standard library alone"
        return None
    if part in {found.part, "__init__"}:
        return None
    other = LAYERS.get(found.part)
    if other is None:
        return "that is in no layer"
    if part in STANDARD_LIBRARY_ONLY and other > 0:
        return "this part uses layer 0 alone"
    if other > layer:
        return f"that is layer {other}, and imports go down"
    # The two parts of layer 0 are one floor: everything that waits raises `WaitTimeout`.
    if other == layer and layer > 0 and (is_folder or (root / found.part).is_dir()):
        return "that is another folder of the same layer"
    return None
