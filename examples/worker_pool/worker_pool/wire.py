"""What the pool and its workers say to each other: JSON over gRPC, by generic handlers, so no code is generated."""

from __future__ import annotations

import json
from typing import Any

import grpc

from worker_pool.errors import CallTimeout, PoolError, ToolError, WorkerLost

SERVICE = "worker_pool.Worker"
EXECUTE = f"/{SERVICE}/Execute"
STREAM = f"/{SERVICE}/Stream"

# Two servers that may share a port would share it silently, and each would get some of the other's calls.
SERVER_OPTIONS = (("grpc.so_reuseport", 0),)
# Channels to one address share their connection unless told not to, and that of a frozen server still looks good.
# Whether a call is made again is for the pool to decide, and a worker that is back is not to wait for a second.
CLIENT_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def packed(value: Any) -> bytes:
    return json.dumps(value).encode()


def unpacked(data: bytes) -> Any:
    return json.loads(data)


def request(tool: str, args: Any, session: str | None) -> bytes:
    return packed({"tool": tool, "args": args or {}, "session": session})


def translated(error: Any, who: object) -> PoolError:
    """Return what *error*, which a call over gRPC raised, means to the caller."""
    code = error.code() if isinstance(error, grpc.RpcError) else None
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CallTimeout(f"{who} did not answer in time")
    # A channel that was closed meanwhile raises a plain ValueError.
    if code is None or code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return WorkerLost(f"{who} was lost during the call: {error if code is None else error.details()}")
    return ToolError(code.name, error.details())
