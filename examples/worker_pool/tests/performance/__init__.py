"""How much the pool can do. The modules `test_*` take a second or two each; `load_*` are asked for by their pattern."""

__tags__ = {"layer": "system", "performance": True}
