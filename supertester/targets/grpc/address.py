"""Where a server is, however that is said."""

from __future__ import annotations

from typing import Any

from supertester.errors import UsageError

__all__ = ["address_of"]


def address_of(target: Any) -> str:
    """Return *target* as gRPC takes it: ``"host:port"``.

    Args:
        target: That; a port of this machine; a pair of host and port; or what has one of these as ``address``, such as
            a `NetworkProxy`.

    Raises:
        TypeError: It is nothing of that kind.
        UsageError: The port is no port.

    >>> address_of(50051), address_of(("localhost", 50051)), address_of("unix:/run/it")
    ('127.0.0.1:50051', 'localhost:50051', 'unix:/run/it')
    """
    if isinstance(target, str):
        return target
    if isinstance(target, int) and not isinstance(target, bool):
        target = ("127.0.0.1", target)
    if isinstance(target, tuple) and len(target) == 2:
        host, port = target
        if not isinstance(port, int) or not 0 < port < 1 << 16:
            raise UsageError(f"a port must be from 1 to 65535, got {port!r}")
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    address = getattr(target, "address", None)
    if address is None:
        raise TypeError(
            f"an address must be 'host:port', a port, a pair of both, or what has one as its address, got {target!r}"
        )
    return address_of(address)
