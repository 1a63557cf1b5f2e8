"""Whether a server has its port to itself."""

from __future__ import annotations

import errno
import socket

from supertester._core.mismatch import Mismatch
from supertester.errors import Unsupported

__all__ = ["can_bind", "check_port_exclusive"]


def check_port_exclusive(port: int, host: str = "127.0.0.1") -> Mismatch | None:
    """Say that nobody has a TCP port, or that a second server could have it, too; or return ``None``.

    Servers of gRPC share their port unless they are told not to, by the option ``("grpc.so_reuseport", 0)``: a second
    one, perhaps one that was left over, starts without an error, and each of them gets some of the calls. Nobody is
    connected to, and no connection is taken away.

    Args:
        port: The port.
        host: The address that it is on.

    Raises:
        Unsupported: This platform has no ports that are shared.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise Unsupported("this platform has no SO_REUSEPORT, so that no two servers can have one port")
    if can_bind(host, port, shared=False):
        return Mismatch(f"nobody listens on port {port} of {host}")
    if can_bind(host, port, shared=True):
        return Mismatch(
            f"port {port} of {host} can be had by a second server as well, because SO_REUSEPORT is set on it; for "
            "gRPC, start the server with the option ('grpc.so_reuseport', 0)"
        )
    return None


def can_bind(host: str, port: int, *, shared: bool) -> bool:
    """Say whether a server could have the port now; *shared*: if it shares it with those that share it, too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        # Else connections that have ended would look like a server.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True
