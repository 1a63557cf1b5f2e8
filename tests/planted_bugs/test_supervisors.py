"""Bugs of supervisors and of the children that they restart."""

from __future__ import annotations

from typing import Any

from supertester import ChaosMixin, OTPAssertions
from supertester.otp import (
    KILL,
    SHUTDOWN,
    Agent,
    ChildSpec,
    DynamicSupervisor,
    GenServer,
    Supervisor,
    SupervisorSpec,
    flag_trap_exit,
    start_child,
    whereis,
)
from tests.planted_bugs.support import PlantedBugs


class Shop(Supervisor):
    """The tree as it is meant: a store, and the till that needs it."""

    strategy = "rest_for_one"
    restart = "permanent"
    max_restarts = 3

    def init(self) -> SupervisorSpec:
        return SupervisorSpec(self.children(), strategy=self.strategy, max_restarts=self.max_restarts)

    def children(self) -> list[ChildSpec]:
        return [
            ChildSpec("store", Agent, args=(0,), kwargs={"name": "store"}, restart=self.restart),
            ChildSpec("till", Agent, args=(0,), kwargs={"name": "till"}),
        ]


class WrongStrategy(Shop):
    strategy = "one_for_one"


class WrongRestart(Shop):
    restart = "temporary"


class WrongOrder(Shop):
    def children(self) -> list[ChildSpec]:
        return super().children()[::-1]


class MissingChild(Shop):
    def children(self) -> list[ChildSpec]:
        return super().children()[:1]


class HighLimit(Shop):
    max_restarts = 1_000


class Nameless(Shop):
    def children(self) -> list[ChildSpec]:
        names = ["store"]

        async def start() -> Any:
            # Named by hand, the first time: who comes after it has no name.
            return await Agent.start_link(0, name=names.pop() if names else None)

        return [ChildSpec("store", start)]


SHOP = {
    "children": [("store", {"module": Agent, "restart": "permanent"}), ("till", Agent)],
    "ordered": True,
    "strategy": "rest_for_one",
    "max_restarts": 3,
}


async def structure(case: Any, cls: Any) -> None:
    await case.assert_supervision_tree_structure(await case.setup_isolated_supervisor(cls), SHOP)


