"""`PartitionSupervisor`: the shards of EchoLab."""

from __future__ import annotations

from echo_lab import EchoLab

from supertester import IsolatedTestCase
from supertester.otp import KILL, PartitionSupervisor, until_idle


class TestShards(IsolatedTestCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await EchoLab.start_link()

    async def test_a_key_belongs_to_one_shard(self) -> None:
        """What is counted for a key is always counted in the same shard."""
        for _ in range(3):
            await PartitionSupervisor.whereis("shards", "ada").call(("add", 1))
        self.assertEqual(await PartitionSupervisor.whereis("shards", "ada").call("value"), 3)

    async def test_work_is_spread_over_the_shards(self) -> None:
        """Numbers as keys go to the shards in turn."""
        shards = {PartitionSupervisor.whereis("shards", number) for number in range(8)}
        self.assertEqual(len(shards), PartitionSupervisor.partitions("shards"))

    async def test_one_shard_is_restarted_alone(self) -> None:
        """A shard that is killed comes back; the others keep their counts."""
        for number in range(4):
            await PartitionSupervisor.whereis("shards", number).call(("add", 10))
        PartitionSupervisor.whereis("shards", 0).exit(KILL)
        await until_idle()
        counts = [await PartitionSupervisor.whereis("shards", number).call("value") for number in range(4)]
        self.assertEqual(counts, [0, 10, 10, 10])
