# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs are run to their end, shown, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pinrace import procs
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError


def test_output_status_and_stdin() -> None:
    done = procs.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in\n", check=False)
    assert (done.status, done.output) == (3, "in\nerr\n")


def test_failure_says_what_and_shows_the_tail() -> None:
    with pytest.raises(InfrastructureError, match=r"the job failed with status 7\nlast words"):
        procs.run(["sh", "-c", "echo last words; exit 7"], what="the job")


def test_missing_program_points_at_doctor() -> None:
    with pytest.raises(InfrastructureError, match="'no-such-tool' is not installed") as caught:
        procs.run(["no-such-tool"])
    assert "pinrace doctor" in caught.value.hint


def test_log_holds_the_command_and_the_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    procs.run(["echo", "a b"], log_to=log)
    assert log.read_text() == "$ echo 'a b'\na b\n"


def test_deadline_kills_the_whole_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {pid_file}; wait"
    with pytest.raises(InfrastructureError, match="no end within"):
        procs.run(["sh", "-c", script], deadline=Deadline.after(0.5))
    assert gone(int(pid_file.read_text()))


def test_nothing_survives_a_killed_harness(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"from pinrace import procs; procs.run(['sh', '-c', 'echo $$ > {pid_file}; sleep 1000'])"
    harness = subprocess.Popen([sys.executable, "-c", code])
    while not pid_file.exists() or not pid_file.read_text().strip():
        assert harness.poll() is None
        time.sleep(0.02)
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    assert gone(int(pid_file.read_text()))


def gone(pid: int) -> bool:
    """Wait until a process is no more (or a zombie that nobody here can reap)."""
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return False
