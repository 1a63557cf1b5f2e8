"""Checked by mypy, never run: type checkers see the lazily loaded names, and see that others do not exist."""

from __future__ import annotations

from typing import assert_type

import supertester
from supertester import ChildSpec, GenServer, IsolatedTestCase, Isolation, OTPAssertions, Pid, tag

assert_type(supertester.version(), str)
assert_type(supertester.__version__, str)

supertester.GenSever  # type: ignore[attr-defined]  # noqa: B018


class Counter(GenServer):
    def init(self, start: int = 0) -> int:
        return start


class TestCounter(OTPAssertions, IsolatedTestCase):
    @tag(layer="unit")
    async def test_state(self) -> None:
        counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
        assert_type(counter, Pid)
        assert_type(await self.assert_genserver_state(counter, 5), None)

    async def test_logs(self) -> None:
        async def later() -> int:
            return 5

        assert_type(self.logs.capture_isolated("DEBUG", lambda: 5), tuple[str, int])
        assert_type(await self.logs.capture_isolated("DEBUG", later), tuple[str, int])
        assert_type(await self.logs.capture_isolated_text("DEBUG", later), str)
        with self.logs.capture("DEBUG") as captured:
            assert_type(captured.text, str)
        with self.assertLogs() as seen:
            assert_type(seen.output, list[str])
        assert_type(self.ports.reserve().release_to(), int)


spec: ChildSpec = ChildSpec("counter", Counter)
mode: Isolation = Isolation.BASIC
