# SPDX-License-Identifier: GPL-2.0-or-later
"""A race that a real kernel reported of its own scheduler is not blamed on a series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.arches import get_abi
from harness.cli.options import DEFAULT_SERIES
from harness.judge import blame, splats
from harness.judge.verdict import Ending, Evidence, judge
from harness.torture import judge as torture
from harness.torture.records import Told
from harness.trees.series import load_series
from harness.values import CaseResult, CaseStatus, Cell, Splat, Verdict

GOLDEN = Path(__file__).parent.parent / "golden"
CROSS = get_abi("x86_64").cross
CELL = Cell("x86_64", "i386", "kcsan", "pin_args")


@pytest.fixture
def race() -> Splat:
    (found,) = splats.find(splats.read(GOLDEN / "x86_64-kcsan.log"))
    return found


@pytest.fixture(scope="module")
def vmlinux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Functions of these names, in files where a kernel might have them."""
    folder = tmp_path_factory.mktemp("linux")
    bodies = {
        "kernel/time/hrtimer.c": "int __hrtimer_run_queues(void) { return 1; }\n"
        "int hrtimer_active(void) { return 2; }\n"
        "static int twice(void) { return 4; }\nint (*one)(void) = twice;\n",
        "kernel/seccomp.c": "int seccomp_notify_send(void) { return 3; }\n"
        "static int twice(void) { return 5; }\nint (*other)(void) = twice;\n"
        "int main(void) { return 0; }\n",
    }
    for name, body in bodies.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body)
    sources: list[str | Path] = [folder / name for name in bodies]
    out = folder / "vmlinux"
    blame.procs.run([f"{CROSS}gcc", "-g", "-O0", *sources, "-o", out], what="a test")
    return out


def test_files_of_a_series() -> None:
    changed = blame.touched(load_series(DEFAULT_SERIES))
    assert {"kernel/seccomp.c", "include/uapi/linux/seccomp.h"} <= changed
    assert "kernel/time/hrtimer.c" not in changed
    assert blame.touched(None) == frozenset()


@pytest.mark.parametrize(
    ("title", "elsewhere"),
    [
        ("BUG: KCSAN: data-race in __hrtimer_run_queues / hrtimer_active", True),
        ("BUG: KCSAN: data-race in hrtimer_active / hrtimer_active", True),
        ("BUG: KCSAN: data-race in hrtimer_active / seccomp_notify_send", False),
        ("BUG: KCSAN: data-race in hrtimer_active / twice", False),  # which of them?
        ("BUG: KCSAN: data-race in hrtimer_active / not_there", False),
        ("BUG: KCSAN: data-race in hrtimer_active+0x82/0xf0", False),  # and another, unseen
        ("BUG: KASAN: slab-use-after-free in hrtimer_active", False),
    ],
)
def test_whose_it_is(title: str, elsewhere: bool, race: Splat, vmlinux: Path) -> None:
    this = replace(race, title=title)
    changed = {"kernel/seccomp.c"}
    assert blame.is_elsewhere(this, changed, vmlinux, CROSS) == elsewhere
    assert not blame.is_elsewhere(this, set(), vmlinux, CROSS)
    assert not blame.is_elsewhere(this, changed, vmlinux, "no-such-")
    assert not blame.is_elsewhere(this, changed, vmlinux.parent / "none", CROSS)


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
