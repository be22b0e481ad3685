# SPDX-License-Identifier: GPL-2.0-or-later
"""Records come together as jobs; what does not fit is said, and no job is forgotten."""

from __future__ import annotations

import pytest

from pinrace.guest.channel import Record
from pinrace.guest.outcome import JobRun, gather
from pinrace.values import Job

JOBS = [Job("a", ("/a",), 1), Job("b", ("/b",), 1)]


def records(*parts: tuple[str, str]) -> list[Record]:
    return [Record(kind, seq, text.encode()) for seq, (kind, text) in enumerate(parts)]


def start(job: str) -> tuple[str, str]:
    return (
        "start",
        f"job={job}\nelf_machine=40\nelf_class=32\nargv0=/{job}\nuptime_ns=1000000000\n",
    )


def leave(job: str, how: str, timeout: int = 0) -> tuple[str, str]:
    return ("exit", f"job={job}\n{how}\ntimeout={timeout}\nunkillable=0\nuptime_ns=3500000000\n")


def run(*parts: tuple[str, str]) -> tuple[tuple[JobRun, ...], list[str]]:
    return gather(JOBS, records(*parts), "a panic")


def test_whole() -> None:
    (a, b), wrong = run(
        ("hello", "release=7\n"),
        start("a"),
        ("out", "1\n"),
        ("rec", "x=1\ny="),
        ("out", "2"),
        ("rec", "2\n"),
        leave("a", "status=7"),
        start("b"),
        leave("b", "signal=9", timeout=1),
        ("done", "jobs=2\n"),
    )
    assert not wrong
    assert (a.status, a.signal, a.error, a.timed_out) == (7, None, "", False)
    assert (a.output, a.recs) == (b"1\n2", ("x=1", "y=2"))
    assert (a.elf_machine, a.elf_class, a.seconds) == (40, 32, 2.5)
    assert (b.status, b.signal, b.timed_out, b.recs) == (None, 9, True, ())


def test_cut_off_and_not_run() -> None:
    (a, b), wrong = run(start("a"), ("out", "half"))
    assert not wrong
    assert a.started
    assert (a.status, a.signal, a.error, a.output) == (None, None, "cut off: a panic", b"half")
    assert not b.started
    assert b.error == "not run: a panic"


def test_exec_failed() -> None:
    (a, _), _ = run(start("a"), leave("a", "error=cannot run /a: No such file or directory"))
    assert a.status is None
    assert a.error == "cannot run /a: No such file or directory"


@pytest.mark.parametrize(
    "parts",
    [
        [start("a"), start("b")],
        [start("a"), leave("a", "status=0"), start("a")],
        [("out", "of nobody")],
        [leave("a", "status=0")],
        [start("a"), leave("b", "status=0")],
        [start("a"), leave("a", "status=zero")],
        [start("a"), leave("a", "")],
        [("start", "job=a\n"), leave("a", "status=0")],
        [start("c"), leave("c", "status=0")],
        [("done", "jobs=1\n")],
    ],
)
def test_what_does_not_fit_is_said(parts: list[tuple[str, str]]) -> None:
    runs, wrong = run(*parts)
    assert wrong
    assert [job.name for job in runs] == ["a", "b"]


@pytest.mark.parametrize(
    "end",
    [
        "status=0\nsignal=9",
        "status=0\nerror=gone",
        "status=0\nstatus=1",
        f"status={'9' * 400}",
        "status=256",
        "status=-1",
        "status=1_0",
        "status=\u0661",
        "signal=0x9",
        "signal=999",
    ],
)
def test_an_odd_end_is_damage(end: str) -> None:
    (a, _), wrong = run(start("a"), leave("a", end))
    assert wrong
    assert (a.status, a.signal) == (None, None) or "more than once" in wrong[0]


@pytest.mark.parametrize(
    "field", ["uptime_ns=" + "9" * 400, "uptime_ns=1", "elf_machine=x", "elf_class=4000"]
)
def test_odd_numbers_are_damage(field: str) -> None:
    name = field.partition("=")[0]
    kind, text = leave("a", "status=0") if field == "uptime_ns=1" else start("a")
    lines = [line for line in text.strip().split("\n") if not line.startswith(name)]
    odd = (kind, "\n".join([*lines, field, ""]))
    parts = [start("a"), odd] if kind == "exit" else [odd, leave("a", "status=0")]
    assert run(*parts)[1]
