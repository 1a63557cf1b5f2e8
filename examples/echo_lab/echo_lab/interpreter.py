"""An interpreter who works in a process of their own and is asked line by line."""

from __future__ import annotations

from typing import Any

__all__ = ["PHRASES", "Interpreter", "interpret"]

PHRASES = {"hello": "bonjour", "goodbye": "au revoir"}


async def interpret(stdio: Any) -> None:
    """Be the program of the process: a word comes in, a phrase goes out."""
    async for word in stdio:
        await stdio.write_line(PHRASES.get(word, "?"))


class Interpreter:
    """Asks the process, a ``asyncio.subprocess.Process`` or what looks like one.

    Args:
        process: The process.
        careful: Whether it looks for the end of the line, which one that dies may not have written.
    """

    def __init__(self, process: Any, *, careful: bool = True) -> None:
        self._process = process
        self._careful = careful

    async def translate(self, word: str) -> str | None:
        """Return the phrase for *word*, or ``None`` if nobody is there any more."""
        self._process.stdin.write(f"{word}\n".encode())
        line = (await self._process.stdout.readline()).decode()
        if self._careful and not line.endswith("\n"):
            return None
        return line.strip() or None
