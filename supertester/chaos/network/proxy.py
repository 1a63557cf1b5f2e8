"""`network_proxy`: stands between a client and a server, and lets the network between them be bad."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from supertester._core.waiting import checked_seconds
from supertester.chaos.chance import checked_count, checked_rate
from supertester.chaos.journal import chosen_seed, note
from supertester.chaos.network import toxics
from supertester.chaos.network.connection import DIRECTIONS, Connection, reset
from supertester.chaos.network.toxics import Toxic
from supertester.chaos.undoing import Undoable
from supertester.errors import Unsupported, UsageError

__all__ = ["NetworkFault", "NetworkProxy", "network_proxy"]

_BACKLOG: Final = 128


def network_proxy(upstream_host: str, upstream_port: int, *, seed: int | None = None) -> NetworkProxy:
    """Return a TCP proxy for the server at *upstream_host*, which listens once it is awaited or entered.

    Without toxics it passes on everything as it is: bytes, ends of either direction, resets, and that a reader is slow.
    It ends with the block, or with the test.

    Args:
        upstream_host: Of the server.
        upstream_port: Of the server.
        seed: Of all that chance decides; by default from that of the running test.

    Raises:
        TypeError: An address is none.
        UsageError: The port cannot be one.

    Example::

        proxy = await network_proxy("127.0.0.1", server_port)
        client = await connect(*proxy.address)
        with proxy.latency(200, jitter=50):
            await client.ask()
    """
    return NetworkProxy(upstream_host, upstream_port, seed=seed)


class NetworkProxy(Undoable):
    """A TCP proxy on a port of its own; see `network_proxy`.

    Each toxic is a method that puts it on, for present and future connections, and returns it. All take

    - ``direction``: ``"upstream"`` (from client to server), ``"downstream"`` or ``"both"``;
    - ``toxicity``: the share of connections that it acts on, from 0 to 1.

    Attributes:
        host: Where it listens.
    """

    _name = "chaos.network_proxy"
    host = "127.0.0.1"

    def __init__(self, upstream_host: str, upstream_port: int, *, seed: int | None = None) -> None:
        if not isinstance(upstream_host, str):
            raise TypeError(f"upstream_host must be a string, got {upstream_host=}")
        if not 0 < checked_count("upstream_port", upstream_port) < 1 << 16:
            raise UsageError(f"upstream_port must be from 1 to 65535, got {upstream_port=}")
        self._upstream = (upstream_host, upstream_port)
        self.seed = chosen_seed(seed, "network_proxy")
        self._random = random.Random(self.seed)
        self._toxics: list[Toxic] = []
        self._serving: dict[asyncio.Task[None], Connection | None] = {}
        self._listening: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port on which it listens.

        Raises:
            UsageError: It has not begun to.
        """
        if not self._begun:
            raise UsageError("the proxy has no port yet: await it, or enter it with `async with`")
        return self._port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as ``asyncio.open_connection(*proxy.address)`` wants them."""
        return self.host, self.port

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        """Those that are on, oldest first."""
        return tuple(toxic for toxic in self._toxics if not toxic.removed)

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return sum(connection is not None for connection in self._serving.values())

    # Toxics ------------------------------------------------------------------------------------------------------

    def latency(self, ms: float, jitter: float = 0.0, *, direction: str = "downstream", toxicity: float = 1.0) -> Toxic:
        """Let all arrive *ms* milliseconds late, give or take *jitter*; the order stays."""
        checked_seconds("ms", ms)
        checked_seconds("jitter", jitter)
        return self._put_on(toxics.Latency(ms / 1000, jitter / 1000), direction, toxicity, {"ms": ms, "jitter": jitter})

    def bandwidth(self, rate: float, *, direction: str = "downstream", toxicity: float = 1.0) -> Toxic:
        """Let no more than *rate* bytes pass in a second."""
        if not checked_seconds("rate", rate):
            raise UsageError("rate must be more than 0 bytes per second, got rate=0; partition() lets nothing pass")
        return self._put_on(toxics.Bandwidth(rate), direction, toxicity, {"rate": rate})

    def slow_close(self, ms: float, *, direction: str = "downstream", toxicity: float = 1.0) -> Toxic:
        """Let the end of the data arrive *ms* milliseconds late."""
        return self._put_on(toxics.SlowClose(checked_seconds("ms", ms) / 1000), direction, toxicity, {"ms": ms})

    def timeout(self, ms: float = 0, *, direction: str = "downstream", toxicity: float = 1.0) -> Toxic:
        """Lose all data, and close the connection after *ms* milliseconds; with 0, never."""
        return self._put_on(toxics.Timeout(checked_seconds("ms", ms) / 1000), direction, toxicity, {"ms": ms})

    def reset_peer(self, ms: float = 0, *, direction: str = "downstream", toxicity: float = 1.0) -> Toxic:
        """Reset the connection after *ms* milliseconds."""
        return self._put_on(toxics.ResetPeer(checked_seconds("ms", ms) / 1000), direction, toxicity, {"ms": ms})

    def slicer(
        self,
        size: int,
        *,
        variation: int = 0,
        delay_ms: float = 0,
        direction: str = "downstream",
        toxicity: float = 1.0,
    ) -> Toxic:
        """Let data arrive in pieces of *size* bytes, give or take *variation*, with *delay_ms* between them."""
        checked_count("size", size)
        if checked_count("variation", variation, 0) >= size:
            raise UsageError(f"variation must be less than size={size}, got variation={variation!r}")
        toxic = toxics.Slicer(size, variation, checked_seconds("delay_ms", delay_ms) / 1000)
        return self._put_on(toxic, direction, toxicity, {"size": size, "variation": variation, "delay_ms": delay_ms})

    def limit_data(self, size: int, *, direction: str = "downstream", toxicity: float = 1.0) -> Toxic:
        """Close the connection after *size* bytes."""
        return self._put_on(toxics.LimitData(checked_count("size", size)), direction, toxicity, {"size": size})

    def down(self, *, toxicity: float = 1.0) -> Toxic:
        """Reset all connections and refuse new ones; of a *toxicity* below 1, that share of them."""
        return self._put_on(_Refusing(self), "both", toxicity, {})

    def partition(self, *, direction: str = "both", toxicity: float = 1.0) -> Toxic:
        """Let nothing pass until it is removed; then all does, since TCP sends again what was lost."""
        return self._put_on(toxics.Partition(), direction, toxicity, {})

    def corrupt(self, rate: float, *, direction: str = "downstream", toxicity: float = 1.0) -> Toxic:
        """Let a byte arrive as another with the probability *rate*."""
        return self._put_on(toxics.Corrupt(checked_rate("rate", rate)), direction, toxicity, {"rate": rate})

    def _put_on(self, toxic: Toxic, direction: str, toxicity: float, details: Mapping[str, Any]) -> Toxic:
        if direction not in (*DIRECTIONS, "both"):
            raise UsageError(f"direction must be 'upstream', 'downstream' or 'both', got direction={direction!r}")
        if not self._begun or self._over:
            raise UsageError(f"the proxy does not listen: {toxic.name} can be put on once it is awaited or entered")
        toxic.direction, toxic.toxicity = direction, checked_rate("toxicity", toxicity)
        toxic.random = random.Random(self._random.random())
        self._toxics.append(toxic)
        note(toxic.name, self, dict(details, direction=direction, toxicity=toxicity))
        for connection in self._serving.values():
            if connection is not None:
                self._afflict(connection, [toxic])
        if isinstance(toxic, _Refusing):
            toxic.refuse()
        return toxic

    def _afflict(self, connection: Connection, some: list[Toxic]) -> None:
        for toxic in some:
            hit = toxic.toxicity == 1 or self._random.random() < toxic.toxicity
            for link in connection.links:
                if hit and toxic.direction in (link.direction, "both"):
                    link.toxics.append(toxic)
                    toxic.hits += 1
                    toxic.begin(link)

    # Serving -----------------------------------------------------------------------------------------------------

    async def _do(self) -> None:
        # Holds the number while nobody listens: who connects to it then is refused.
        self._place = _socket((self.host, 0))
        self._port = int(self._place.getsockname()[1])
        self._listen()

    def _listen(self) -> None:
        # Not by `asyncio.start_server`: a connection that it has accepted, and not begun to serve when its server is
        # closed, is left open for ever.
        self._listening = listening = _socket(self._place.getsockname())
        listening.settimeout(0)
        listening.listen(_BACKLOG)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _hang_up(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            with suppress(OSError):  # To close it is enough, unless a process was forked a moment ago and has it too.
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None

    def _accept(self, listening: socket.socket) -> None:
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):  # Who wanted to connect is gone again.
            return
        except OSError:  # There are too many open files, for example; that is told of once, not at each turn.
            self._hang_up()
            raise
        task = asyncio.ensure_future(self._serve(accepted))
        self._serving[task] = None
        task.add_done_callback(partial(self._served, accepted))

    def _served(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._serving.pop(task)
        if task.cancelled():  # Perhaps before it had begun.
            accepted.close()

    async def _serve(self, accepted: socket.socket) -> None:
        client = await asyncio.open_connection(sock=accepted)
        try:
            server = await asyncio.open_connection(*self._upstream)
        except OSError:
            reset(client[1])
            return
        except asyncio.CancelledError:
            reset(client[1])
            raise
        connection = Connection(client, server)
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = connection
        running = asyncio.ensure_future(connection.run())
        try:
            self._afflict(connection, list(self.toxics))
            await asyncio.shield(running)
        finally:
            if not running.done():
                await connection.end()
                await asyncio.gather(running, return_exceptions=True)

    async def _undo(self) -> None:
        self._hang_up()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.gather(*(toxic.ended() for toxic in self._toxics))
        if hasattr(self, "_place"):
            self._place.close()

    def __repr__(self) -> str:
        where = f"{self.host}:{self.port}" if self._begun and not self._over else "closed"
        host, port = self._upstream
        return f"<NetworkProxy {where} -> {host}:{port}>"


class _Refusing(toxics.Down):
    """Lets the proxy hang up as long as it is there."""

    def __init__(self, proxy: NetworkProxy) -> None:
        super().__init__()
        self._proxy = proxy

    def refuse(self) -> None:
        """Listen no longer."""
        if self._refuses(self):
            self._proxy._hang_up()

    @staticmethod
    def _refuses(toxic: Toxic) -> bool:
        return isinstance(toxic, _Refusing) and toxic.toxicity == 1

    def remove(self) -> None:
        """Listen again, unless something else is against it."""
        if not self.removed:
            super().remove()
            if not self._proxy._over and not any(self._refuses(toxic) for toxic in self._proxy.toxics):
                self._proxy._listen()


def _socket(address: tuple[str, int]) -> socket.socket:
    if not hasattr(socket, "SO_REUSEPORT"):
        raise Unsupported("a network proxy needs sockets with SO_REUSEPORT, which this platform does not have")
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made


_TOXICS: Final = (
    "latency",
    "bandwidth",
    "slow_close",
    "timeout",
    "reset_peer",
    "slicer",
    "limit_data",
    "down",
    "partition",
    "corrupt",
)


@dataclass(frozen=True)
class NetworkFault:
    """A toxic as a fault for `supertester.chaos.run_chaos_suite`, whose target is a `NetworkProxy`.

    >>> NetworkFault("latency", {"ms": 100}).name
    'latency'
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in _TOXICS:
            raise UsageError(f"unknown toxic {self.name!r}; the known ones are {', '.join(_TOXICS)}")

    @asynccontextmanager
    async def inject(self, target: NetworkProxy, /) -> AsyncIterator[Toxic]:
        """Let the toxic be on in the body."""
        with getattr(target, self.name)(**self.options) as toxic:
            yield toxic
