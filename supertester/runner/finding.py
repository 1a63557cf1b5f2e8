"""From names or a folder to a suite, by ``unittest``'s own loader."""

from __future__ import annotations

import importlib
import unittest
from typing import Any

from supertester.runner import collector

__all__ = ["load_suite"]


def load_suite(options: Any) -> unittest.TestSuite:
    """Return the suite that `unittest` makes of *options*: anything that has the fields of `Options.loading`."""
    collector.resume()  # What modules with tests leave behind is theirs.
    loader = unittest.TestLoader()
    if options.name_patterns:
        loader.testNamePatterns = [pattern if "*" in pattern else f"*{pattern}*" for pattern in options.name_patterns]
    if options.module is not None and not options.discover:
        module = importlib.import_module(options.module)
        if options.names:
            return loader.loadTestsFromNames(options.names, module)
        return loader.loadTestsFromModule(module)
    if options.names and not options.discover:
        return loader.loadTestsFromNames(options.names)
    return loader.discover(options.start_directory, options.pattern, options.top_level_directory)
