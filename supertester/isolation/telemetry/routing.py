"""The one place where events become those of a test: by where they come from, or by the id that they carry."""

from __future__ import annotations

import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supertester.context import IsolationContext, current_context
from supertester.isolation.children import ARRIVAL
from supertester.isolation.identity import find
from supertester.isolation.installed import Undo, install_once
from supertester.telemetry import TEST_ID, TelemetryEvent, emission

if TYPE_CHECKING:
    from supertester.isolation.telemetry.inbox import Inbox

__all__ = ["GONE", "ROUTER", "Stray", "begin_routing", "hear_signals", "hearing", "inbox_in", "inbox_of"]

_MOST_STRAYS = 200
_CONNECT = """
try:
    from supertester.telemetry import connect
    connect()
except Exception:
    pass
"""
"""What connects a process of ``multiprocessing`` that is started anew, if the tests use OpenTelemetry."""


@dataclass(frozen=True)
class Stray:
    """An event that some test did not get, or that went to none; of its content only what a message says of it."""

    name: str
    kind: str
    test_id: str | None


class _Gone:
    """Whom code belongs to whose test has ended, or wants no telemetry."""


GONE = _Gone()


class Router:
    """Gives each event to the test it belongs to.

    Attributes:
        beyond: The inboxes with handlers that want more than their test's own events.
    """

    def __init__(self) -> None:
        self.beyond: tuple[Inbox, ...] = ()
        self._strays: deque[Stray] = deque(maxlen=_MOST_STRAYS)
        self._lock = threading.Lock()

    # What `signals` asks -----------------------------------------------------------------------------------------

    def owner(self) -> object | None:
        """Return the inbox of the test that the present code belongs to, or ``None`` if it belongs to none."""
        context = current_context.get()
        return None if context is None else inbox_in(context)

    def deliver(self, event: TelemetryEvent, owner: object | None, plain: dict[str, Any] | None = None) -> None:
        """Route *event*, which comes from code of *owner*; an id in its metadata wins over that."""
        test_id = event.metadata.get(TEST_ID)
        if test_id is not None:
            owner = inbox_of(test_id)
        elif owner is not None and owner is not GONE:
            test_id = owner.test_id  # type: ignore[attr-defined]
            event = TelemetryEvent(event.name, event.measurements, {**event.metadata, TEST_ID: test_id}, event.kind)
        if owner is not GONE or test_id is not None:
            self._strays.append(Stray(event.name, event.kind, test_id))
        if owner is not None and owner is not GONE:
            owner.receive(event, own=True, plain=plain)  # type: ignore[attr-defined]
        if owner is not GONE and self.beyond:
            others = [inbox for inbox in self.beyond if inbox is not owner]
            claimed = any(inbox.claims(event) for inbox in others)
            for inbox in others:
                inbox.receive(event, own=False, claimed=claimed)

    def heard(self, event: TelemetryEvent) -> None:
        """Be the listener of `emit`."""
        self.deliver(event, self.owner())

    # What tests ask ----------------------------------------------------------------------------------------------

    def reach_beyond(self, inbox: Inbox, *, wanted: bool) -> None:
        """Let *inbox* see the events that belong to others or to none, or not any more."""
        with self._lock:
            others = tuple(each for each in self.beyond if each is not inbox)
            self.beyond = (*others, inbox) if wanted else others

    def strays(self, test_id: str) -> list[Stray]:
        """Return the latest events that belonged to no test, or to another one that is running, oldest first."""
        return [
            each
            for each in self._strays.copy()
            if each.test_id is None or (each.test_id != test_id and find(each.test_id) is not None)
        ]


ROUTER = Router()


_signals: Any = None


def inbox_in(context: IsolationContext) -> Any:
    """Return the inbox of a test; `GONE` if it has ended or has none."""
    handle = context.features.get("telemetry")
    if handle is None:
        if context.closed or context.open_feature is None:
            return GONE
        try:
            handle = context.open_feature("telemetry")
        except Exception:  # noqa: BLE001 - it is off, or the test has been told already why it cannot be on
            return GONE
    return handle.inbox


def inbox_of(test_id: str) -> Any:
    """Return the inbox of the running test with this id; `GONE` if there is none."""
    context = find(test_id)
    return GONE if context is None else inbox_in(context)


def _identify() -> str | None:
    context = current_context.get()
    return None if context is None or context.closed else context.test_id


def begin_routing(setting: object = None) -> None:
    """See to it, at the beginning of a test, that what it does is routed to it.

    Those are the events of `emit`, and the signals of OpenTelemetry where the program has imported it by now, or the
    class of the test says ``telemetry=True``.
    """
    install_once(_listen)
    if _signals is not None:
        _signals.adopt_providers()
    elif setting is True or "opentelemetry.trace" in sys.modules:
        hear_signals()


def hear_signals() -> None:
    """Route the signals of OpenTelemetry from now on, importing it if need be."""
    install_once(_hear)


def hearing() -> Any:
    """Return the module that hears the signals of OpenTelemetry, or ``None`` while nothing routes them.

    It is not looked up in ``sys.modules``, which tests put back to what it was before their own imports.
    """
    return _signals


def _listen() -> Undo:
    from supertester.isolation.telemetry.receiver import offer

    emission.add_listener(ROUTER.heard, identify=_identify)
    withdraw = offer()

    def undo() -> None:
        withdraw()
        emission.remove_listener(ROUTER.heard)

    return undo


def _hear() -> Undo:
    global _signals  # noqa: PLW0603 - it is in the process once
    from supertester.telemetry import signals

    uninstall = signals.install(ROUTER)
    _signals = signals
    ARRIVAL.append(_CONNECT)

    def undo() -> None:
        global _signals  # noqa: PLW0603
        _signals = None
        ARRIVAL.remove(_CONNECT)
        uninstall()

    return undo
