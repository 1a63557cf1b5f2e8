"""`Outcome`: the result of something that may fail, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from supertester.errors import UsageError

__all__ = ["Outcome"]

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """A value, or the error that came instead.

    ``error`` may be an exception or any other reason; ``None`` means success, also when the value is ``None``.

    >>> Outcome(5).ok, Outcome(5).unwrap()
    (True, 5)
    >>> Outcome(error="noproc").ok
    False
    """

    value: T | None = None
    error: Any = None

    def __post_init__(self) -> None:
        if self.value is not None and self.error is not None:
            raise UsageError(f"an outcome has a value or an error, got value={self.value!r} and error={self.error!r}")

    @property
    def ok(self) -> bool:
        """Whether there was no error."""
        return self.error is None

    def unwrap(self) -> T:
        """Return the value.

        Raises:
            BaseException: The error itself, if it is an exception.
            UsageError: The error, if it is any other reason.
        """
        if isinstance(self.error, BaseException):
            raise self.error
        if self.error is not None:
            raise UsageError(f"this outcome holds no value but the error {self.error!r}", reason=self.error)
        return self.value  # type: ignore[return-value]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form; what JSON does not know is shown as its ``repr``."""
        return {"ok": self.ok, "value": _plain(self.value), "error": _plain(self.error)}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return repr(value)
