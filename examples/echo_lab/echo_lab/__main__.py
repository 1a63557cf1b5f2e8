"""``python -m echo_lab``: start the application, use it, crash a part of it, and stop it."""

from __future__ import annotations

import asyncio

from echo_lab import EchoLab, open_room, say
from echo_lab.settings import greeting, start_value
from supertester.otp import KILL, TreeNode, call, exit, get_tree, until_idle


async def main() -> None:
    lab = await EchoLab.start_link(start_value(), name="echo_lab")
    show(await get_tree(lab))
    print("echo says:", await call("echo", "hello"))
    print("counter says:", await call("counter", ("add", 1)))
    await open_room("python")
    print("the room hears:", await say("python", greeting("everybody")))
    exit("counter", KILL)
    await until_idle()
    print("counter was killed and says:", await call("counter", "value"))
    await lab.stop()
    print("all is stopped:", lab)


def show(node: TreeNode, depth: int = 0) -> None:
    print("  " * depth + f"{node.id}: {node.pid}")
    for child in node.children:
        show(child, depth + 1)


if __name__ == "__main__":
    asyncio.run(main())
