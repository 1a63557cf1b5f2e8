# Sphinx with MyST, because the pages are Markdown and the reference comes from docstrings; furo, because it reads well
# on every screen and needs no configuration.
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import supertester

project = "supertester"
author = "The supertester authors"
copyright = "2026, " + author
version = release = supertester.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"supertester {version}"
exclude_patterns = ["_build"]

# `Name` in a docstring is the name of something in Python.
default_role = "py:obj"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
