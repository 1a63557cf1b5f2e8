"""The till of EchoLab's bar: sells, and tells OpenTelemetry about it."""

from __future__ import annotations

from typing import Any

from opentelemetry import metrics, trace

from supertester.otp import Call, GenServer

__all__ = ["Till"]

_tracer = trace.get_tracer("echo_lab.till")
_sold = metrics.get_meter("echo_lab.till").create_counter("echo_lab.sold", unit="1")


class Till(GenServer):
    """Counts what is sold."""

    def init(self) -> Any:
        return {}

    def handle_call(self, request: Any, sender: Call) -> Any:
        match request:
            case ("sell", drink, count):
                return self.sell(drink, count)
            case _:
                return super().handle_call(request, sender)

    def sell(self, drink: str, count: int) -> int:
        with _tracer.start_as_current_span("echo_lab.sale", attributes={"drink": drink}) as span:
            self.state[drink] = self.state.get(drink, 0) + count
            _sold.add(count, {"drink": drink})
            if count > 1:
                span.add_event("echo_lab.round", {"glasses": count})
            total: int = self.state[drink]
            return total
