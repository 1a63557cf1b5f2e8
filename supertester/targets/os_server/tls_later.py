"""What has to be imported before asyncio: then the process of a server does not load what encrypts until it does that.

To load it is a tenth of the start of such a process, and to clear it away takes the system a fifth of the time in which
one that was killed is gone. Where the program has imported asyncio before, it stays as it is.
"""

from __future__ import annotations

from importlib.machinery import PathFinder

from supertester._core.lazy import loaded_when_used

__all__: list[str] = []

# A Python may have been built without; then asyncio has to see that it is not there.
if PathFinder.find_spec("_ssl") is not None:
    with loaded_when_used("ssl", "asyncio.sslproto"):
        import asyncio  # noqa: F401
