"""What tests of leaks leave behind on purpose."""

import asyncio
from typing import Any

_held: set[asyncio.Future[Any]] = set()


async def forever() -> None:
    """Wait until cancelled."""
    future = asyncio.get_running_loop().create_future()
    # A task that waits for something nobody else knows of is garbage, and may be collected at any moment.
    _held.add(future)
    try:
        await future
    finally:
        _held.discard(future)
