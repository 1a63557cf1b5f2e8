"""`with_python_server`: a server that is written in Python, in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from types import TracebackType
from typing import Any

from supertester.errors import UsageError
from supertester.targets.external import ExternalProcess, start_process

__all__ = ["PythonServer", "with_python_server"]

_CALL = "import sys; from importlib import import_module; getattr(import_module({!r}), {!r})(*sys.argv[1:])"


def with_python_server(
    target: str | os.PathLike[str] | Callable[..., object], *args: str, python: str = sys.executable, **options: Any
) -> PythonServer:
    r"""Start a server that is written in Python; to be awaited, or entered by ``async with``, which ends it.

    What it writes is not buffered, so that `LineReady` sees it at once.

    Args:
        target: A ``.py`` file, the name of a module, or a function of a module, which is called in the new process.
        args: What it is given, as strings.
        python: The interpreter.
        options: Those of `start_process`.

    Raises:
        UsageError: The function cannot be found by its name in another process.

    Example::

        async with with_python_server("server.py", "0", ready=LineReady(r"listening on \d+")) as server:
            port = int(server.find(r"listening on (\d+)").group(1))
    """
    if callable(target):
        options["env"] = {
            "PYTHONPATH": os.pathsep.join(each or str(Path.cwd()) for each in sys.path),
            **(options.get("env") or {}),
        }
        name, program = target.__qualname__, ["-c", _CALL.format(*_home(target))]
    else:
        place = os.fspath(target)
        name, program = Path(place).name, [place] if place.endswith(".py") else ["-m", place]
    return PythonServer(start_process([python, "-u", *program, *args], **{"name": name, **options}))


def _home(function: Any) -> tuple[str, str]:
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or getattr(sys.modules.get(module), name, None) is not function:
        raise UsageError(
            f"{module}.{name} cannot be found in another process; use a function on the level of a module that can be "
            "imported, or a file"
        )
    return module, name


class PythonServer:
    """A server that is being started: await it, or enter it by ``async with``."""

    def __init__(self, starting: Coroutine[Any, Any, ExternalProcess]) -> None:
        self._starting = starting
        self._process: ExternalProcess | None = None

    def __await__(self) -> Generator[Any, Any, ExternalProcess]:
        return self._starting.__await__()

    async def __aenter__(self) -> ExternalProcess:
        self._process = await self._starting
        return self._process

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        await self._process.stop()
