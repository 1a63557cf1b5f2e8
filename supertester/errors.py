"""The exceptions that any part of the library may raise, all importable from here and from ``supertester``.

Those of one part are with it: ``supertester.schedule.Deadlock``, ``supertester.failpoints.InjectedFault``, …

Misuse raises `UsageError` (or `TypeError`), a wait that ran out raises `WaitTimeout`, a failed call to a server raises
`CallExit`. Failed assertions raise plain `AssertionError`, as `unittest` expects.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CallExit",
    "MissingSyncHandler",
    "StartFailed",
    "UnknownMessage",
    "Unsupported",
    "UsageError",
    "WaitTimeout",
]


class UsageError(ValueError):
    """The library was asked for something that makes no sense; the message shows the value and the remedy.

    ``reason`` is the machine-readable part where a caller may want to branch on it, e.g. ``"not_found"`` from
    `supertester.otp.terminate_child`; otherwise it is ``None``.
    """

    def __init__(self, message: str, *, reason: Any = None) -> None:
        super().__init__(message)
        self.reason = reason


class WaitTimeout(AssertionError):
    """A condition did not come true in time; the message says what was last seen."""


class Unsupported(UsageError):
    """The target has no such capability; the message names the capability and says why."""


class MissingSyncHandler(UsageError):
    """A foreign server has no handler for the synchronisation message. It was left alive and untouched."""


class CallExit(Exception):
    """A call to a process failed because the process is dead, died, or did not answer in time.

    ``args`` is ``(reason, (function, target, request, timeout))`` as in OTP. When the server died of an exception,
    that exception is the ``__cause__``.

    >>> error = CallExit("noproc", ("call", "counter", "value", 5.0))
    >>> error.reason
    'noproc'
    """

    def __init__(self, reason: Any, call: tuple[Any, ...] = ()) -> None:
        super().__init__(reason, call)
        cause = getattr(reason, "exception", None)
        if isinstance(cause, BaseException):
            self.__cause__ = cause

    @property
    def reason(self) -> Any:
        """Why the call failed: an exit reason, ``NOPROC``, ``TIMEOUT`` or ``"calling_self"``."""
        return self.args[0]

    def __str__(self) -> str:
        reason, call = self.args
        if not call:
            return f"exited with {reason!r}"
        function, target, *details = call
        shown = ", ".join(repr(detail) for detail in [target, *details])
        return f"{function}({shown}) exited with {reason!r}"


class StartFailed(Exception):
    """A process could not be started.

    ``reason`` is what OTP would return in ``{:error, reason}``: the exit reason of a failing ``init``,
    ``("already_started", pid)`` for a taken name, ``TIMEOUT``, or ``IGNORE`` where a helper needs a running process.
    The other attributes, of which ``timeout`` is the seconds that it had, are filled in by whoever knows them and are
    ``None`` otherwise.
    """

    def __init__(
        self,
        reason: Any,
        *,
        kind: str | None = None,
        module: Any = None,
        name: Any = None,
        init_args: Any = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.module = module
        self.name = name
        self.init_args = init_args
        self.timeout = timeout
        cause = getattr(reason, "exception", None)
        if isinstance(cause, BaseException):
            self.__cause__ = cause

    def __str__(self) -> str:
        what = " ".join(
            part
            for part in (
                self.kind or "process",
                getattr(self.module, "__qualname__", None) or (repr(self.module) if self.module else ""),
                f"named {self.name!r}" if self.name is not None else "",
                f"with init_args={self.init_args!r}" if self.init_args is not None else "",
            )
            if part
        )
        is_text = isinstance(self.reason, str) and "\n" in self.reason  # As what a program has written.
        after = f" after {self.timeout:g} s" if self.timeout is not None else ""
        return f"{what} did not start: {self.reason if is_text else repr(self.reason)}{after}"


class UnknownMessage(Exception):
    """A server received a request or cast that it has no handler for, and crashed, as in OTP."""
