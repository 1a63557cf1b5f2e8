"""A real browser without a window, driven through its pipe with the standard library alone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Browser", "browser_path", "opened"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_EXEC = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""  # The browser reads descriptor 3 and writes descriptor 4.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--window-size=1300,1000",
)


def browser_path() -> str | None:
    """Return where a browser of the Chromium family is, or ``None``."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """A browser and the page that it shows; commands are those of the DevTools protocol, messages end with a NUL."""

    def __init__(self, process: subprocess.Popen[bytes], send: int, receive: int) -> None:
        self.process = process
        self._send, self._receive = send, receive
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]  # type: ignore[no-any-return]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._receive, 1 << 16)
            if not part:
                raise AssertionError(f"the browser ended with status {self.process.wait()}")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]

    def open(self, path: Path) -> None:
        """Show the page in *path* and return once its script has run; what other pages complained of is forgotten."""
        self._session = None
        self.events.clear()
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.command(f"{domain}.enable")
        self.command("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        """Return what *expression* is in the page."""
        found = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, as a user does."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            self.command("Input.dispatchKeyEvent", type="keyUp", key=key)

    def complaints(self) -> list[str]:
        """Return what the page's script raised and what the browser refused it."""
        self.value("1")
        return [
            json.dumps(event["params"])
            for event in self.events
            if event.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}
        ]


def _pipe() -> tuple[int, int]:
    """Return a pipe out of the way of the descriptors 3 and 4, which the browser will have."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Browser]:
    """Show *path* in a browser that ends, with all its processes, at the end of the block."""
    program = browser_path()
    assert program is not None
    theirs, send = _pipe()
    receive, answers = _pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _EXEC, str(theirs), str(answers), *command],
            pass_fds=(theirs, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        os.close(theirs)
        os.close(answers)
        browser = Browser(process, send, receive)
        try:
            browser.open(path)
            yield browser
        finally:
            _end(browser, send, receive)


def _end(browser: Browser, send: int, receive: int) -> None:
    with contextlib.suppress(AssertionError, OSError):
        browser._session = None
        browser.command("Browser.close")
    os.close(send)
    os.close(receive)
    try:
        browser.process.wait(10)
    except subprocess.TimeoutExpired:
        browser.process.kill()
        browser.process.wait()
