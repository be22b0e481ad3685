# SPDX-License-Identifier: GPL-2.0-or-later
"""The KTAP parser held against the kernel's own, `tools/testing/kunit/kunit.py parse`.

It is run from a kernel tree, $PINRACE_KUNIT_TREE or a checkout in the cache.  kunit.py folds XFAIL
into PASS and TIMEOUT into FAIL, and does not see results behind "# "; where else the two differ is
written down here, with the reason.
"""

from __future__ import annotations

import functools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinrace.paths import cache_dir
from pinrace.suites.ktap import parse

KUNIT = Path("tools/testing/kunit/kunit.py")
FOLDED = {"XFAIL": "PASS", "TIMEOUT": "FAIL"}
GOLDEN = Path(__file__).parent.parent / "golden"

Found = Counter[tuple[str, str]]


@functools.cache
def tree() -> Path:
    named = os.environ.get("PINRACE_KUNIT_TREE")
    candidates = [Path(named)] if named else sorted((cache_dir() / "build").glob("*/src"))
    for candidate in candidates:
        if (candidate / KUNIT).is_file():
            return candidate
    pytest.skip(f"no kernel tree with {KUNIT}: set PINRACE_KUNIT_TREE, or build a kernel once")


def by_kunit(path: Path, scratch: Path) -> Found:
    out = scratch / "kunit.json"
    argv = [sys.executable, "-B", str(KUNIT), "parse", f"--json={out}", str(path)]
    subprocess.run(argv, cwd=tree(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return Counter(_leaves(json.loads(out.read_text()), ()))


def _leaves(group: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for inner in group["sub_groups"]:
        yield from _leaves(inner, (*above, inner["name"]))
    for case in group["test_cases"]:
        yield "/".join((*above, case["name"])), case["status"]


def by_us(text: str) -> Found:
    cases = parse(text).flatten()
    return Counter((c.name, FOLDED.get(c.status.value, c.status.value)) for c in cases)


NOTHING: dict[tuple[str, str], int] = {("(results)", "ERROR"): 1}
NO_PLAN: dict[tuple[str, str], int] = {("(plan)", "ERROR"): 1}
_MULTI = "selftests: membarrier: membarrier_test_multi_thread"
_SINGLE = "selftests: membarrier: membarrier_test_single_thread"
_INVALID = (
    "sys membarrier invalid command test: command = -1, flags = 0, errno = 22. Failed as expected"
)
_AVAILABLE = "sys_membarrier available"

# File: (what only kunit.py finds, what only this parser finds)
DIFFERENCES: dict[str, tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]] = {
    # kunit.py reports these as a failed run, outside of its cases
    "test_insufficient_memory.log": ({}, NOTHING),
    "test_is_test_passed-no_tests_run_no_header.log": ({}, NOTHING),
    "test_is_test_passed-no_tests_run_with_header.log": ({}, NOTHING),
    # a plan may be absent for kunit.py; here its absence at the top might hide lost results
    "test_is_test_passed-missing_plan.log": ({}, NO_PLAN),
    "test_output_isolated_correctly.log": ({}, NO_PLAN),
    "test_output_with_prefix_isolated_correctly.log": ({}, NO_PLAN),
    # results two levels below their plan: KTAP has them one level below, and only there
    "test_is_test_passed-failure-nested.log": (
        {("subtest 1/test 1", "PASS"): 1, ("subtest 2/subsubtest 1", "FAIL"): 1},
        {("subtest 1/#1", "ERROR"): 1, ("subtest 2/#1", "ERROR"): 1},
    ),
    # a group without results: both refuse it, in different words
    "test_is_test_passed-no_tests_no_plan.log": (
        {("suite/case", "FAIL"): 1},
        {("suite/case/(results)", "ERROR"): 1},
    ),
    # the rest of the run is missing: kunit.py counts the crash, this parser names what is missing
    "test_kernel_panic_interrupt.log": (
        {("string-stream-test/", "ERROR"): 2},
        {
            ("string-stream-test/#2", "ERROR"): 1,
            ("string-stream-test/#3", "ERROR"): 1,
            ("string-stream-test", "ERROR"): 1,
            ("#3", "ERROR"): 1,
        },
    ),
    # kselftest's inner results, and a name that stands behind SKIP
    "test_is_test_passed-kselftest.log": (
        {("", "SKIP"): 1, (_MULTI, "PASS"): 1, (_SINGLE, "PASS"): 1},
        {
            (_MULTI, "SKIP"): 1,
            **{(f"{t}/{c}", "PASS"): 1 for t in (_MULTI, _SINGLE) for c in (_AVAILABLE, _INVALID)},
        },
    ),
}


def test_on_kunit_s_own_samples(tmp_path: Path) -> None:
    samples = sorted((tree() / "tools/testing/kunit/test_data").glob("*.log"))
    assert samples
    same = 0
    for sample in samples:
        text = sample.read_text()
        # the samples lack the last newline, which here means that the output was cut
        theirs, ours = by_kunit(sample, tmp_path), by_us(text.rstrip("\n") + "\n")
        only = DIFFERENCES.get(sample.name, ({}, {}))
        assert (dict(theirs - ours), dict(ours - theirs)) == only, sample.name
        same += only == ({}, {})
    assert same > len(samples) // 3


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.ktap")), ids=lambda p: p.name)
def test_on_what_guests_printed(path: Path, tmp_path: Path) -> None:
    assert by_kunit(path, tmp_path) == by_us(path.read_text(errors="replace"))


def _document(rng: random.Random, depth: int = 0) -> list[str]:
    """Return KTAP as ktap.rst has it, with remarks and other people's lines in between."""
    count = rng.randint(1, 6)
    lines = ["KTAP version 1", f"1..{count}"]
    for number in range(1, count + 1):
        good = rng.random() < 0.7
        if depth < 3 and rng.random() < 0.3:
            lines += ["  " + line for line in _document(rng, depth + 1)]
        elif rng.random() < 0.3:
            lines.append(rng.choice(["# a remark", "[    7.250000] clocksource: tsc", "okay 1 x"]))
        note = "" if not good else rng.choice(["", "", " # SKIP not here", " # XFAIL known"])
        lines.append(f"{'ok' if good else 'not ok'} {number} case{number}{note}")
    return lines


@pytest.mark.parametrize("seed", range(4))
def test_on_documents_made_up(seed: int, tmp_path: Path) -> None:
    text = "\n".join([*_document(random.Random(seed)), ""])  # noqa: S311 (no secret)
    path = tmp_path / "made-up.ktap"
    path.write_text(text)
    theirs = by_kunit(path, tmp_path)
    # a parent that failed although all its children are good is a case of its own here
    ours = Counter({key: n for key, n in by_us(text).items() if key not in _lone_parents(text)})
    assert theirs == ours


def _lone_parents(text: str) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()

    def walk(results: Any, above: str) -> None:
        for result in results:
            path = f"{above}/{result.name}".removeprefix("/")
            if result.children:
                found.add((path, result.status.value))
                walk(result.children, path)

    walk(parse(text).results, "")
    return found
