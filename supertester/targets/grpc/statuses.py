"""The status with which a call failed."""

from __future__ import annotations

import re
from typing import Any, Final

from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.targets.grpc import packages

__all__ = ["check_rpc_error", "is_closed_channel", "status_name", "status_of"]

_CLOSED: Final = "channel is closed, or has been closed: gRPC reports that as a {kind}, which is no grpc.RpcError"


def status_name(status: Any) -> str:
    """Return the name of a status, given as ``grpc.StatusCode.UNAVAILABLE`` or as ``"UNAVAILABLE"``.

    Raises:
        UsageError: There is no such status.
    """
    codes = packages.grpc().StatusCode
    if isinstance(status, codes):
        return str(status.name)
    if isinstance(status, str) and status in codes.__members__:
        return status
    raise UsageError(f"a status must be one of {', '.join(codes.__members__)}, got {status!r}")


def status_of(error: BaseException) -> str | None:
    """Return the name of the status that *error* tells of, or ``None`` if it is no error of gRPC."""
    code = getattr(error, "code", None)
    if not isinstance(error, packages.grpc().RpcError) or not callable(code):
        return None
    return str(code().name)


def check_rpc_error(error: BaseException | None, status: Any, *, details: str | None = None) -> Mismatch | None:
    """Say how *error* differs from a failed call with *status*, or return ``None``.

    Args:
        error: What was raised, or ``None`` if nothing was.
        status: A ``grpc.StatusCode``, or its name.
        details: A regular expression that is to be found in the details of the error.

    Raises:
        UsageError: There is no such status.
    """
    expected = status_name(status)
    if error is None:
        return Mismatch(f"the call succeeded, expected it to fail with {expected}")
    found = status_of(error)
    if found is None:
        return Mismatch(f"expected the call to fail with {expected}, {_no_status(error)}")
    said = str(getattr(error, "details", lambda: "")() or "")
    if found != expected:
        return Mismatch(f"the call failed with {found}, expected {expected}: {said}")
    if details is not None and not re.search(details, said):
        return Mismatch(
            f"the call failed with {found}, but its details are {said!r}, expected something like {details!r}"
        )
    return None


def _no_status(error: BaseException) -> str:
    kind = type(error).__qualname__
    if is_closed_channel(error):
        return f"it raised {error!r}; its {_CLOSED.format(kind=kind)}"
    return f"it raised {error!r}, which is no error of gRPC"


def is_closed_channel(error: BaseException) -> bool:
    """Say whether *error* is how gRPC says that a channel is closed."""
    return (
        type(error).__name__ in {"ValueError", "UsageError"}
        and "channel" in str(error).lower()
        and ("closed" in str(error).lower())
    )
