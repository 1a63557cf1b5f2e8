"""Deadlocks and panics of Go's channels, after the kernels of GoKer: the suite on which no strategy was tuned.

Each bears the project and number of the kernel whose mistake it shows, restated for asyncio and without its code.
"""

from __future__ import annotations

import asyncio

from benchmarks.bugs.go import Channel, first_of, later
from benchmarks.bugs.program import HELD_OUT, bug, step

__all__: list[str] = []


@bug("kubernetes-5316", suite=HELD_OUT)
async def result_nobody_takes(*, correct: bool = False) -> None:
    """A request gives up after its time, and its worker sends the result to nobody for ever."""
    results = Channel(room=1 if correct else 0)

    async def worker() -> None:
        await later(4)
        await results.send("done")

    async def request() -> None:
        await first_of(results.receive(), later(20))

    await asyncio.gather(worker(), request())


@bug("kubernetes-10182", suite=HELD_OUT)
async def send_under_a_lock(*, correct: bool = False) -> None:
    """A status is sent to a channel under the lock that the channel's receiver needs for the status before."""
    statuses, lock = Channel(), asyncio.Lock()

    async def set_status(after: int) -> None:
        await later(after)
        async with lock:
            await step()
            if not correct:
                await statuses.send()
        if correct:
            await statuses.send()

    async def sync() -> None:
        for _ in range(2):
            await statuses.receive()
            async with lock:
                await step()

    await asyncio.gather(sync(), set_status(0), set_status(12))


@bug("kubernetes-6632", suite=HELD_OUT)
async def reset_under_a_lock(*, correct: bool = False) -> None:
    """A writer reports its error under a lock that the monitor takes to close the connection before it hears it."""
    resets, write_lock = Channel(), asyncio.Lock()

    async def write(*, fails: bool) -> None:
        async with write_lock:
            await later(2)
            if fails and not correct:
                await resets.send()
        if fails and correct:
            await first_of(resets.send(), later(30))

    async def monitor() -> None:
        if await first_of(resets.receive(), later(24)) == 1:
            async with write_lock:
                await step()
            await first_of(resets.receive(), later(24))

    await asyncio.gather(write(fails=False), write(fails=True), monitor())


@bug("grpc-660", suite=HELD_OUT)
async def stop_nobody_hears(*, correct: bool = False) -> None:
    """A benchmark's client ends by itself after an error, and whoever stops it waits for an ear."""
    stop, ended = Channel(), asyncio.Event()

    async def client() -> None:
        for call in range(6):
            if await first_of(stop.receive(), later(3)) == 0:
                break
            if call == 4:
                break  # the error
        ended.set()

    async def closer() -> None:
        await later(6)
        if correct:
            await first_of(stop.send(), ended.wait())
        else:
            await stop.send()

    await asyncio.gather(client(), closer())


@bug("etcd-6857", suite=HELD_OUT)
async def status_of_a_stopped_node(*, correct: bool = False) -> None:
    """Someone asks a node for its status while another stops it, and nobody is left to answer."""
    questions, stop, done = Channel(), Channel(), asyncio.Event()

    async def node() -> None:
        while True:
            question = asyncio.get_running_loop().create_future()

            async def ask(answer: asyncio.Future[None] = question) -> None:
                (await questions.receive()).set_result("leader")
                answer.set_result(None)

            if await first_of(stop.receive(), ask()) == 0:
                break
        done.set()

    async def status() -> None:
        await later(2)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if correct:
            await first_of(_answered(questions, answer), done.wait())
        else:
            await _answered(questions, answer)

    async def stopper() -> None:
        await later(14)
        await stop.send()

    await asyncio.gather(node(), status(), stopper())


async def _answered(questions: Channel, answer: asyncio.Future[str]) -> None:
    await questions.send(answer)
    await answer


@bug("cockroach-2448", suite=HELD_OUT)
async def two_full_channels(*, correct: bool = False) -> None:
    """Two workers feed each other through channels with little room, and each fills the other's at once."""
    inboxes = [Channel(room=2 if correct else 1) for _ in range(2)]

    async def worker(number: int, after: int) -> None:
        own, other, taken = inboxes[number], inboxes[1 - number], 0
        for _ in range(after):
            await step()
            while not own.empty():
                await own.receive()
                taken += 1
        for _ in range(2):
            await other.send()
        for _ in range(2 - taken):
            await own.receive()

    await asyncio.gather(worker(0, 0), worker(1, 12))


@bug("moby-28462", suite=HELD_OUT)
async def stop_waits_under_the_lock(*, correct: bool = False) -> None:
    """Stopping a container waits under its lock for the health monitor, whose last probe wants that lock."""
    lock, stop, ended = asyncio.Lock(), asyncio.Event(), asyncio.Event()

    async def monitor() -> None:
        for _ in range(3):
            if stop.is_set():
                break
            await later(2)  # the probe
            async with lock:
                await step()
        ended.set()

    async def stopper() -> None:
        await later(30)
        async with lock:
            stop.set()
            if not correct:
                await ended.wait()
        await ended.wait()

    await asyncio.gather(monitor(), stopper())


