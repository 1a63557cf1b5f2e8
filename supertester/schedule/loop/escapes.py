"""What an explored program cannot do, because no schedule could control it: each says so where it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from supertester._core.origin import Origin
from supertester.errors import UsageError

__all__ = ["IO", "PROCESSES", "SIGNALS", "THREADS", "Escapes", "refusal"]

IO: Final = (
    "real I/O: hand the code under test an object that stands in for the other side, or test it without exploring"
)
_SOCKETS: Final = f"{IO}; connections of asyncio.open_connection and start_server are possible, they stay in memory"
PROCESSES: Final = "a real process: use a stand-in for it, or test it without exploring"
THREADS: Final = "use asyncio.to_thread or loop.run_in_executor, whose jobs are steps of the schedule"
SIGNALS: Final = "signals come from outside: call the handler from a task instead"

_REMEDIES: Final = {
    "add_reader": IO,
    "remove_reader": IO,
    "add_writer": IO,
    "remove_writer": IO,
    "add_signal_handler": SIGNALS,
    "remove_signal_handler": SIGNALS,
    "sock_recv": _SOCKETS,
    "sock_recv_into": _SOCKETS,
    "sock_recvfrom": _SOCKETS,
    "sock_recvfrom_into": _SOCKETS,
    "sock_sendall": _SOCKETS,
    "sock_sendto": _SOCKETS,
    "sock_connect": _SOCKETS,
    "sock_accept": _SOCKETS,
    "sock_sendfile": _SOCKETS,
    "sendfile": _SOCKETS,
    "start_tls": _SOCKETS,
    "getaddrinfo": _SOCKETS,
    "getnameinfo": _SOCKETS,
    "connect_accepted_socket": _SOCKETS,
    "create_datagram_endpoint": _SOCKETS,
    "connect_read_pipe": IO,
    "connect_write_pipe": IO,
    "subprocess_exec": PROCESSES,
    "subprocess_shell": PROCESSES,
}


REFUSED: Final = "cannot be explored"
"""The reason of the errors for what no schedule can control: such a program is misused, and no schedule failed."""


def refusal(what: str, remedy: str) -> UsageError:
    """Return the error for *what*, with the line of the user's code that is calling it."""
    return UsageError(f"{what} cannot be explored ({Origin(2).line}): {remedy}", reason=REFUSED)


def _refuse(name: str) -> Callable[..., Any]:
    def refuse(_self: Any, *_args: Any, **_kwargs: Any) -> Any:
        raise refusal(f"loop.{name}()", _REMEDIES[name])

    refuse.__name__ = name
    refuse.__doc__ = f"Refuse: {_REMEDIES[name]}."
    return refuse


class Escapes(asyncio.AbstractEventLoop):
    """An event loop without an outside."""


for _name in _REMEDIES:
    setattr(Escapes, _name, _refuse(_name))
