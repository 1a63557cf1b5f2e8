"""Text of tests to streams that may not have all of its letters: what cannot be encoded is written as an escape."""

from __future__ import annotations

from typing import TextIO

__all__ = ["encodable", "write"]


def encodable(text: str, stream: TextIO) -> str:
    r"""Return *text* as *stream* can write it: with ``\xe9`` or ``\ud800`` for what it would raise on."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def write(stream: TextIO, text: str) -> None:
    """Write *text*, whatever *stream* can encode: a test says what it likes, and that must not end the run."""
    try:
        stream.write(text)
    except UnicodeEncodeError:  # Nothing of it has been written: all is encoded first.
        stream.write(encodable(text, stream))
