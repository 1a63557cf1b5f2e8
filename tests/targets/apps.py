"""What the real servers of the tests serve: the number of the process that answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["asgi", "wsgi"]


def wsgi(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Be an application of WSGI."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Be an application of ASGI."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
