# SPDX-License-Identifier: GPL-2.0-or-later
"""A headless Chromium, driven over its debugging pipe (the Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import os
import select
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
SILENCE = 120.0  # seconds after which a browser counts as dead
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-default-browser-check",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)


class Browser:
    """One browser with one page."""

    def __init__(self, *, script: bool = True) -> None:
        self.script = script
        self.events: list[dict[str, Any]] = []
        self._id = 0
        self._rest = b""
        self._session = ""

    def __enter__(self) -> Browser:
        self._home = tempfile.mkdtemp(prefix="browser-")
        read_there, self._write = os.pipe()
        self._read, write_there = os.pipe()
        argv = shlex.join([CHROMIUM, *FLAGS, f"--user-data-dir={self._home}", "about:blank"])
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {argv} 3<&{read_there} 4>&{write_there}"],
            pass_fds=(read_there, write_there),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._home,
        )
        os.close(read_there)
        os.close(write_there)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        self.call("Emulation.setScriptExecutionDisabled", value=not self.script)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, it: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._home, ignore_errors=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and return its result; what happens meanwhile goes to `events`."""
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._id:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], SILENCE)
            assert ready, "the browser says nothing any more"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser ended"
            self._rest += data
        one, self._rest = self._rest.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(one)
        return answer

    def open(self, url: str) -> None:
        """Open a page, and return once it is loaded."""
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        loader = self.call("Page.navigate", url=url)["loaderId"]
        while not any(
            event.get("method") == "Page.lifecycleEvent"
            and event["params"]["loaderId"] == loader
            and event["params"]["name"] == "load"
            for event in self.events
        ):
            self.events.append(self._next())

    def run(self, expression: str) -> Any:
        """Return the value of an expression, awaited."""
        got = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def size(self, width: int, height: int) -> None:
        """Set the window's size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def media(self, medium: str = "", **features: str) -> None:
        """Pretend a medium and its features, e.g. prefers_color_scheme="dark"."""
        pairs = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.call("Emulation.setEmulatedMedia", media=medium, features=pairs)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Keep a picture of what is shown, or of the whole page."""
        got = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(got["data"]))

    def complaints(self) -> list[str]:
        """Return what the browser complained of: exceptions, refused content, errors."""
        found = []
        for event in self.events:
            if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(json.dumps(event["params"]))
        return found

    def requests(self) -> list[str]:
        """Return the addresses that were asked for."""
        sent = (e for e in self.events if e.get("method") == "Network.requestWillBeSent")
        return [e["params"]["request"]["url"] for e in sent]
