"""Small programs with one bug each, which only some schedules show, and one without."""

from __future__ import annotations

import asyncio

from supertester.schedule import watch_invariant

__all__ = [
    "Pool",
    "correct",
    "deadlock",
    "forgotten_failure",
    "late_message",
    "leak",
    "livelock",
    "lost_update",
    "lost_wakeup",
    "philosophers",
    "polling",
    "pool",
    "pool_with_invariant",
]


class Pool:
    """Hands out what it has, and a little more."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.out = 0

    async def checkout(self) -> None:
        if self.out < self.size:
            await asyncio.sleep(0)  # the check below is too old by now
            self.out += 1


async def pool() -> None:
    connections = Pool(2)
    await asyncio.gather(*(connections.checkout() for _ in range(3)))
    assert connections.out <= connections.size, f"{connections.out} out of {connections.size}"


async def pool_with_invariant() -> None:
    connections = Pool(1)
    watch_invariant(lambda: connections.out <= connections.size, name="no more out than there are")
    await asyncio.gather(*(connections.checkout() for _ in range(2)))


async def lost_update() -> None:
    balance = 0

    async def deposit(amount: int) -> None:
        nonlocal balance
        seen = balance
        await asyncio.sleep(0)
        balance = seen + amount

    async def deposit_later(amount: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        await deposit(amount)

    await asyncio.gather(deposit(1), deposit_later(2))
    assert balance == 3, f"{balance} of 3"


async def deadlock() -> None:
    checking, savings = asyncio.Lock(), asyncio.Lock()

    async def save() -> None:
        async with checking:
            await asyncio.sleep(0)
            async with savings:
                pass

    async def spend() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        async with savings:
            await asyncio.sleep(0)
            async with checking:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(save(), name="save")
        group.create_task(spend(), name="spend")


async def philosophers(count: int = 5) -> None:
    forks = [asyncio.Lock() for _ in range(count)]

    async def philosopher(seat: int) -> None:
        async with forks[seat]:
            await asyncio.sleep(0)
            async with forks[(seat + 1) % count]:
                await asyncio.sleep(0)

    await asyncio.gather(*(philosopher(seat) for seat in range(count)))


async def lost_wakeup() -> None:
    has_item, arrived = False, asyncio.Event()

    async def consumer() -> None:
        if not has_item:
            await asyncio.sleep(0)
            arrived.clear()
            await arrived.wait()

    async def producer() -> None:
        nonlocal has_item
        for _ in range(3):
            await asyncio.sleep(0)
        has_item = True
        arrived.set()

    await asyncio.gather(consumer(), producer())


async def livelock() -> None:
    turn = asyncio.Event()

    async def polite() -> None:
        while not turn.is_set():  # noqa: ASYNC110 - that is the bug
            await asyncio.sleep(0)

    await polite()


async def leak() -> None:
    asyncio.create_task(asyncio.Event().wait(), name="forgotten")


async def forgotten_failure() -> None:
    async def worker() -> None:
        raise LookupError("nobody will hear of this")

    task = asyncio.create_task(worker(), name="worker")
    await asyncio.wait([task])
    del task


async def correct() -> None:
    lock, balance = asyncio.Lock(), 0

    async def deposit(amount: int) -> None:
        nonlocal balance
        async with lock:
            seen = balance
            await asyncio.sleep(0)
            balance = seen + amount

    await asyncio.gather(deposit(1), deposit(2))
    assert balance == 3


async def late_message() -> None:
    """One message is late, however much else happens meanwhile."""
    log: list[str] = []

    async def deliver(message: str) -> None:
        await asyncio.sleep(0)
        log.append(message)

    tasks = [asyncio.create_task(deliver(name)) for name in ("prepare", "abort")]
    for _ in range(5):
        await asyncio.gather(*(asyncio.create_task(deliver("noise")) for _ in range(3)))
    await asyncio.gather(*tasks)
    assert log.index("prepare") < log.index("abort"), log


async def polling() -> None:
    """Waits for others by looking again and again."""
    out = 0

    async def client() -> None:
        nonlocal out
        while out >= 1:  # noqa: ASYNC110 - that is how it waits
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        out += 1
        assert out <= 1, f"{out} of 1"
        await asyncio.sleep(0)
        out -= 1

    await asyncio.gather(*(client() for _ in range(3)))
