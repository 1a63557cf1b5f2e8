"""Bugs planted in small programs: the tool that is there for a bug finds it and names it, and passes its sound twin."""
