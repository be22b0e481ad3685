# SPDX-License-Identifier: GPL-2.0-or-later
"""What pinrace says of faults that LKDTM provoked: consoles of linux 7.3.4 on x86_64.

tests/lkdtm made them; its README has the table of all crash types.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.judge import splats

LOGS = Path(__file__).parent.parent / "golden/lkdtm"
WANTED = {
    "array-bounds": [("ubsan", "lkdtm_ARRAY_BOUNDS")],
    "corrupt-list-add": [("list", "lkdtm_CORRUPT_LIST_ADD")],
    "exhaust-stack": [("oops", "recursive_loop")],
    "kfence-read-after-free": [("kfence", "lkdtm_KFENCE_READ_AFTER_FREE")],
    "refcount-inc-zero": [("refcount", "lkdtm_REFCOUNT_INC_ZERO")],
    "softlockup": [("rcu-stall", "lkdtm_SOFTLOCKUP"), ("soft-lockup", "lkdtm_SOFTLOCKUP")],
    # Two CPUs at once, whose lines interleave.
    "two-at-once": [("warn", "lkdtm_WARNING_MESSAGE"), ("list", "lkdtm_CORRUPT_LIST_ADD")],
    # In memcpy_orig() and memset_orig(): the trace marks their callers as guesses.
    "write-kern": [("oops", "lkdtm_WRITE_KERN")],
    "vmalloc-linear-overflow": [("oops", "lkdtm_VMALLOC_LINEAR_OVERFLOW")],
    "usercopy-kernel": [("usercopy", "lkdtm_USERCOPY_KERNEL")],
}


def test_each_log_is_asked_for() -> None:
    assert {path.stem for path in LOGS.glob("*.log")} == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    rules = splats.load_rules()
    found = splats.find(splats.read(LOGS / f"{name}.log"))
    said = [
        (one.rule, one.fingerprint.rpartition(": ")[2].split(" < ")[0])
        for one in found
        if rules.counts(one)
    ]
    assert said == WANTED[name]
