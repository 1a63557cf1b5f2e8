"""The bar of EchoLab: serves from a keg that many guests share."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

__all__ = ["Bar", "Till"]


class Till(Protocol):
    """Where drinks are paid for."""

    async def charge(self, guest: str) -> Any:
        """Take the money, which may take as long as it likes."""


class Bar:
    """Pours what is in the keg, a glass at a time.

    Args:
        glasses: How many glasses are in the keg.
        till: Where they are paid for.
        careful: Whether a glass is put aside before it is paid for. Without, two guests can pay for the last one.
    """

    def __init__(self, glasses: int, till: Till, *, careful: bool = True) -> None:
        self.glasses = glasses
        self.served: list[str] = []
        self._till = till
        self._careful = careful
        self._tap = asyncio.Lock()

    async def order(self, guest: str) -> bool:
        """Serve *guest*, if there is a glass left; say whether there was."""
        if self.glasses < 1:
            return False
        if self._careful:
            self.glasses -= 1
            await self._till.charge(guest)
        else:
            await self._till.charge(guest)
            self.glasses -= 1
        async with self._tap:
            self.served.append(guest)
        return True
