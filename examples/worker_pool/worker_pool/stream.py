"""`Stream`: the chunks of a tool that streams."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import grpc

from worker_pool import wire
from worker_pool.errors import PoolError


class Stream:
    """An iterator over chunks. It may be cancelled at any time, by any thread; then the worker stops making them.

    Attributes:
        on_end: Called once when it is over, with the error that ended it, if one did.
    """

    def __init__(self, chunks: Any, who: object) -> None:
        self.on_end: Callable[[PoolError | None], object] = lambda _: None
        self._chunks = chunks
        self._who = who
        self._lock = threading.Lock()
        self._over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return wire.unpacked(next(self._chunks))
        except StopIteration:
            self._end(None)
            raise
        except (grpc.RpcError, ValueError) as error:
            if self._over:  # It was cancelled from here.
                raise StopIteration from None
            problem = wire.translated(error, self._who)
            self._end(problem)
            raise problem from error
        except PoolError as error:
            self._end(error)
            raise

    def cancel(self) -> None:
        """Take no more chunks; nothing happens if it is over."""
        self._end(None)
        self._chunks.cancel()

    close = cancel

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()

    def __del__(self) -> None:
        self.cancel()

    def _end(self, error: PoolError | None) -> None:
        with self._lock:
            is_first, self._over = not self._over, True
        if is_first:
            self.on_end(error)
