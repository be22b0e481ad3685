# SPDX-License-Identifier: GPL-2.0-or-later
"""A race that a real kernel reported of its own scheduler is not blamed on a series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.cli.options import DEFAULT_SERIES
from pinrace.judge import blame, splats
from pinrace.judge.verdict import Ending, Evidence, judge
from pinrace.races.trials import judge as torture
from pinrace.races.trials.records import Told
from pinrace.series.files import touched
from pinrace.series.load import load_series
from pinrace.values import CaseResult, CaseStatus, Cell, Splat, Verdict

GOLDEN = Path(__file__).parent.parent / "golden"
CELL = Cell("x86_64", "i386", "kcsan", "pin_args")


@pytest.fixture
def race() -> Splat:
    (found,) = splats.find(splats.read(GOLDEN / "x86_64-kcsan.log"))
    return found


def test_files_of_a_series() -> None:
    changed = touched(load_series(DEFAULT_SERIES))
    assert {"kernel/seccomp.c", "include/uapi/linux/seccomp.h"} <= changed
    assert "kernel/time/hrtimer.c" not in changed
    assert touched(None) == frozenset()


# As the tree's script writes it; its unresolved frames are those of the golden log.
CLEAR = """\
 hrtimer_active (kernel/time/hrtimer.c:2006 (discriminator 1))
 enqueue_task_fair (kernel/sched/sched.h:3188 kernel/sched/fair.c:8062)
 ia32_sys_call (/pinrace/x86_64-kcsan/./arch/x86/include/generated/asm/syscalls_32.h:121)
"""


@pytest.mark.parametrize(
    ("more", "elsewhere"),
    [
        ("", True),
        (" do_seccomp (kernel/seccomp.c:12)", False),
        (" syscall_trace_enter (include/linux/seccomp.h:3 kernel/entry/common.c:4)", False),
        (" do_it (/pinrace/x86_64-kcsan/../src/kernel/seccomp.c:12)", False),
        (" other (kernel/notseccomp.c:12 tools/kernel/seccomp.c.h:9)", True),
        (" lost+0x82/0xf0", False),
    ],
)
def test_whose_it_is(more: str, elsewhere: bool, race: Splat) -> None:
    changed = {"kernel/seccomp.c", "include/linux/seccomp.h"}
    assert blame.is_elsewhere(race, CLEAR + more, changed) == elsewhere
    assert not blame.is_elsewhere(race, CLEAR + more, set())


@pytest.mark.parametrize(
    "title",
    ["BUG: KCSAN: data-race in hrtimer_active+0x82/0xf0", "BUG: KASAN: use-after-free in a / b"],
)
def test_what_has_not_two_places_counts(title: str, race: Splat) -> None:
    assert not blame.is_elsewhere(replace(race, title=title), CLEAR, {"kernel/seccomp.c"})


def test_what_could_not_be_symbolized_counts(race: Splat) -> None:
    assert not blame.is_elsewhere(race, race.text, {"kernel/seccomp.c"})


@pytest.mark.parametrize("elsewhere", [True, False])
def test_it_is_said_and_fails_no_cell(race: Splat, elsewhere: bool) -> None:
    cases = [CaseResult("good", CaseStatus.PASS)]
    this = replace(race, elsewhere=elsewhere)
    done = Evidence(Ending.DONE, job_status=0)
    result = judge(CELL, done, cases, [this])
    assert result.verdict is (Verdict.PASS if elsewhere else Verdict.FAIL)
    note = f"of code that the series does not touch: {race.title}"
    assert (note in result.notes) == elsewhere
    assert (race.fingerprint in result.known) == elsewhere
    _, why = torture.judge(Told(), done, [this])
    assert (race.title in why) != elsewhere
