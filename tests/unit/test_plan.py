# SPDX-License-Identifier: GPL-2.0-or-later
"""The plan says what was asked, or that it cannot."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace

import pytest

from pinrace.arches import get_arch
from pinrace.errors import UserError
from pinrace.guest.plan import guest_timeout, jobs_plan, one_line, shell_plan
from pinrace.values import Job

X86 = get_arch("x86_64")


def test_jobs() -> None:
    jobs = [Job("a", ("/bin/x", "two words", ""), 1.5, (("K", "v=w"),)), Job("b", ("/bin/y",), 2)]
    assert jobs_plan(X86, jobs, 10.0).decode() == (
        "channel ttyS1\nconsole ttyS0\n"
        "job a 15\nenv K=v=w\narg /bin/x\narg two words\narg \nend\n"
        "job b 20\narg /bin/y\nend\nthen reboot\n"
    )
    assert len(jobs_plan(X86, jobs, 10.0, remain=True)) == len(jobs_plan(X86, jobs, 10.0))


def test_shell() -> None:
    assert shell_plan(get_arch("arm64")) == b"channel ttyS0\nconsole ttyAMA0\nshell\n"


@pytest.mark.parametrize(("native", "scale", "guest"), [(0.01, 1, 1), (1, 1, 1), (1.1, 3, 4)])
def test_timeouts_are_whole_seconds_and_never_none(native: float, scale: float, guest: int) -> None:
    assert guest_timeout(Job("a", ("x",), native), scale) == guest


@pytest.mark.parametrize(
    "jobs",
    [
        [Job("a", ("/bin/x", "two\nlines"), 1)],
        [Job("a\narg /bin/evil", ("/bin/x",), 1)],
        [Job("a", ("/bin/x",), 1, (("K", "v\0"),))],
        [Job("a", ("/bin/x",), 1, (("K=", "v"),))],
        [Job("a", (), 1)],
        [Job("", ("/bin/x",), 1)],
        [Job("a", ("/bin/x",), 1), Job("a", ("/bin/y",), 1)],
    ],
)
def test_what_the_format_cannot_hold(jobs: list[Job]) -> None:
    with pytest.raises(UserError):
        jobs_plan(X86, jobs, 1.0)


def test_a_line_break_in_a_word_arrives() -> None:
    """A shell puts the words together again, whatever else is in them."""
    words = ("two\nlines\n", "100% \\n $x 'q' \"p\" *", "", "-n", "\\\\\n")
    argv = one_line((sys.executable, "-c", "import sys; print(sys.argv[1:])", *words))
    assert not any("\n" in word for word in argv)
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert ast.literal_eval(said) == list(words)
    assert one_line(("a", "b")) == ("a", "b")
    job = Job("j", ("/bin/sh", "-c", "a\nb"), 1, direct=False)
    assert b"arg a\\nb\n" in jobs_plan(X86, [job], 1.0)
    with pytest.raises(UserError, match="line break"):
        jobs_plan(X86, [replace(job, direct=True)], 1.0)
