"""Worker processes of the operating system: simulated, so that schedules can be explored, or real."""

from supertester.sim_process.live import LiveProcess
from supertester.sim_process.process import SimProcess
from supertester.sim_process.worker import Stdio, Worker, run_worker

__all__ = ["LiveProcess", "SimProcess", "Stdio", "Worker", "run_worker"]
