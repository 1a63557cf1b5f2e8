"""Puts what a test attached into its outcome, as text and pages of bounded length."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from supertester.attachments import Attached, collected
from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import Attachment, TestOutcome

__all__ = ["Attacher", "rendered"]

_LONGEST: Final = 200_000
"""Letters of an attachment that are kept."""
_OF_A_GOOD_TEST: Final = 100_000
"""Letters of all that a test attached which passed: what comes after is left out, as there may be ten thousand."""


class Attacher:
    """Collects what tests attach, each in the thread that runs it."""

    def __init__(self) -> None:
        self._collections: dict[int, tuple[ExitStack, list[Attached]]] = {}

    def begin(self, test: DeclaredTest) -> None:
        """Collect what *test* attaches."""
        stack = ExitStack()
        self._collections[threading.get_ident()] = (stack, stack.enter_context(collected()))

    def end(self, outcome: TestOutcome) -> TestOutcome:
        """Return *outcome* with what its test has attached."""
        stack, attached = self._collections.pop(threading.get_ident(), (ExitStack(), []))
        stack.close()
        if not attached:
            return outcome
        found = [each for one in attached for each in rendered(one)]
        return replace(outcome, attachments=tuple(_few(found) if outcome.outcome == "passed" else found))


def _few(attachments: Sequence[Attachment]) -> Iterator[Attachment]:
    """Yield the first of *attachments*, as many as a test may have of which nobody will ask much."""
    left = _OF_A_GOOD_TEST
    for number, each in enumerate(attachments):
        left -= len(each.content)
        if left < 0:
            text = f"{len(attachments) - number} more attachments, as the test passed"
            yield Attachment(name="left out", kind="text/plain", content=text)
            return
        yield each


def rendered(attached: Attached) -> Iterator[Attachment]:
    """Yield *attached* as what can be shown; a load, and a schedule that fails, also as a page."""
    content: Any = attached.content
    if not isinstance(content, str) and f"{type(content).__module__}".startswith("supertester.performance.load"):
        from supertester.reporting import load_page, load_table

        yield Attachment(name=attached.name, kind="text/plain", content=load_table(content))
        yield Attachment(name=attached.name, kind="text/html", content=load_page(content, title=attached.name))
        return
    yield Attachment(name=attached.name, kind=attached.kind or "text/plain", content=_shown(content))
    if getattr(content, "failing", None) is not None and type(content).__module__.startswith("supertester.schedule."):
        from supertester.reporting import exploration_page

        yield Attachment(name=attached.name, kind="text/html", content=exploration_page(content, title=attached.name))


def _shown(content: Any) -> str:
    try:
        text = content if isinstance(content, str) else str(content)
    except Exception as error:  # noqa: BLE001 - of the user's class
        text = f"could not be shown: {error!r}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n... and {len(text) - _LONGEST} more letters"
