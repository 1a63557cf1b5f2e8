from __future__ import annotations

import unittest

from tests.project.layers import LAYERS, check_layers
from tests.project.support import PACKAGE, Planted

__alone__ = "parses much source, which Python 3.11 cannot do in several threads at once"


class TestThePackage(unittest.TestCase):
    def test_imports_go_down(self) -> None:
        self.assertEqual(check_layers(PACKAGE), [])

    def test_the_check_reads_the_whole_package(self) -> None:
        self.assertGreater(len(list(PACKAGE.rglob("*.py"))), 20)
        self.assertTrue({"_core", "errors", "otp"} <= set(LAYERS))


class TestTheCheck(Planted):
    def assert_found(self, words: str, **sources: str) -> None:
        problems = check_layers(self.plant(**sources))
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(words, problems[0])

    def test_a_module_in_no_layer_is_found(self) -> None:
        self.assert_found("'utils' is in no layer", utils="")

    def test_an_import_of_a_module_in_no_layer_is_found(self) -> None:
        self.assert_found("that is in no layer", case="import supertester.gone")

    def test_an_upward_import_is_found(self) -> None:
        self.assert_found("imports go down", context="from supertester.case import tag", case="")

    def test_an_upward_import_inside_a_function_is_found(self) -> None:
        self.assert_found("imports go down", context="def late():\n    import supertester.case", case="")

    def test_an_upward_import_for_type_checkers_is_found(self) -> None:
        source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from supertester import case"
        self.assert_found("imports supertester.case", context=source, case="")

    def test_a_relative_upward_import_is_found(self) -> None:
        self.assert_found("imports supertester.case", _core__clock="from .. import case", case="")
        self.assert_found("imports supertester.case", _core__clock="from ..case import tag", case="")

    def test_an_import_of_the_facade_is_found(self) -> None:
        self.assert_found("layer 7", case="from supertester import GenServer")

    def test_sideways_into_another_folder_is_found(self) -> None:
        self.assert_found("another folder", tracing__load="import supertester.isolation.scope", isolation__scope="")
        self.assert_found(
            "another folder", isolation__scope="", tracing__load="", servers="import supertester.isolation"
        )

    def test_unittest_below_the_mixins_is_found(self) -> None:
        self.assert_found("know unittest", context="import unittest")
        self.assert_found("know unittest", context="from unittest.mock import Mock")

    def test_a_third_party_import_of_the_runtime_is_found(self) -> None:
        self.assert_found("standard library alone", otp__pid="import psutil")

    def test_the_runtime_using_more_than_layer_0_is_found(self) -> None:
        self.assert_found("layer 0 alone", otp__pid="import supertester.telemetry", telemetry="")

    def test_what_the_table_allows_passes(self) -> None:
        root = self.plant(
            facade="from supertester.case import tag",
            _core__waiting="from supertester.errors import WaitTimeout",
            errors="",
            otp__pid="import asyncio\nfrom supertester.otp.reasons import NORMAL\nfrom . import reasons\n",
            otp__reasons="from supertester import errors",
            env="from supertester.context import Isolation",
            context="import psutil",
            case="import unittest\nfrom supertester.mixins.otp import OTPAssertions",
            mixins__otp="import unittest",
        )
        self.assertEqual(check_layers(root), [])
