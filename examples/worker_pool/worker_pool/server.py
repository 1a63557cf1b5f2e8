"""A worker: a process that executes tools, answers over gRPC, and ends when nobody holds its lifeline any more."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from worker_pool import wire

SPARE_THREADS = 2
"""So that a worker that is busy still says that it is well."""
SERVING = b"\x08\x01"
"""The state of that name, as the protocol for health has it on the wire."""


class Refused(Exception):
    """The call makes no sense; the status code says in which way."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Call:
    """One call: its arguments, its session, and a flag that is set when nobody waits for it any more."""

    def __init__(self, body: bytes, context: Any) -> None:
        said = wire.unpacked(body)
        self.tool: str = said["tool"]
        self.args: dict[str, Any] = said["args"]
        self.session: str | None = said["session"]
        self.abandoned = threading.Event()
        context.add_callback(self.abandoned.set)

    def number(self, name: str, default: float) -> float:
        value = self.args.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"{name} is a number of 0 or more, got {value!r}")
        return value

    def name(self) -> str:
        value = self.args.get("name")
        if not isinstance(value, str):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"name is the name of a variable, got {value!r}")
        return value


class Tools:
    """What a worker can do. A tool is a method `do_<name>`, one that streams a method `stream_<name>`."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._sessions: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._updates = self._executed = self._open_streams = 0

    @contextmanager
    def counted(self, *, stream: bool) -> Iterator[None]:
        with self._lock:
            self._executed += 1
            self._open_streams += stream
        try:
            yield
        finally:
            with self._lock:
                self._open_streams -= stream

    def do_ping(self, call: Call) -> Any:
        return {"status": "pong", "pid": os.getpid(), "worker": self.worker}

    def do_echo(self, call: Call) -> Any:
        return call.args

    def do_slow(self, call: Call) -> Any:
        call.abandoned.wait(call.number("seconds", 1.0))
        return {"pid": os.getpid()}

    def do_stats(self, call: Call) -> Any:
        with self._lock:
            return {
                "pid": os.getpid(),
                "executed": self._executed,
                "open_streams": self._open_streams,
                "sessions": len(self._sessions),
            }

    def do_initialize_session(self, call: Call) -> Any:
        with self._lock:
            self._sessions[self._id(call)] = {}
        return {"pid": os.getpid()}

    def do_register_variable(self, call: Call) -> Any:
        return self._set(call, call.args.get("initial_value"))

    def do_set_variable(self, call: Call) -> Any:
        return self._set(call, call.args.get("value"))

    def do_get_variable(self, call: Call) -> Any:
        with self._lock:
            return {"value": self._session(call).get(call.name()), "pid": os.getpid()}

    def do_list_sessions(self, call: Call) -> Any:
        with self._lock:
            return sorted(self._sessions)

    def do_cleanup_session(self, call: Call) -> Any:
        with self._lock:
            return {"ended": self._sessions.pop(self._id(call), None) is not None}

    def stream_counts(self, call: Call) -> Iterator[Any]:
        """Count from 0; with a gap between chunks, and of a size, if asked to."""
        gap, padding = call.number("gap", 0.0), "x" * int(call.number("size", 0))
        for number in range(int(call.number("n", 5))):
            if number and gap and call.abandoned.wait(gap):
                return
            yield {"count": number, "padding": padding} if padding else number

    def _set(self, call: Call, value: Any) -> Any:
        with self._lock:
            self._session(call)[call.name()] = value
            self._updates += 1
            return {"value": value, "update": self._updates, "pid": os.getpid()}

    def _session(self, call: Call) -> dict[str, Any]:
        found = self._sessions.get(self._id(call))
        if found is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"{self.worker} has no session {call.session!r}")
        return found

    def _id(self, call: Call) -> str:
        if call.session is None:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"{call.tool} needs a session")
        return call.session


class Service:
    """Finds the tool of a call, and lets a failure be a status code."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def handlers(self) -> grpc.GenericRpcHandler:
        execute = grpc.unary_unary_rpc_method_handler(self.execute)
        stream = grpc.unary_stream_rpc_method_handler(self.stream)
        return grpc.method_handlers_generic_handler(wire.SERVICE, {"Execute": execute, "Stream": stream})

    def execute(self, body: bytes, context: Any) -> bytes:
        with self._refusing(context), self._tools.counted(stream=False):
            call = Call(body, context)
            return wire.packed(self._tool("do", call)(call))
        raise AssertionError("an aborted call does not go on")

    def stream(self, body: bytes, context: Any) -> Iterator[bytes]:
        with self._refusing(context), self._tools.counted(stream=True):
            call = Call(body, context)
            for chunk in self._tool("stream", call)(call):
                yield wire.packed(chunk)

    def _tool(self, kind: str, call: Call) -> Any:
        tool = getattr(self._tools, f"{kind}_{call.tool}", None)
        if tool is None:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"there is no tool {call.tool!r}")
        return tool

    @contextmanager
    def _refusing(self, context: Any) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            context.abort(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is told to who called it
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def wellbeing() -> grpc.GenericRpcHandler:
    """Return a health service for the server as a whole.

    It needs none of the classes of the protocol, whose import would take as long as the half of gRPC.
    """

    def check(request: bytes, context: Any) -> bytes:
        if request:
            context.abort(grpc.StatusCode.NOT_FOUND, "only the server as a whole has a state")
        return SERVING

    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)


def watch_lifeline(descriptor: int) -> None:
    """End at once when the other end of the lifeline is closed: by its holder, or because the holder was killed."""

    def watch() -> None:
        while os.read(descriptor, 1):
            pass
        os._exit(0)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def hear_sigterm() -> Callable[[], None]:
    """Return what waits for SIGTERM, also if it comes before, or in another thread.

    Python tells the main thread of a signal between two of its steps. One that has just begun to wait for a lock would
    not hear of it, but the byte that is written when the signal comes is there whenever somebody reads it.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        while os.read(told, 1) != bytes([signal.SIGTERM]):
            pass

    return wait


def serve(argv: Sequence[str], tools: type[Tools] = Tools) -> None:
    """Serve until SIGTERM or the end of the lifeline; *argv* has names and values, as the pool gives them."""
    options = dict(zip(argv[::2], argv[1::2], strict=True))
    watch_lifeline(int(options["--life-fd"]))
    wait_for_sigterm = hear_sigterm()
    threads = ThreadPoolExecutor(int(options["--threads"]) + SPARE_THREADS)
    server = grpc.server(threads, options=wire.SERVER_OPTIONS)
    server.add_generic_rpc_handlers((Service(tools(options["--id"])).handlers(), wellbeing()))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ready = int(options["--ready-fd"])
    os.write(ready, wire.packed({"port": port, "pid": os.getpid(), "run_id": options["--run-id"]}) + b"\n")
    os.close(ready)
    wait_for_sigterm()
    server.stop(0.2).wait()
