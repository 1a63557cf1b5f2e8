"""Notes what its environment was when it was imported, which in a child process is before anything of it runs."""

import os

SEEN = os.environ.get("SUPERTESTER_TESTS_VARIABLE")


def tell(connection: object) -> None:
    """Send what this process was started with."""
    seen = (
        SEEN,
        os.environ.get("SUPERTESTER_TESTS_VARIABLE"),
        "PATH" in os.environ,
        "SUPERTESTER_TEST_ID" in os.environ,
    )
    connection.send(seen)  # type: ignore[attr-defined]
    connection.close()  # type: ignore[attr-defined]


def seen_here(_: object) -> str | None:
    """Return what this process was started with."""
    return SEEN
