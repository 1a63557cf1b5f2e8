"""Build the wheel from a copy of its sources, and install it into the Python that runs this.

A copy, because setuptools writes into the folder it builds in: what an older build left there would end up in the
wheel, and two builds at the same time would get in each other's way.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
SOURCES = ("LICENSE", "README.md", "setup.cfg", "setup.py", "supertester")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "source")
        copy.mkdir()
        for name in SOURCES:
            if (CHECKOUT / name).is_dir():
                shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(CHECKOUT / name, copy)
        pip("wheel", "--no-deps", "--wheel-dir", folder, str(copy))
        [wheel] = Path(folder).glob("*.whl")
        pip("install", str(wheel))
        pip("install", "--no-deps", "--force-reinstall", str(wheel))  # the same version may hold other files


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


if __name__ == "__main__":
    main()
