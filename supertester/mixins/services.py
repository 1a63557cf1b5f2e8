"""`ServiceAssertions`: what a test of services, spoken to over pipes or by gRPC, calls on ``self``.

Each method is a thin cover for the function of the same name, with ``check`` for ``assert``, in `supertester.targets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supertester import targets
from supertester._core.mismatch import Mismatch

if TYPE_CHECKING:
    from unittest import TestCase as _Host
else:
    _Host = object

__all__ = ["ServiceAssertions"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


class ServiceAssertions(_Host):
    """Assertions on real services, as a mixin for `IsolatedTestCase` or any ``unittest`` case with async tests.

    Example::

        class BridgeTest(ServiceAssertions, IsolatedTestCase):
            async def test_many_callers(self) -> None:
                mock = MockPort()
                client = PortClient(*mock.pipes())
                await self.assert_correlated(client, 500, mock=mock)
    """

    def __fail_for(self, mismatch: Mismatch | None, msg: str | None) -> None:
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))

    async def assert_correlated(
        self,
        port: Any,
        count: int = 10,
        *,
        mock: targets.MockPort | None = None,
        shuffle: bool = True,
        command: str = "echo",
        timeout: float = 30.0,
        msg: str | None = None,
    ) -> None:
        """Fail if one of *count* concurrent callers is not given its own answer; see `check_correlated`."""
        found = await targets.check_correlated(
            port, count, mock=mock, shuffle=shuffle, command=command, timeout=timeout
        )
        self.__fail_for(found, msg)

    async def assert_no_orphans(self, mark: str, *, within: float = 1.0, msg: str | None = None) -> None:
        """Fail if processes with *mark* in their arguments or environment are left; see `check_no_orphans`."""
        self.__fail_for(await targets.check_no_orphans(mark, within=within), msg)
