"""A counter for other programs: ``python -m echo_lab.gateway`` for lines of JSON, ``... --grpc`` for gRPC.

`RemoteCounter` is the client of the first: it asks over two pipes, one question at a time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from echo_lab.counter import Counter
from supertester.otp import Pid

__all__ = ["CounterLost", "RemoteCounter", "serve_grpc", "serve_lines"]

ADD, COUNT = "/echo_lab.Counter/Add", "/echo_lab.Counter/Count"


class CounterLost(Exception):
    """The counter has ended, or speaks nonsense."""


class RemoteCounter:
    """Asks a gateway over two pipes, given by their descriptors."""

    def __init__(self, answers: int, requests: int) -> None:
        self._answers = os.fdopen(answers, "rb")
        self._requests = os.fdopen(requests, "wb", 0)
        self._numbers = itertools.count(1)

    def add(self, amount: int) -> int:
        """Add *amount* and return what the counter says now."""
        number = next(self._numbers)
        self._requests.write(json.dumps({"id": number, "command": "add", "args": amount}).encode() + b"\n")
        while line := self._answers.readline():
            try:
                answer = json.loads(line)
            except ValueError as error:
                raise CounterLost(f"it said {line!r}") from error
            if answer["id"] == number:
                return int(answer["result"])
        raise CounterLost("it has ended")

    def close(self) -> None:
        self._answers.close()
        self._requests.close()


async def serve_lines(counter: Pid) -> None:
    """Answer what comes from the standard input, until that ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        request = json.loads(line)
        answer: dict[str, Any] = {"id": request["id"], "success": request["command"] in {"add", "echo"}}
        match request["command"]:
            case "add":
                answer["result"] = await counter.call(("add", request["args"]))
            case "echo":
                answer["result"] = request["args"]
            case _:
                answer["error"] = "unknown"
        print(json.dumps(answer), flush=True)


async def serve_grpc(counter: Pid, *, port: int = 0) -> Any:
    """Return a server that adds, and counts up to the value step by step; it says of its health that it is well."""
    import grpc.aio
    from grpc_health.v1 import health, health_pb2_grpc

    async def add(request: bytes, _context: Any) -> bytes:
        return str(await counter.call(("add", int(request)))).encode()

    async def count(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        for number in range(await counter.call("value")):
            yield str(number + 1).encode()

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    methods = {
        "Add": grpc.unary_unary_rpc_method_handler(add),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo_lab.Counter", methods)])
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    number = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("listening on", number, flush=True)
    return server


async def _main() -> None:
    counter = await Counter.start_link(0)
    if "--grpc" in sys.argv:
        await (await serve_grpc(counter)).wait_for_termination()
    else:
        await serve_lines(counter)


if __name__ == "__main__":
    asyncio.run(_main())
