"""The packages for gRPC, imported when they are first needed; the extra ``grpc`` brings them."""

from __future__ import annotations

from typing import Any, Final

from supertester._core.lazy import lazy_import

__all__ = ["PRIVATE", "aio", "grpc", "health", "health_messages", "health_stubs"]

PRIVATE: Final = (("grpc.use_local_subchannel_pool", 1),)
"""Options of a channel with connections of its own.

Channels to one address share theirs otherwise, and with them the belief that a server that has frozen is ready.
"""


def grpc() -> Any:
    """Return ``grpc``."""
    return lazy_import("grpc", purpose="Testing gRPC", extra="grpc")


def aio() -> Any:
    """Return ``grpc.aio``."""
    return lazy_import("grpc.aio", purpose="Testing gRPC", extra="grpc")


def health() -> Any:
    """Return the module with the health service."""
    return lazy_import("grpc_health.v1.health", purpose="A gRPC health service", extra="grpc")


def health_messages() -> Any:
    """Return the module with the messages of the health service."""
    return lazy_import("grpc_health.v1.health_pb2", purpose="A gRPC health service", extra="grpc")


def health_stubs() -> Any:
    """Return the module with what calls, and is called by, the health service."""
    return lazy_import("grpc_health.v1.health_pb2_grpc", purpose="A gRPC health service", extra="grpc")
