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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pinrace.paths import cache_dir
from pinrace.suites.ktap import Result, parse

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
        {
            ("subtest 1/#1", "ERROR"): 1,
            ("subtest 1/(group)", "ERROR"): 1,
            ("subtest 1/(group)/test 1", "PASS"): 1,
            ("subtest 2/#1", "ERROR"): 1,
            ("subtest 2/(group)", "ERROR"): 1,
            ("subtest 2/(group)/subsubtest 1", "FAIL"): 1,
        },
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


# Runs the tree's parser over files, without its command line; one JSON document a line.
_DRIVER = """
import io, json, sys
real, sys.stdout = sys.stdout, io.StringIO()
sys.path.insert(0, "tools/testing/kunit")
import kunit_parser
from kunit_printer import Printer
def walk(test):
    groups = [one for one in test.subtests if one.subtests]
    cases = [one for one in test.subtests if not one.subtests]
    statuses = {"SUCCESS": "PASS", "SKIPPED": "SKIP", "TEST_CRASHED": "ERROR"}
    return {
        "name": test.name,
        "sub_groups": [walk(one) for one in groups],
        "test_cases": [
            {"name": one.name, "status": statuses.get(one.status.name, "FAIL")} for one in cases
        ],
    }
for name in sys.argv[1:]:
    with open(name) as lines:
        found = kunit_parser.parse_run_tests(lines, Printer())
    print(json.dumps(walk(found)), file=real)
"""


def by_kunit_all(texts: list[str], scratch: Path) -> list[Found]:
    """Return what kunit.py makes of each text, by one process."""
    names = []
    for number, text in enumerate(texts):
        (scratch / f"{number}.ktap").write_text(text)
        names.append(str(scratch / f"{number}.ktap"))
    argv = [sys.executable, "-B", "-c", _DRIVER, *names]
    done = subprocess.run(argv, cwd=tree(), capture_output=True, text=True, check=True)
    return [Counter(_leaves(json.loads(line), ())) for line in done.stdout.splitlines()]


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


def _as_kunit_has_it(results: Iterable[Result], above: str = "") -> Iterator[tuple[str, str]]:
    """Return the cases by kunit.py's rules, where those are other ones on purpose:

    it has no XFAIL and no TIMEOUT; a group that is skipped or expected to fail excuses nothing in
    it; and a group that fails without a bad case in it is no case of its own.
    """
    for result in results:
        path = f"{above}/{result.name}".removeprefix("/")
        if result.children:
            yield from _as_kunit_has_it(result.children, path)
        else:
            yield path, FOLDED.get(result.status.value, result.status.value)


DOCUMENTS = 150


def test_on_documents_made_up(tmp_path: Path) -> None:
    rngs = (random.Random(seed) for seed in range(DOCUMENTS))  # noqa: S311 (no secret)
    texts = ["\n".join([*_document(rng), ""]) for rng in rngs]
    for text, theirs in zip(texts, by_kunit_all(texts, tmp_path), strict=True):
        assert Counter(_as_kunit_has_it(parse(text).results)) == theirs, text


def _lose_result(lines: list[str], rng: random.Random) -> list[str]:
    at = rng.choice([i for i, line in enumerate(lines) if "ok " in line and "okay" not in line])
    return lines[:at] + lines[at + 1 :]


def _lose_end(lines: list[str], rng: random.Random) -> list[str]:
    return lines[: rng.randint(2, len(lines) - 1)]


def _lose_plan(lines: list[str], rng: random.Random) -> list[str]:
    at = rng.choice([i for i, line in enumerate(lines) if "1.." in line])
    return lines[:at] + lines[at + 1 :]


def _lose_version(lines: list[str], rng: random.Random) -> list[str]:
    at = rng.choice([i for i, line in enumerate(lines) if "KTAP" in line][1:] or [0])
    return lines[:at] + lines[at + 1 :]


def _quote(lines: list[str], rng: random.Random) -> list[str]:
    quoted = rng.choice(["# not ok 2 would be", "# ok 1 is hoped for", "# 1..7", "# Bail out! no"])
    at = rng.randint(1, len(lines) - 1)
    return [*lines[:at], quoted, *lines[at:]]


def _alike(lines: list[str], rng: random.Random) -> list[str]:
    """Put words that only look like directives behind a failure."""
    bad = [i for i, line in enumerate(lines) if "not ok" in line]
    note = rng.choice([" # skipped 3 of 4", " # todos: 4", " # SKIPS=1", " # xfailed once"])
    return [f"{x}{note}" if i in bad else x for i, x in enumerate(lines)]


def _twice(lines: list[str], rng: random.Random) -> list[str]:
    at = rng.choice([i for i, line in enumerate(lines) if "ok " in line and "okay" not in line])
    return [*lines[: at + 1], *lines[at:]]


# What is done to a document; kunit.py and this parser may differ on these, and only so:
#   kunit.py does not know where a group without a plan ends, unless a Subtest line names it; here
#   its indentation tells.
#   kunit.py takes a result at any indentation for one of the innermost group; here a remark that
#   quotes one is none.
#   Here a gap in the numbers, a number that comes twice and an output without a plan are faults.
CHANGES: dict[str, Callable[[list[str], random.Random], list[str]]] = {
    "a result is lost": _lose_result,
    "the end is lost": _lose_end,
    "a plan is lost": _lose_plan,
    "a version line is lost": _lose_version,
    "a remark quotes": _quote,
    "a note begins like a directive": _alike,
    "a result comes twice": _twice,
}


def _cases(text: str) -> list[tuple[str, str]]:
    return [(case.name, case.status.value) for case in parse(text).flatten()]


def _is_bad(text: str) -> bool:
    """Whether anything in a document counts against its kernel, or leaves it open."""
    found = {status for _, status in _as_kunit_has_it(parse(text).results)}
    faults = any(case.status.bad for case in parse(text).flatten())
    return faults or bool(found & {"FAIL", "ERROR"})


@pytest.mark.parametrize("name", CHANGES)
def test_on_documents_that_are_damaged(name: str, tmp_path: Path) -> None:
    """What kunit.py finds bad is bad here, unless what is read is what the whole one says."""
    whole, texts = [], []
    for seed in range(DOCUMENTS):
        rng = random.Random(seed)  # noqa: S311 (no secret)
        lines = _document(rng)
        whole.append("\n".join([*lines, ""]))
        texts.append("\n".join([*CHANGES[name](lines, rng), ""]))
    for before, text, theirs in zip(whole, texts, by_kunit_all(texts, tmp_path), strict=True):
        bad = any(status in ("FAIL", "ERROR") for _, status in theirs)
        assert not bad or _is_bad(text) or _cases(text) == _cases(before), text
