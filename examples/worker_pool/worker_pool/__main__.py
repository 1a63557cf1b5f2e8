"""The program that a worker is; the pool starts it."""

from __future__ import annotations

import sys

from worker_pool.later import loaded_when_used

# A server whose calls run in threads uses neither, and they are a third of what gRPC takes to be imported.
with loaded_when_used("asyncio", "grpc.aio"):
    from worker_pool.server import serve

serve(sys.argv[1:])
