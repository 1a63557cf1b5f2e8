"""`supertester.case`: test classes, their options, tags and seeds."""

from __future__ import annotations

import asyncio
import random

from echo_lab import Counter
from echo_lab.guestbook import Clerk

from supertester import IsolatedTestCase, UsageError, tag
from supertester.otp import Pid, call, self_pid, whereis


class TestIsolatedTests(IsolatedTestCase):
    """Both tests start a server of the same name, and neither stops it."""

    async def test_one_server_with_a_well_known_name(self) -> None:
        """A name is free although another test uses it and never gives it back."""
        self.assertIsNone(whereis("counter"))
        await Counter.start_link(1, name="counter")
        self.assertEqual(await call("counter", "value"), 1)

    async def test_another_server_with_the_same_name(self) -> None:
        """The same name again, in another test."""
        self.assertIsNone(whereis("counter"))
        await Counter.start_link(2, name="counter")
        self.assertEqual(await call("counter", "value"), 2)

    def test_a_plain_test_is_isolated_too(self) -> None:
        """A test need not be async."""
        self.assertEqual(self.isolation.processes, [])

    async def test_the_body_of_a_test_is_a_process(self) -> None:
        """The test itself has a pid, and what it starts is linked to it."""
        self.assertIs(self_pid(), self.isolation.root)


@tag(layer="unit")
class TestTags(IsolatedTestCase, isolation="registry", timeout=10.0):
    """Options are class keywords; tags are decorators."""

    @tag(issue=2, slow=False)
    async def test_tags_are_in_the_context(self) -> None:
        """The tags of the class and of the test are in the context, beside its module, file and line."""
        tags = self.isolation.tags
        self.assertEqual((tags["layer"], tags["issue"], tags["slow"]), ("unit", 2, False))
        self.assertEqual((tags["mode"], tags["class"]), ("registry", "TestTags"))
        self.assertEqual((tags["module"], tags["test"]), (__name__, "test_tags_are_in_the_context"))
        self.assertGreater(tags["line"], 0)

    def test_a_tag_that_every_test_has_is_refused(self) -> None:
        """No tag can hide where the test stands."""
        with self.assertRaisesRegex(UsageError, "choose another name"):
            tag(file="elsewhere.py")

    def test_a_misspelt_option_is_refused_at_once(self) -> None:
        """A misspelt class keyword is refused when the class is made, with a suggestion."""
        with self.assertRaisesRegex(TypeError, "did you mean 'isolation'"):

            class Misspelt(IsolatedTestCase, isolaton="basic"):
                pass


class TestEverything(
    IsolatedTestCase, isolation="registry", logs=True, telemetry=True, tables=["echo_lab.guestbook:GUESTS"]
):
    """A lesser mode of isolation, with the features that are wanted."""

    @tag(telemetry_events=["echo_lab.opened"], tables=["echo_lab.guestbook:greeting"], logger_level="DEBUG")
    async def test_all_of_it_at_once(self) -> None:
        """Class keywords and tags together: logs, telemetry and tables of the test's own."""
        self.assertTrue(self.logs.isolated)
        self.assertEqual(self.logs.level, "DEBUG")
        self.assertEqual(self.telemetry.test_id, self.isolation.test_id)
        clerk = await self.setup_isolated_genserver(Clerk)
        await clerk.call(("sign", "ada", "hello"))
        self.assertEqual(await clerk.call("count"), 1)
        self.assertEqual(self.tables.mirror_of("echo_lab.guestbook:GUESTS"), {"ada": ["hello"]})
        self.telemetry.emit("echo_lab.opened", {"doors": 1})
        await self.assert_telemetry("echo_lab.opened")


class TestSeeds(IsolatedTestCase):
    async def test_random_choices_can_be_made_again(self) -> None:
        """A test has a seed of its own, derived from SUPERTESTER_SEED, so its random choices can be repeated."""
        choices = [random.Random(self.isolation.seed).choices("abcdef", k=5) for _ in range(2)]
        self.assertEqual(*choices)


class TestClassFixtures(IsolatedTestCase):
    """What the tests of a class share may need an event loop; it has one of its own."""

    greeting: str

    @classmethod
    async def asyncSetUpClass(cls) -> None:  # noqa: N802 - the name is that of the base class
        future = asyncio.get_running_loop().create_future()
        future.set_result("hello")
        cls.greeting = await future

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.counter: Pid = await self.setup_isolated_genserver(Counter, init_args=(5,))

    async def test_fixtures_of_the_class_and_of_the_test(self) -> None:
        """The class and each test can be set up with coroutines."""
        self.assertEqual(self.greeting, "hello")
        self.assertEqual(await self.counter.call("value"), 5)