@bug("moby-30408", suite=HELD_OUT)
async def signal_before_the_wait(*, correct: bool = False) -> None:
    """One looks whether there is a manifest, and waits for the news of it after the news."""
    news, manifest = asyncio.Condition(), []

    async def reader() -> None:
        await step()
        if correct:
            async with news:
                await news.wait_for(lambda: manifest)
        elif not manifest:
            await step()
            async with news:
                await news.wait()

    async def closer() -> None:
        await later(12)
        async with news:
            manifest.append("file")
            news.notify_all()

    await asyncio.gather(reader(), reader(), closer())


@bug("etcd-7492", suite=HELD_OUT)
async def keeper_and_tokens(*, correct: bool = False) -> None:
    """A new token is announced under the lock of the tokens, and the keeper wants that lock to drop old ones."""
    announced, lock, stop = Channel(room=1), asyncio.Lock(), asyncio.Event()

    async def assign(after: int) -> None:
        await later(after)
        async with lock:
            await step()
            if not correct:
                await announced.send()
        if correct:
            await announced.send()

    async def keeper() -> None:
        for tick in range(8):
            if await first_of(announced.receive(), stop.wait(), later(9)) == 1:
                return
            if tick % 2:
                async with lock:
                    await step()

    async def keep() -> None:
        await keeper()
        while not stop.is_set():  # later announcements are taken without dropping
            await first_of(announced.receive(), stop.wait())

    async def assigners() -> None:
        await asyncio.gather(*(assign(7 * number) for number in range(4)))
        stop.set()

    await asyncio.gather(keep(), assigners())


@bug("istio-8967", suite=HELD_OUT)
async def closed_twice(*, correct: bool = False) -> None:
    """Two ways to stop a source both find it running, and both close its channel."""
    channel, running = Channel(), asyncio.Event()
    running.set()

    async def stop(after: int) -> None:
        await later(after)
        if running.is_set():
            if correct:
                running.clear()
            await step()
            channel.close()
            await step()
            running.clear()

    await asyncio.gather(stop(0), stop(6), stop(12), channel.closed())


@bug("grpc-2371", suite=HELD_OUT)
async def sent_after_close(*, correct: bool = False) -> None:
    """A sender sees an open channel, makes its value, and sends when the channel was closed meanwhile."""
    values, senders, open_ = Channel(room=8), 3, asyncio.Event()
    open_.set()
    busy = 0

    async def sender(after: int) -> None:
        nonlocal busy
        await later(after)
        if open_.is_set():
            busy += 1
            await step()
            await values.send()
            busy -= 1

    async def closer() -> None:
        await later(18)
        open_.clear()
        while correct and busy:
            await step()
        values.close()

    await asyncio.gather(*(sender(2 * number) for number in range(senders)), closer())


@bug("cockroach-10214", suite=HELD_OUT)
async def three_locks(*, correct: bool = False) -> None:
    """Three paths through a store take three locks in a circle, each a while after the other."""
    locks = [asyncio.Lock() for _ in range(3)]

    async def path(number: int) -> None:
        await later(5 * number)
        first, second = number, (number + 1) % 3
        if correct:
            first, second = sorted([first, second])
        async with locks[first]:
            await later(2)
            async with locks[second]:
                await step()

    await asyncio.gather(*(path(number) for number in range(3)))


@bug("cockroach-1055", suite=HELD_OUT)
async def task_during_drain(*, correct: bool = False) -> None:
    """A stopper sees no task at work and stops the engine, while one has been let in and not yet counted."""
    draining, tasks, stopped = asyncio.Event(), [], asyncio.Event()

    async def task(name: str, after: int) -> None:
        await later(after)
        if draining.is_set():
            return
        if correct:
            tasks.append(name)
        await step()
        if not correct:
            tasks.append(name)
        await step()
        assert not stopped.is_set(), f"{name} works in a stopped engine"
        tasks.remove(name)

    async def stopper() -> None:
        await later(20)
        draining.set()
        while tasks:
            await step()
        await later(2)
        stopped.set()

    await asyncio.gather(task("a", 0), task("b", 4), task("c", 8), stopper())


@bug("syncthing-5795", suite=HELD_OUT)
async def close_in_the_own_loop(*, correct: bool = False) -> None:
    """A connection's loop closes the connection itself after an error, and closing waits for the loop to end."""
    inbox, closing, loop_ended = Channel(room=4), asyncio.Event(), asyncio.Event()

    async def close(*, inside: bool) -> None:
        first = not closing.is_set()
        closing.set()
        await step()
        if first and not (correct and inside):
            await loop_ended.wait()

    async def dispatcher() -> None:
        while await first_of(closing.wait(), inbox.receive()) == 1:
            await later(2)
            if len(seen) == 3 and not closing.is_set():
                await close(inside=True)
            seen.append(1)
        loop_ended.set()

    async def peer() -> None:
        for _ in range(4):
            await inbox.send()

    async def closer() -> None:
        await later(9)
        await close(inside=False)

    seen: list[int] = []
    await asyncio.gather(dispatcher(), peer(), closer())
