"""A gRPC server in a process of its own, and what starts it."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from supertester.targets import ExternalProcess, LineReady, start_process

__all__ = ["HAS_GRPC", "WHY", "server_program", "started"]

HAS_GRPC = find_spec("grpc") is not None and find_spec("grpc_health") is not None
WHY = "needs the extra grpc"

_SERVER = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

def say(request, context):
    if request == b"invalid":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "cannot say that")
    if request == b"slow":
        threading.Event().wait(60)
    return request

def count(request, context):
    for number in range(int(request)):
        yield str(number + 1).encode()

def count_and_hang(request, context):
    yield from count(request, context)
    threading.Event().wait(60)

def converse(requests, context):
    for number, request in enumerate(requests, 1):
        yield str(number).encode()

rpc = {
    "Say": grpc.unary_unary_rpc_method_handler(say),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "CountAndHang": grpc.unary_stream_rpc_method_handler(count_and_hang),
    "Converse": grpc.stream_stream_rpc_method_handler(converse),
}
server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", int("share" in sys.argv))])
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", rpc)])
states = health.HealthServicer()
if "ill" in sys.argv:
    states.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
if "no-health" not in sys.argv:
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
port = server.add_insecure_port("127.0.0.1:" + sys.argv[1])
server.start()
print("port", port, flush=True)
server.wait_for_termination()
"""


def server_program(*arguments: str, port: int = 0) -> list[str]:
    """Return what starts a server; *arguments* are ``ill``, ``share`` or ``no-health``."""
    return [sys.executable, "-c", _SERVER, str(port), *arguments]


async def started(*arguments: str, port: int = 0) -> tuple[ExternalProcess, int]:
    """Start a server, and return it with its port."""
    process = await start_process(
        server_program(*arguments, port=port), ready=LineReady(r"^port \d+$"), timeout=60, grace=0, name="echo"
    )
    return process, int(process.find(r"port (\d+)").group(1))
