"""`add_latency`: one word for two ways to be late."""

from __future__ import annotations

from supertester.chaos.interception import MessageFault
from supertester.chaos.messages import delay
from supertester.chaos.network import NetworkProxy, Toxic
from supertester.otp.refs import Reference

__all__ = ["add_latency"]


def add_latency(channel: NetworkProxy | Reference, ms: float) -> Toxic | MessageFault:
    """Let all that goes to a server arrive *ms* milliseconds late: through a proxy, or to its mailbox.

    Ends with the block, with ``remove()`` or ``cleanup()``, or with the test.

    Args:
        channel: A `NetworkProxy`, or a process of `supertester.otp`.
        ms: Milliseconds.

    Raises:
        UsageError: The process is dead or unknown, or the time negative.

    Example::

        proxy = await network_proxy("127.0.0.1", server_port)
        with add_latency(proxy, 200):
            await client.ask()
    """
    if isinstance(channel, NetworkProxy):
        return channel.latency(ms, direction="upstream")
    return delay(channel, ms)
