"""How fast the library is, each figure beside its reference in the same run: ``python -m benchmarks``."""
