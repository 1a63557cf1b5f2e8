"""``python show_failure.py``: four tests that are wrong on purpose, and what supertester says about them."""

from __future__ import annotations

import asyncio

from echo_lab import Counter

from supertester import IsolatedTestCase, OTPAssertions
from supertester.testing import run_inner


class WrongOnPurpose(OTPAssertions, IsolatedTestCase):
    async def test_expects_a_wrong_state(self) -> None:
        """It adds 1 to 5 and expects 7."""
        counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
        await self.cast_and_sync(counter, ("add", 1))
        await self.assert_genserver_state(counter, {"count": 7})

    async def test_crashes_its_server(self) -> None:
        """It divides by zero, in the server."""
        counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
        await counter.call(("divide", 0))

    async def test_forgets_to_await(self) -> None:
        """It calls a coroutine function and does not await it."""
        counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
        counter.call("value")

    async def test_leaves_a_task_running(self) -> None:
        """It starts a task that waits for ever, and forgets it."""
        self.task = asyncio.create_task(asyncio.Event().wait())


def report_of(test: str) -> str:
    """Run the wrong test with this name and return how it failed."""
    return run_inner(WrongOnPurpose(test)).report


def main() -> None:
    for name in vars(WrongOnPurpose):
        if name.startswith("test_"):
            print(f"\n{'=' * 120}\n{name}: {getattr(WrongOnPurpose, name).__doc__}\n\n{report_of(name)}")


if __name__ == "__main__":
    import show_failure  # Under its own name, so that the reports name tests that can be run.

    show_failure.main()
