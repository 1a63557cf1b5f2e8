"""Services that are called by gRPC: whether they are ready, channels to them, and servers in the test's own process."""

from supertester.targets.grpc.channels import (
    GrpcAioChannel,
    GrpcChannel,
    GrpcChannels,
    grpc_aio_channel,
    grpc_channel,
)
from supertester.targets.grpc.health import Health, check_grpc_ready, probe_grpc_health, wait_for_grpc_ready
from supertester.targets.grpc.server import GrpcHealth, GrpcServer, grpc_server
from supertester.targets.grpc.statuses import check_rpc_error

__all__ = [
    "GrpcAioChannel",
    "GrpcChannel",
    "GrpcChannels",
    "GrpcHealth",
    "GrpcServer",
    "Health",
    "check_grpc_ready",
    "check_rpc_error",
    "grpc_aio_channel",
    "grpc_channel",
    "grpc_server",
    "probe_grpc_health",
    "wait_for_grpc_ready",
]
