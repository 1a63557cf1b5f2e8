"""A worker of Celery whose messages are files, so that it needs no broker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from celery import Celery


def make_app(folder: str, out: str = "messages") -> Celery:
    """Return an application whose messages and results are files in *folder*; what it sends goes to *out* in there."""
    app = Celery("tasks", broker="filesystem://", backend=f"file://{folder}/results")
    app.conf.broker_transport_options = {
        "data_folder_in": f"{folder}/messages",
        "data_folder_out": f"{folder}/{out}",
        "control_folder": f"{folder}/control",
    }
    app.task(name="whoami")(_whoami)
    app.task(name="occupy")(_occupy)
    return app


def _whoami() -> int:
    return os.getpid()


def _occupy(path: str) -> None:
    """Take note of the process that works, and never end."""
    Path(path).write_text(str(os.getpid()), encoding="ascii")
    while True:
        signal.pause()


if "CELERY_FOLDER" in os.environ:
    app = make_app(os.environ["CELERY_FOLDER"])
