"""Has a pool, says who its workers are, and is there until it is killed. A number keeps that many of them busy."""

from __future__ import annotations

import sys
import threading
from functools import partial
from pathlib import Path

from session_pool import PythonPort, SessionPool

TROUBLE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("trouble_worker.py")))


def main() -> None:
    run_id, port, busy, *options = sys.argv[1:]
    pool = SessionPool(2, run_id=run_id, port_factory=partial(PythonPort.spawn, run_id, argv=[*TROUBLE, *options]))
    for _ in range(int(busy)):
        threading.Thread(target=pool.execute_anonymous, args=("hold", {"port": int(port)}), daemon=True).start()
    print(*(worker.pid for worker in pool.workers()), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