class TestSupervisors(PlantedBugs):
    def test_a_wrong_strategy(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            await case.assert_supervisor_strategy(await case.setup_isolated_supervisor(cls), "rest_for_one")

        self.assert_found(body, Shop, WrongStrategy, OTPAssertions, says="'one_for_one'")

    def test_a_wrong_strategy_by_its_effect(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            await case.setup_isolated_supervisor(cls)
            store, till = whereis("store"), whereis("till")
            store.exit(KILL)
            await case.wait_for_process_restart("store", store)
            await case.assert_process_restarted("till", till)

        self.assert_found(body, Shop, WrongStrategy, OTPAssertions, says="'till' was not restarted: still <Pid")

    def test_a_wrong_restart_type(self) -> None:
        says = "child 'store': restart is 'temporary', expected 'permanent'"
        self.assert_found(structure, Shop, WrongRestart, OTPAssertions, says=says)

    def test_a_wrong_order_of_children(self) -> None:
        says = "the start order is ['till', 'store'], expected ['store', 'till']"
        self.assert_found(structure, Shop, WrongOrder, OTPAssertions, says=says)

    def test_a_missing_child(self) -> None:
        self.assert_found(structure, Shop, MissingChild, OTPAssertions, says="missing: 'till'")

    def test_a_limit_that_is_too_high(self) -> None:
        says = "max_restarts is 1000, expected 3"
        self.assert_found(structure, Shop, HighLimit, OTPAssertions, says=says)

    def test_a_limit_that_is_too_high_by_its_effect(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            shop = await case.setup_isolated_supervisor(cls)
            for _ in range(4):
                await case.probe_restart_strategy(shop, "rest_for_one", ("kill_child", "till"))
                if not shop.is_alive():
                    break
            await case.assert_process_dead(shop)

        self.assert_found(body, Shop, HighLimit, OTPAssertions, says="is alive")

    def test_a_name_that_is_lost_in_a_restart(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            await case.setup_isolated_supervisor(cls)
            store = whereis("store")
            store.exit(KILL)
            await case.assert_process_restarted("store", store, within=0.5)

        self.assert_found(body, Shop, Nameless, OTPAssertions, says="no process is registered as 'store'")

    def test_workers_that_nobody_supervises(self) -> None:
        async def supervised(pool: Any) -> None:
            await start_child(pool, ChildSpec("worker", Agent, args=(0,)))

        async def unsupervised(_pool: Any) -> None:
            await Agent.start_link(0)

        async def body(case: Any, hire: Any) -> None:
            pool = await case.setup_isolated_supervisor(DynamicSupervisor)
            await hire(pool)
            await case.assert_child_count(pool, 1)

        self.assert_found(body, supervised, unsupervised, OTPAssertions, says="0 children, expected 1")


class Account(GenServer):
    """Keeps its balance with the bank, so that it is there after a restart."""

    def init(self) -> int:
        return self.remembered()

    def remembered(self) -> int:
        return int(BALANCES.get("account", 0))

    def handle_cast(self, amount: int) -> None:
        self.state += amount
        self.keep()

    def keep(self) -> None:
        BALANCES["account"] = self.state


class Forgetful(Account):
    def remembered(self) -> int:
        return 0


class Stale(Account):
    def keep(self) -> None:
        BALANCES.setdefault("account", self.state)


BALANCES: dict[str, int] = {}


class Owner(GenServer):
    """Has a helper, which ends with it."""

    async def init(self) -> Any:
        return await Agent.start_link("helper")


class LeakyOwner(Owner):
    async def init(self) -> Any:
        return await Agent.start("helper")


class Connection(GenServer):
    """Takes a slot of the pool, and gives it back at the end."""

    async def init(self, pool: Any) -> Any:
        flag_trap_exit(True)
        await Agent.update(pool, lambda taken: taken + 1)
        return pool

    async def terminate(self, reason: Any) -> None:
        await Agent.update(self.state, lambda taken: taken - 1)


class GreedyConnection(Connection):
    async def terminate(self, reason: Any) -> None: ...


class TestChildren(PlantedBugs):
    async def balance_after_a_restart(self, case: Any, cls: Any) -> None:
        case.tables.mirror(f"{__name__}:BALANCES")
        await case.setup_isolated_supervisor(
            Supervisor, init_args=([ChildSpec("account", cls, kwargs={"name": "account"})],)
        )
        account = whereis("account")
        for amount in (30, 12):
            await case.cast_and_sync(account, amount)
        account.exit(KILL)  # type: ignore[union-attr]
        await case.assert_genserver_state(await case.wait_for_process_restart("account", account), 42)

    def test_a_child_that_comes_back_without_its_state(self) -> None:
        self.assert_found(self.balance_after_a_restart, Account, Forgetful, OTPAssertions, says="- 42\n+ 0")

    def test_a_child_that_comes_back_with_a_stale_state(self) -> None:
        self.assert_found(self.balance_after_a_restart, Account, Stale, OTPAssertions, says="- 42\n+ 30")

    def test_a_restart_that_leaves_the_old_helper_behind(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            children = [ChildSpec("owner", cls, kwargs={"name": "owner"})]
            await case.setup_isolated_supervisor(Supervisor, init_args=(children,))
            owner = whereis("owner")
            owner.exit(KILL)
            await case.wait_for_process_restart("owner", owner)

        says = "was left running; its parent <Pid 3 LeakyOwner 'owner' dead: KILLED> is gone"
        self.assert_found(body, Owner, LeakyOwner, OTPAssertions, says=says)

    def test_a_terminate_that_does_not_release(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            pool = await case.setup_isolated_genserver(Agent, init_args=(0,))
            connection = await case.setup_isolated_genserver(cls, init_args=(pool,))
            await connection.stop(SHUTDOWN)
            await case.assert_genserver_state(pool, 0)

        self.assert_found(body, Connection, GreedyConnection, OTPAssertions, says="- 0\n+ 1")

    def test_a_recovery_that_never_comes(self) -> None:
        async def body(case: Any, restart: str) -> None:
            children = [ChildSpec("store", Agent, args=(0,), kwargs={"name": "store"}, restart=restart)]
            await case.setup_isolated_supervisor(Supervisor, init_args=(children,))

            async def recovered() -> bool:
                return whereis("store") is not None

            await case.assert_chaos_resilient(
                "store", lambda: case.inject_crash("store", "immediate"), recovered, timeout=0.5
            )

        says = "'store', dead, failed to recover from chaos within 0.5 s"
        self.assert_found(body, "permanent", "temporary", OTPAssertions, ChaosMixin, says=says)
