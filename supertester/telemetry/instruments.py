"""Metrics, each measurement by itself: a reader of OpenTelemetry sees only what a whole process has summed up.

The instruments of the SDK are watched as they record, whoever's provider made them. Where the application has set no
provider, ours is set, whose instruments tell what they record and otherwise do nothing. A provider that the application
sets later takes over: the instruments that are there already record into it from then on.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import metrics
from opentelemetry.sdk import metrics as sdk

from supertester._core.replacing import Undo, replace_attribute
from supertester.telemetry.events import TelemetryEvent

__all__ = ["install"]

Report = Callable[[TelemetryEvent], object]

_METHODS = {"Counter": "add", "UpDownCounter": "add", "Histogram": "record", "_Gauge": "set"}
_NEVER_NEGATIVE = frozenset({"Counter", "Histogram"})
_report: Report | None = None


def install(report: Report) -> Undo:
    """Let *report* have each measurement as an event; return a function that ends that."""
    global _report  # noqa: PLW0603 - the instruments of our provider outlive it, and ask here
    _report = report
    _provide()
    undos = [
        replace_attribute(getattr(sdk, kind), method, _reporting(kind, getattr(getattr(sdk, kind), method)))
        for kind, method in _METHODS.items()
        if hasattr(sdk, kind)
    ]

    def undo() -> None:
        global _report  # noqa: PLW0603 - see above
        for each in undos:
            each()
        _report = None

    return undo


def _reporting(kind: str, previous: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(previous)
    def measure(self: Any, amount: float, attributes: Any = None, *args: Any, **kwargs: Any) -> None:
        previous(self, amount, attributes, *args, **kwargs)
        _measured(kind, self.name, self.unit, amount, attributes)

    return measure


def _measured(kind: str, name: str, unit: str, amount: Any, attributes: Any) -> None:
    if _report is None or not isinstance(amount, (int, float)) or (amount < 0 and kind in _NEVER_NEGATIVE):
        return
    metadata = dict(attributes) if isinstance(attributes, Mapping) else {}
    if unit:
        metadata["otel.unit"] = unit
    _report(TelemetryEvent(name, {"value": amount}, metadata, "metric"))


# Our provider --------------------------------------------------------------------------------------------------------


def _provide() -> None:
    """Set our provider where nobody has set one: that of the API itself says so by being there."""
    kind = type(metrics.get_meter_provider())
    if kind.__module__.partition(".")[2].startswith("metrics") and kind is not metrics.NoOpMeterProvider:
        provider = _MeterProvider()
        metrics.set_meter_provider(provider)
        # Not to be undone: a provider can be set once only, so that without this the application's would be refused.
        replace_attribute(metrics, "set_meter_provider", _yielding(provider, metrics.set_meter_provider))


def _yielding(ours: _MeterProvider, previous: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(previous)
    def set_meter_provider(meter_provider: Any) -> None:
        if metrics.get_meter_provider() is ours and ours.target is None:
            ours.yield_to(meter_provider)
        else:
            previous(meter_provider)

    return set_meter_provider


class _MeterProvider(metrics.MeterProvider):
    """Makes instruments that only tell what they record, until the application sets a provider of its own."""

    def __init__(self) -> None:
        self.target: Any = None
        self._meters: dict[tuple[Any, ...], _Meter] = {}
        self._lock = threading.Lock()

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> metrics.Meter:
        given = (name, version, schema_url, attributes)
        with self._lock:
            if self.target is not None:
                found: metrics.Meter = self.target.get_meter(*given)
                return found
            return self._meters.setdefault((name, version, schema_url, repr(attributes)), _Meter(*given))

    def yield_to(self, target: Any) -> None:
        """Let everything be recorded into *target* from now on."""
        with self._lock:
            self.target = target
            for meter in self._meters.values():
                meter.yield_to(target)

    def __getattr__(self, name: str) -> Any:
        target = self.__dict__.get("target")
        if target is None:
            raise AttributeError(f"no MeterProvider is set that has an attribute {name!r}")
        return getattr(target, name)


class _Meter(metrics.Meter):
    def __init__(self, name: str, version: str | None, schema_url: str | None, attributes: Any) -> None:
        super().__init__(name, version, schema_url)
        self._given = (name, version, schema_url, attributes)
        self._instruments: dict[tuple[str, str], _Instrument] = {}
        self._target: Any = None
        self._lock = threading.Lock()

    def yield_to(self, provider: Any) -> None:
        with self._lock:
            self._target = provider.get_meter(*self._given)
            for instrument in self._instruments.values():
                instrument.yield_to(self._target)

    def _create(self, kind: type[_Instrument], method: str, name: str, **options: Any) -> Any:
        with self._lock:
            if self._target is not None:
                return getattr(self._target, method)(name, **options)
            return self._instruments.setdefault((method, name.lower()), kind(name, method, options))

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._create(_Counter, "create_counter", name, unit=unit, description=description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._create(_UpDownCounter, "create_up_down_counter", name, unit=unit, description=description)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._create(_Gauge, "create_gauge", name, unit=unit, description=description)

    def create_histogram(self, name: str, unit: str = "", description: str = "", **more: Any) -> Any:
        return self._create(_Histogram, "create_histogram", name, unit=unit, description=description, **more)

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        options = {"callbacks": callbacks, "unit": unit, "description": description}
        return self._create(_ObservableCounter, "create_observable_counter", name, **options)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        options = {"callbacks": callbacks, "unit": unit, "description": description}
        return self._create(_ObservableUpDownCounter, "create_observable_up_down_counter", name, **options)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        options = {"callbacks": callbacks, "unit": unit, "description": description}
        return self._create(_ObservableGauge, "create_observable_gauge", name, **options)


class _Instrument:
    """An instrument that tells what it records, until a real one takes its place.

    An observable one tells nothing: it does not record, it is asked by a reader, and there is none.
    """

    kind = ""

    def __init__(self, name: str, method: str, options: dict[str, Any]) -> None:
        self.name = name.lower()  # As in the SDK.
        self._made_by = (method, name, options)
        self._target: Any = None

    def yield_to(self, meter: Any) -> None:
        method, name, options = self._made_by
        self._target = getattr(meter, method)(name, **options)

    def _measure(self, amount: float, attributes: Any, context: Any) -> None:
        target = self._target
        if target is not None:
            getattr(target, _METHODS[self.kind])(amount, attributes, context)
        if target is None or not isinstance(target, getattr(sdk, self.kind)):  # Else it has been told.
            _measured(self.kind, self.name, self._made_by[2]["unit"], amount, attributes)


class _Counter(_Instrument, metrics.Counter):
    kind = "Counter"

    def add(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure(amount, attributes, context)


class _UpDownCounter(_Instrument, metrics.UpDownCounter):
    kind = "UpDownCounter"

    def add(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure(amount, attributes, context)


class _Histogram(_Instrument, metrics.Histogram):
    kind = "Histogram"

    def record(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure(amount, attributes, context)


class _Gauge(_Instrument, metrics._Gauge):
    kind = "_Gauge"

    def set(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure(amount, attributes, context)


class _ObservableCounter(_Instrument, metrics.ObservableCounter): ...


class _ObservableUpDownCounter(_Instrument, metrics.ObservableUpDownCounter): ...


class _ObservableGauge(_Instrument, metrics.ObservableGauge): ...
