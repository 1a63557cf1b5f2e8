"""``application.py idle|busy SIZE [PLANT]``: a program that has a pool, says who its workers are, and waits."""

from __future__ import annotations

import json
import sys
import threading

from worker_pool import WorkerPool
from worker_pool.worker import COMMAND

from tests.support.strange import strange

if __name__ == "__main__":
    state, size, *plant = sys.argv[1:]
    pool = WorkerPool(int(size), command=strange(plant[0]) if plant else COMMAND).start()
    if state == "busy":
        streams = [pool.execute_stream("counts", {"n": 2, "gap": 60}, timeout=600.0) for _ in pool.workers()]
        for stream in streams:
            next(stream)
    print(json.dumps({"run_id": pool.run_id, "pids": [worker.pid for worker in pool.workers()]}), flush=True)
    threading.Event().wait()
