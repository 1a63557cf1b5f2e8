from __future__ import annotations

import argparse
import tempfile
import unittest
from pathlib import Path
from typing import Any

from supertester.errors import UsageError
from supertester.runner.settings import Collected, apply_settings

__tags__ = {"layer": "unit"}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument("names", nargs="*")
    made.add_argument("--timeout", type=float, default=60.0)
    made.add_argument("--fail-on", type=lambda text: frozenset(text.split(",")), default=frozenset())
    made.add_argument("--shuffle", nargs="?", const=-1, type=int)
    made.add_argument("--coverage", action="store_true")
    made.add_argument("--on", choices=["here", "ray"], default="here")
    made.add_argument("-v", "--verbose", action="count", default=0)
    made.add_argument("--layer", action=Collected, default=[])
    made.add_argument("--buffer", action=argparse.BooleanOptionalAction, default=False)
    made.add_argument("--loud", dest="volume", action="store_const", const=2, default=1)
    made.add_argument("--silent", dest="volume", action="store_const", const=0)
    return made


class Settings(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def parsed(
        self, *arguments: str, cfg: str = "", toml: str = "", env: dict[str, str] | None = None, **more: Any
    ) -> argparse.Namespace:
        (self.folder / "setup.cfg").write_text(cfg, encoding="utf-8")
        (self.folder / "pyproject.toml").write_text(toml, encoding="utf-8")
        made = parser()
        apply_settings(made, folder=self.folder, environ=env or {}, **more)
        return made.parse_args(arguments)

    def refused(self, **given: Any) -> str:
        with self.assertRaises(UsageError) as caught:
            self.parsed(**given)
        return str(caught.exception)


class TestWhoOverridesWhom(Settings):
    def test_each_source_overrides_the_one_before(self) -> None:
        cfg, toml = "[supertester]\ntimeout = 1\n", "[tool.supertester]\ntimeout = 2\n"
        env = {"SUPERTESTER_TIMEOUT": "3"}
        self.assertEqual(self.parsed().timeout, 60.0)
        self.assertEqual(self.parsed(cfg=cfg).timeout, 1.0)
        self.assertEqual(self.parsed(cfg=cfg, toml=toml).timeout, 2.0)
        self.assertEqual(self.parsed(cfg=cfg, toml=toml, env=env).timeout, 3.0)
        self.assertEqual(self.parsed("--timeout", "4", cfg=cfg, toml=toml, env=env).timeout, 4.0)

    def test_files_that_are_not_there_say_nothing(self) -> None:
        made = parser()
        self.assertEqual(apply_settings(made, folder=self.folder / "nowhere", environ={}), [])

    def test_what_was_read_says_where_it_stood(self) -> None:
        (self.folder / "setup.cfg").write_text("[supertester]\nfail_on = lost\n")
        [setting] = apply_settings(parser(), folder=self.folder, environ={})
        self.assertEqual(str(setting), "setup.cfg [supertester]: fail-on = 'lost'")


class TestValues(Settings):
    def test_each_kind_of_option_is_set_from_text(self) -> None:
        cfg = (
            "[supertester]\nfail_on = lost,flaky\nshuffle = 7\ncoverage = yes\non = ray\nverbose = 2\nbuffer = on\n"
            "layer =\n  unit\n  system\n"
        )
        found = self.parsed(cfg=cfg)
        self.assertEqual(found.fail_on, {"lost", "flaky"})
        self.assertEqual((found.shuffle, found.coverage, found.on, found.verbose), (7, True, "ray", 2))
        self.assertEqual((found.buffer, found.layer), (True, ["unit", "system"]))
        self.assertFalse(self.parsed("--no-buffer", cfg=cfg).buffer)

    def test_what_is_switched_off_is_as_if_nobody_had_switched_it_on(self) -> None:
        cfg = "[supertester]\ncoverage = yes\nloud = yes\n"
        self.assertEqual((self.parsed(cfg=cfg).coverage, self.parsed(cfg=cfg).volume), (True, 2))
        env = {"SUPERTESTER_COVERAGE": "no", "SUPERTESTER_LOUD": "no", "SUPERTESTER_SILENT": "no"}
        found = self.parsed(cfg=cfg, env=env)
        self.assertEqual((found.coverage, found.volume), (False, 1))

    def test_each_kind_of_option_is_set_from_toml(self) -> None:
        toml = "[tool.supertester]\nshuffle = true\ncoverage = false\ntimeout = 5\nlayer = ['unit']\n"
        found = self.parsed(toml=toml)
        self.assertEqual((found.shuffle, found.coverage, found.timeout, found.layer), (-1, False, 5.0, ["unit"]))
        self.assertIsNone(self.parsed(toml="[tool.supertester]\nshuffle = false\n").shuffle)

    def test_a_value_that_makes_no_sense_is_refused_with_its_place(self) -> None:
        self.assertIn(
            "setup.cfg [supertester]: timeout = 'soon': could not convert string to float",
            self.refused(cfg="[supertester]\ntimeout = soon\n"),
        )
        self.assertIn("choose one of here, ray", self.refused(env={"SUPERTESTER_ON": "moon"}))
        self.assertIn("write true or false", self.refused(toml="[tool.supertester]\ncoverage = 3\n"))

    def test_what_is_collected_replaces_what_was_written_down(self) -> None:
        cfg = "[supertester]\nlayer = unit\n"
        self.assertEqual(self.parsed("--layer", "system", "--layer", "stress", cfg=cfg).layer, ["system", "stress"])
        self.assertEqual(self.parsed(cfg=cfg).layer, ["unit"])

    def test_a_list_is_fine_where_the_option_takes_commas(self) -> None:
        found = self.parsed(toml="[tool.supertester]\nfail-on = ['lost', 'flaky']\n")
        self.assertEqual(found.fail_on, {"lost", "flaky"})


class TestUnknownSettings(Settings):
    def test_the_one_that_was_meant_is_named(self) -> None:
        self.assertEqual(
            self.refused(cfg="[supertester]\ntimout = 5\n"),
            "setup.cfg [supertester]: there is no setting 'timout'; did you mean 'timeout'?",
        )
        self.assertIn("did you mean 'coverage'?", self.refused(toml="[tool.supertester]\ncovrage = true\n"))

    def test_where_none_is_near_all_are_named(self) -> None:
        self.assertIn("the known ones are buffer, coverage, fail-on", self.refused(cfg="[supertester]\nxyz = 5\n"))

    def test_help_is_no_setting(self) -> None:
        self.assertIn("no setting 'help'", self.refused(cfg="[supertester]\nhelp = yes\n"))

    def test_a_variable_is_a_mistake_only_if_it_looks_like_one(self) -> None:
        self.assertIn("SUPERTESTER_TIMEOT: there is no setting", self.refused(env={"SUPERTESTER_TIMEOT": "5"}))
        self.parsed(env={"SUPERTESTER_POOL_SIZE": "4", "SUPERTESTER_SEED": "1", "TIMEOUT": "x"})

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        self.assertIn("setup.cfg cannot be read", self.refused(cfg="supertester\n"))
        self.assertIn("pyproject.toml cannot be read", self.refused(toml="[tool supertester"))


class TestParts(Settings):
    def test_a_part_has_sections_and_variables_of_its_own(self) -> None:
        cfg = "[supertester]\ncoverage = yes\n[supertester:audit]\ntimeout = 1\n"
        self.assertEqual(self.parsed(cfg=cfg, section="audit").timeout, 1.0)
        toml = "[tool.supertester.audit]\ntimeout = 2\n"
        env = {"SUPERTESTER_AUDIT_TIMEOUT": "3"}
        self.assertEqual(self.parsed(toml=toml, section="audit").timeout, 2.0)
        self.assertEqual(self.parsed(toml=toml, env=env, section="audit").timeout, 3.0)
        self.assertEqual(self.parsed(toml=toml, env=env, sections=["audit"]).timeout, 60.0)

    def test_a_part_that_nobody_knows_is_refused(self) -> None:
        self.assertIn("no setting 'adit'", self.refused(toml="[tool.supertester.adit]\nx = 2\n", sections=["audit"]))
