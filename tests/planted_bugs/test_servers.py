"""Bugs of servers: what they do with messages, callers and helpers."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import strategies as st

from supertester import ChaosMixin, HarnessMixin, OTPAssertions, PerformanceMixin
from supertester.otp import NOREPLY, Agent, GenServer, Pid, self_pid, send
from supertester.programs import Machine, Program, Step, rule
from tests.planted_bugs.support import PlantedBugs


class Ledger(GenServer):
    """Writes down what it is told, in order."""

    def init(self) -> Any:
        return []

    def handle_cast(self, entry: Any) -> None:
        self.state.append(entry)

    def handle_call(self, request: Any, sender: Any) -> Any:
        return list(self.state)


class Losing(Ledger):
    def handle_cast(self, entry: Any) -> None:
        if len(self.state) != 1 or entry != "bread":
            super().handle_cast(entry)


class Repeating(Ledger):
    def handle_cast(self, entry: Any) -> None:
        self.state += [entry] * (2 if entry == "bread" else 1)


class Reordering(Ledger):
    def handle_cast(self, entry: Any) -> None:
        self.state.insert(-1, entry)


class NotIdempotent(Ledger):
    """Adds an order again that arrives a second time."""


class Idempotent(Ledger):
    def handle_cast(self, entry: Any) -> None:
        if entry not in self.state:
            super().handle_cast(entry)


class Strict(Ledger):
    """Knows one request; whatever else it is asked, it dies of."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        if request != "all":
            return super(Ledger, self).handle_call(request, sender)
        return list(self.state)


class TestMessages(PlantedBugs):
    async def three_casts(self, case: Any, cls: Any) -> None:
        ledger = await case.setup_isolated_genserver(cls)
        for entry in ("milk", "bread", "eggs"):
            await case.cast_and_sync(ledger, entry)
        await case.assert_genserver_state(ledger, ["milk", "bread", "eggs"])

    def test_a_cast_that_is_lost(self) -> None:
        says = "- ['milk', 'bread', 'eggs']\n?          ---------\n+ ['milk', 'eggs']"
        self.assert_found(self.three_casts, Ledger, Losing, OTPAssertions, says=says)

    def test_a_message_that_is_handled_twice(self) -> None:
        says = "+ ['milk', 'bread', 'bread', 'eggs']"
        self.assert_found(self.three_casts, Ledger, Repeating, OTPAssertions, says=says)

    def test_messages_that_overtake_each_other(self) -> None:
        says = "+ ['bread', 'eggs', 'milk']"
        self.assert_found(self.three_casts, Ledger, Reordering, OTPAssertions, says=says)

    def test_an_order_that_counts_again_when_it_arrives_again(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            ledger = await case.setup_isolated_genserver(cls)
            with case.duplicate(ledger, match="bread"):
                await case.cast_and_sync(ledger, "bread")
            await case.assert_genserver_state(ledger, ["bread"])

        says = "+ ['bread', 'bread']"
        self.assert_found(body, Idempotent, NotIdempotent, OTPAssertions, ChaosMixin, says=says)

    def test_a_server_that_dies_of_an_unknown_message(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            ledger = await case.setup_isolated_genserver(cls)
            await case.probe_invalid_messages(ledger, ["nonsense"])
            await case.assert_process_alive(ledger)

        says = "Strict has no handle_call() for 'nonsense'"
        self.assert_found(body, Ledger, Strict, OTPAssertions, says=says)


class Postman(GenServer):
    """Answers when it has got round to it, each caller with what that one said."""

    def init(self) -> Any:
        return []

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.state.append((sender, request))
        send(self_pid(), "get round to it")
        return NOREPLY

    def handle_info(self, message: Any) -> None:
        senders, requests = [each for each, _ in self.state], [each for _, each in self.state]
        for sender, request in zip(senders, self.in_order(requests), strict=True):
            sender.reply(request)
        self.state.clear()

    def in_order(self, requests: list[Any]) -> list[Any]:
        return requests


class Confused(Postman):
    def in_order(self, requests: list[Any]) -> list[Any]:
        return requests[::-1]


class EchoModel:
    def say(self, word: str) -> str:
        return word


class PostmanMachine(Machine):
    model = EchoModel
    postman: type[Postman] = Postman

    async def setup(self) -> Any:
        return await self.postman.start_link()

    @rule(word=st.text())
    async def say(self, postman: Any, word: str) -> Any:
        return await postman.call(word)


class ConfusedMachine(PostmanMachine):
    postman = Confused


class Clerk(GenServer):
    """Has an assistant for each request, who is gone when it is done."""

    async def handle_call(self, request: Any, sender: Any) -> Any:
        assistant = await Agent.start(request)
        answer = await Agent.get(assistant)
        await self.dismiss(assistant)
        return answer

    def init(self) -> None: ...

    async def dismiss(self, assistant: Pid) -> None:
        await assistant.stop()


class Wasteful(Clerk):
    async def dismiss(self, assistant: Pid) -> None: ...


class Partner(GenServer):
    """Asks its partner, who may need to ask back."""

    def init(self) -> Any:
        return None

    def handle_cast(self, partner: Any) -> None:
        self.state = partner

    async def handle_call(self, request: Any, sender: Any) -> Any:
        if request == "opinion":
            return "yes"
        return await self.state.call(self.question(), timeout=5.0)

    def question(self) -> str:
        return "opinion"


class Indecisive(Partner):
    def question(self) -> str:
        return "what do you think?"


class TestCallers(PlantedBugs):
    def test_an_answer_to_the_wrong_caller(self) -> None:
        async def body(case: Any, machine: Any) -> None:
            branches = [[Step("say", ("hello",))], [Step("say", ("goodbye",))]]
            await case.assert_linearizable_program(Program(machine, branches=branches))

        says = "say('hello') -> 'goodbye', but there it returns 'hello'"
        self.assert_found(body, PostmanMachine, ConfusedMachine, HarnessMixin, says=says)

    def test_a_process_that_is_left_behind_by_each_call(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            clerk = await case.setup_isolated_genserver(cls)
            await case.assert_no_process_leaks(lambda: clerk.call("stamp this"), grace=0.0)

        says = "1 process was left running\n  1. <Pid 3 Agent>, started by <Pid 2 Wasteful"
        self.assert_found(body, Clerk, Wasteful, OTPAssertions, says=says)

    def test_two_servers_that_wait_for_each_other(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            one = await case.setup_isolated_genserver(cls, name="one")
            other = await case.setup_isolated_genserver(cls, name="other")
            one.cast(other)
            other.cast(one)
            call = asyncio.create_task(case.call_with_timeout(one, "and now?", 5.0))
            try:
                await asyncio.sleep(0)
                await case.until_idle(one, other, timeout=0.5)
            finally:
                call.cancel()
                await asyncio.wait([call])

        self.assert_found(body, Partner, Indecisive, OTPAssertions, says="not idle within 0.5 s: <Pid 2 Indecisive")

    def test_a_mailbox_that_grows_without_bound(self) -> None:
        async def patient(case: Any, ledger: Any) -> None:
            for number in range(200):
                await case.cast_and_sync(ledger, number)

        async def impatient(_case: Any, ledger: Any) -> None:
            for number in range(200):
                ledger.cast(number)

        async def body(case: Any, produce: Any) -> None:
            ledger = await case.setup_isolated_genserver(Ledger)
            await case.assert_mailbox_stable(ledger, during=lambda: produce(case, ledger), max_size=20)

        says = "200 > 20"
        self.assert_found(body, patient, impatient, OTPAssertions, PerformanceMixin, says=says)
