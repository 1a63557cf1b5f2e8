"""The figures run and have the promised structure. How long anything takes is nobody's business here."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import shutil
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path

from benchmarks.__main__ import all_figures, chosen, main
from benchmarks.beam import BEAM, opened_beam
from benchmarks.cases import run_cases
from benchmarks.measure import Figure, measure
from benchmarks.peers import with_peers
from benchmarks.servers import Actor, World, async_server, direct_server, server, textbook
from benchmarks.textbook import Textbook
from supertester import tag
from tests.alone import alone
from tests.performance.frugal import frugal

TINY = (10_000, 1_000, 50)
"""By how much to divide the work: by the first with which the sizes of a scale still differ."""


def nothing() -> None: ...


def tiny(figure: Figure) -> Figure:
    """Return *figure* with hardly any work."""
    smaller = (figure.smaller(by) for by in TINY)
    return next(each for each in smaller if len({subject.name for subject in each.subjects}) == len(figure.subjects))


class TestTheFigures(unittest.TestCase):
    @tag(layer="system")
    def test_each_measures_each_of_its_subjects(self) -> None:
        for figure in all_figures(None):
            with self.subTest(figure=figure.name):
                found = measure(tiny(figure), 1, before_each=nothing)
                self.assertEqual(len(found.samples), len(figure.subjects))
                self.assertTrue(all(value > 0 for samples in found.samples.values() for value in samples))

    def test_names_are_unique_and_the_reference_is_a_subject_or_the_beam(self) -> None:
        figures = all_figures(None)
        self.assertEqual(len({figure.name for figure in figures}), len(figures))
        for figure in figures:
            names = [subject.name for subject in figure.subjects]
            self.assertEqual(len(set(names)), len(names))
            self.assertIn(figure.reference, [*names, BEAM])

    def test_peers_add_subjects_to_figures_that_exist(self) -> None:
        figures = all_figures(None)
        for before, after in zip(figures, with_peers(figures), strict=True):
            self.assertEqual(list(after.subjects)[: len(before.subjects)], list(before.subjects))

    def test_a_failing_test_is_no_measurement(self) -> None:
        class Failing(unittest.TestCase):
            def test(self) -> None:
                self.fail()

        with self.assertRaisesRegex(RuntimeError, "failed"):
            run_cases(Failing, 1)

    def test_a_name_chooses_a_figure_or_a_family(self) -> None:
        figures = all_figures(None)
        self.assertEqual([figure.name for figure in chosen(figures, ["call"])], ["call"])
        self.assertEqual([figure.name for figure in chosen(figures, ["spawn"])], ["spawn", "spawn-linked"])
        self.assertEqual(len(chosen(figures, [])), len(figures))
        with self.assertRaisesRegex(LookupError, "no figure is called 'cal'; there are call, "):
            chosen(figures, ["cal"])


class TestTheBeam(unittest.TestCase):
    def test_it_is_optional(self) -> None:
        with opened_beam("no-such-command-anywhere") as beam:
            self.assertIsNone(beam)

    def script(self, text: str) -> Path:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "script")
        path.write_text(text, encoding="utf-8")
        return path

    def test_it_starts_when_it_is_asked_and_ends_with_the_run(self) -> None:
        script = self.script(
            'touch "$0.began"; read figure units; echo ${units}000000000; read more || touch "$0.ended"'
        )
        began, ended = (script.with_suffix(suffix) for suffix in (".began", ".ended"))
        with opened_beam("sh", script) as beam:
            assert beam is not None
            self.assertFalse(began.exists())
            self.assertEqual(beam.run("call", 3), 3.0)
            self.assertEqual((began.exists(), ended.exists()), (True, False))
        self.assertTrue(ended.exists())

    def test_that_it_ends_by_itself_is_an_error(self) -> None:
        with opened_beam("sh", self.script("read figure units")) as beam:
            assert beam is not None
            with self.assertRaisesRegex(RuntimeError, "the BEAM ended while it measured 'call'"):
                beam.run("call", 3)

    @unittest.skipUnless(shutil.which("elixir"), "elixir is not on the path")
    def test_it_measures_every_figure_that_it_is_in(self) -> None:
        with opened_beam() as beam:
            assert beam is not None
            subjects = [each for figure in all_figures(beam) for each in figure.subjects if each.name == BEAM]
            self.assertEqual(len(subjects), 7)
            self.assertTrue(all(subject.smaller(1_000).sample() > 0 for subject in subjects))


class TestTheActors(unittest.IsolatedAsyncioTestCase):
    """What is compared does the same work."""

    async def check(self, worlds: Sequence[World]) -> None:
        for world in worlds:
            with self.subTest(world=world):
                async with world() as actor:
                    await self.check_actor(actor)

    async def check_actor(self, actor: Actor) -> None:
        self.assertEqual([await actor.call(number) for number in range(3)], [0, 1, 2])
        together = await asyncio.gather(*[actor.call(number) for number in range(100)])
        self.assertEqual(together, list(range(100)))
        for number in range(10):
            actor.cast(number)
        self.assertEqual(await actor.call("sync"), "sync")

    async def test_every_world_echoes(self) -> None:
        await self.check([textbook, server, async_server, direct_server])

    async def test_the_textbook_actor_handles_casts_in_order_before_a_later_call(self) -> None:
        class Diary(Textbook):
            def handle_cast(self, message: int) -> None:
                self.state = [*(self.state or ()), message]

        actor = Diary()
        for number in range(5):
            actor.cast(number)
        await actor.call("sync")
        self.assertEqual(actor.state, [0, 1, 2, 3, 4])
        await actor.stop()
        self.assertTrue(actor.task.done())

    async def test_the_textbook_actor_outlives_a_cancelled_caller(self) -> None:
        actor = Textbook()
        caller = asyncio.ensure_future(actor.call("nobody waits"))
        await asyncio.sleep(0)
        caller.cancel()
        self.assertEqual(await actor.call("next"), "next")
        await actor.stop()


class TestTheCommand(unittest.TestCase):
    def run_main(self, *arguments: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            self.assertEqual(main(arguments), 0)
        return output.getvalue()

    @alone("collects garbage without looking at what was there before")
    def test_it_prints_the_table_and_writes_the_data(self) -> None:
        frugal(self)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "out.json")
            output = self.run_main("sync-case", "--quick", "--rounds", "1", "--json", str(path))
            [figure] = json.loads(path.read_text(encoding="utf-8"))["figures"]
        self.assertIn("sync-case: a plain test that does nothing", output)
        self.assertIn("targets met", output)
        self.assertEqual(figure["name"], "sync-case")
        self.assertTrue(all(len(subject["samples"]) == 1 for subject in figure["subjects"]))

    def test_it_refuses_what_makes_no_sense(self) -> None:
        for arguments, words in ((["nonsense"], "no figure is called 'nonsense'"), (["--rounds", "0"], "at least 1")):
            with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit) as exited:
                main(arguments)
            self.assertEqual(exited.exception.code, 2)
            self.assertIn(words, errors.getvalue())


if __name__ == "__main__":
    unittest.main()
