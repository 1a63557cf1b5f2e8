"""Reports to look at: pages of HTML that stand alone, and tables for a terminal."""

from supertester.reporting.measured import load_page, memory_page, save_page
from supertester.reporting.schedules import exploration_page, exploration_section
from supertester.reporting.terminal import load_table, text_table

__all__ = [
    "exploration_page",
    "exploration_section",
    "load_page",
    "load_table",
    "memory_page",
    "save_page",
    "text_table",
]
