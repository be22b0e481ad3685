# SPDX-License-Identifier: GPL-2.0-or-later
"""Run other programs: shown on -v, in a group of their own, never left behind."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError

log = logging.getLogger("pinrace.exec")

# Die when the thread that started us dies, SIGKILL of the harness included.
PDEATHSIG = ("setpriv", "--pdeathsig", "KILL", "--")

# This Python, which takes no module from the current folder: that may be a stranger's series.
PYTHON = (sys.executable, "-P")


@dataclass(frozen=True)
class Completed:
    """A program that has ended."""

    argv: tuple[str, ...]
    status: int  # exit status; minus the signal's number when one ended it
    output: str  # stdout, and stderr too unless it went to a log of its own
    seconds: float


def show(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Return the command as a line to paste into a shell."""
    words = [f"{k}={shlex.quote(v)}" for k, v in (env or {}).items()]
    line = " ".join([*words, shlex.join([str(a) for a in argv])])
    return f"(cd {shlex.quote(str(cwd))} && {line})" if cwd else line


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill a process started by this module with all its group, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    shown: Sequence[str] = (),
    stdin: bytes | Path | None = None,
    log_to: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    deadline: Deadline = Deadline(),  # noqa: B008 (frozen)
    check: bool = True,
    what: str = "",
    hint: str = "",
) -> Completed:
    """Run a program to its end and return what it printed.

    env is added to this process's environment, or without inherit is all of it.  stdin is bytes
    or a file; without it the program reads nothing.  log_to gets the output as well, line by line
    as it comes, after the command line itself, or `shown` in its place; on_line sees every line.
    Raises InfrastructureError when the program is missing, outlives the deadline (its whole group
    is killed), or, with check, fails; `what` says in the error what it was for.  The group dies
    with the calling thread.
    """
    words = [str(a) for a in argv]
    log.info("%s", show(words, cwd=cwd, env=env))
    line = show(shown or words, cwd=cwd, env=env)
    what = what or words[0]
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(log_to.open("a")) if log_to else None
        if sink:
            sink.write(f"$ {line}\n")
            sink.flush()
        source = stack.enter_context(stdin.open("rb")) if isinstance(stdin, Path) else None
        reads = source or (subprocess.PIPE if stdin is not None else subprocess.DEVNULL)
        whole = {**os.environ, **(env or {})} if inherit else dict(env or {})
        process = _start(words, cwd, whole, reads, what)
        try:
            lines, expired = _drain(process, stdin, sink.write if sink else None, on_line, deadline)
        finally:
            kill_group(process)
    done = Completed(tuple(words), process.returncode, "".join(lines), time.monotonic() - began)
    if expired:
        raise InfrastructureError(
            f"{what}: no end within {done.seconds:.0f} s", log=log_to, hint=hint
        )
    if done.status == 127 and "setpriv: failed to execute" in done.output:
        raise InfrastructureError(f"{what}: '{words[0]}' is not installed", hint="pinrace doctor")
    if check:
        succeeded(done, what, log_to=log_to, hint=hint)
    return done


def succeeded(done: Completed, what: str, *, log_to: Path | None = None, hint: str = "") -> None:
    """Raise InfrastructureError, with the end of what it printed, for a program that failed."""
    if done.status:
        tail = "" if log_to else "\n" + "\n".join(done.output.splitlines()[-12:])
        raise InfrastructureError(
            f"{what} failed with status {done.status}{tail}", log=log_to, hint=hint
        )


def _start(
    words: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str],
    reads: IO[bytes] | int,
    what: str,
) -> subprocess.Popen[str]:
    """Start a program in a group of its own, which dies with the calling thread."""
    try:
        return subprocess.Popen(
            [*PDEATHSIG, *words],
            cwd=cwd,
            env=env,
            stdin=reads,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as exc:
        raise InfrastructureError(
            f"{what}: '{exc.filename}' is not there", hint="pinrace doctor"
        ) from None


def _drain(
    process: subprocess.Popen[str],
    stdin: bytes | Path | None,
    sink: Callable[[str], int] | None,
    on_line: Callable[[str], None] | None,
    deadline: Deadline,
) -> tuple[list[str], bool]:
    """Read all output; the flag says that the deadline ended it."""
    expired = threading.Event()
    timer = None
    if deadline.remaining < threading.TIMEOUT_MAX:

        def expire() -> None:
            expired.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(deadline.remaining, expire)
        timer.daemon = True
        timer.start()
    feeder = None
    if isinstance(stdin, bytes) and process.stdin:
        feeder = threading.Thread(target=_feed, args=(process, stdin), daemon=True)
        feeder.start()
    lines: list[str] = []
    assert process.stdout is not None  # noqa: S101
    for line in process.stdout:
        lines.append(line)
        if sink:
            sink(line)
        if on_line:
            on_line(line.rstrip("\n"))
    process.wait()
    if timer:
        timer.cancel()
    if feeder:
        feeder.join()
    return lines, expired.is_set()


def _feed(process: subprocess.Popen[str], data: bytes) -> None:
    """Write all of stdin; a program that stops reading early is its own affair."""
    pipe = cast("io.TextIOWrapper", process.stdin).buffer
    with contextlib.suppress(BrokenPipeError):
        pipe.write(data)
    with contextlib.suppress(BrokenPipeError):
        pipe.close()
