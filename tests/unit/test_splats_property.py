# SPDX-License-Identifier: GPL-2.0-or-later
"""A fingerprint survives whatever differs between two runs, on every log that is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from splat_logs import log, oops, warn
from test_splats_kinds import ONE

from pinrace.judge.splats import find, load_rules, read
from pinrace.values import Splat

GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*.log"))


def shortened(path: Path) -> str:
    """A log without most of its boot, in which nothing is found."""
    lines = read(path).replace("\r", "").split("\n")
    first = min((s.line for s in find("\n".join(lines))), default=len(lines))
    return "\n".join([*lines[:3], *lines[max(3, first - 9) :]])


LOGS = {
    **{path.stem: shortened(path) for path in GOLDEN if "clean" not in path.stem},
    **{f"made up: {name}": log(parts) for name, (parts, _, _) in ONE.items()},
}
RELAXED = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EVERY_LOG = pytest.mark.parametrize("text", LOGS.values(), ids=LOGS)

STAMP = re.compile(r"^\[ *(\d+\.\d{6})\]", re.MULTILINE)
ADDRESS = re.compile(r"\b(?:ffff[0-9a-f]{4,12}|dfff[0-9a-f]{12}|0000[0-9a-f]{12})\b|0x[0-9a-f]{9,}")
OFFSET = re.compile(r"\+0x([0-9a-f]+)/0x([0-9a-f]+)")
PID = re.compile(r"\b(PID: |pid:|pid |T|task \w+/|\w+/(?=\d+\b))(\d+)\b")
CPU = re.compile(r"\b(CPU: |CPU#0?|CPUs |cpu |CPU |->cpu=)([01])\b|(?<=\t)([01])(?=-\.)")
COUNT = re.compile(r"\b(for more than |stuck for |t=|g=|q=|index=|age=|jiffies )(\d+)")


def prints(found: tuple[Splat, ...]) -> list[str]:
    """What counts of a log, by its fingerprints."""
    return [s.fingerprint for s in found if load_rules().counts(s)]


def moved(text: str, data: st.DataObject) -> str:
    """Another run of the same: other times, addresses, pids, CPUs and numbers."""
    plus = data.draw(st.integers(0, 10**6), label="seconds later")
    digits = data.draw(st.text("0123456789abcdef", min_size=8, max_size=8), label="digits")
    pid = data.draw(st.integers(1, 30_000), label="pids")
    swap = data.draw(st.booleans(), label="CPUs swapped")
    size = data.draw(st.integers(1, 0xFFF), label="offsets")

    def another(m: re.Match[str]) -> str:
        return m[0][:-8] + digits if len(m[0]) > 12 else m[0]

    def number(m: re.Match[str]) -> str:
        return f"{m[1]}{(int(m[2]) + pid) % 32768 or 1}"

    def cpu(m: re.Match[str]) -> str:
        head, digit = m[1] or "", m[2] or m[3]
        return f"{head}{1 - int(digit) if swap else digit}"

    def offset(m: re.Match[str]) -> str:
        # Nothing is at the very end of a function, or at its very begin, that was not there.
        into = int(m[1], 16)
        return f"+{into + size if into else 0:#x}/{int(m[2], 16) + 2 * size:#x}"

    text = STAMP.sub(lambda m: f"[{float(m[1]) + plus:12.6f}]", text)
    text = ADDRESS.sub(another, text)
    text = COUNT.sub(lambda m: f"{m[1]}{int(m[2]) + pid}", text)
    text = PID.sub(number, text)
    return OFFSET.sub(offset, CPU.sub(cpu, text))


@EVERY_LOG
@RELAXED
@given(data=st.data())
def test_another_run_of_the_same(text: str, data: st.DataObject) -> None:
    assert prints(find(moved(text, data))) == prints(find(text))


@EVERY_LOG
def test_line_ends_and_callers(text: str) -> None:
    want = prints(find(text))
    assert prints(find(text.replace("\n", "\r\n"))) == want
    assert prints(find(text.replace("\n", "\r\r\n"))) == want
    for caller in ("  T217", "    C1"):
        if "][" not in text:
            assert prints(find(STAMP.sub(lambda m, c=caller: f"{m[0]}[{c}]", text))) == want


@EVERY_LOG
def test_what_comes_after(text: str) -> None:
    """A log that is cut behind a report says of it what the whole one says."""
    lines = text.split("\n")
    whole = [s for s in find(text) if load_rules().counts(s)]
    for splat in whole:
        last = splat.text.split("\n")[-1]
        end = next(i for i in range(splat.line - 1, len(lines)) if last in lines[i])
        cut = find("\n".join(lines[: end + 1]))
        assert splat.fingerprint in prints(cut), splat.title
    more = [f"[{10**6 + i}.000000] qed: line {i} behind it all" for i in range(5)]
    assert prints(find("\n".join([*lines, *more]))) == [s.fingerprint for s in whole]


@EVERY_LOG
@RELAXED
@given(data=st.data())
def test_two_callers_at_once(text: str, data: st.DataObject) -> None:
    """Another caller's report, whose lines come anywhere between, changes neither."""
    if "][" in text:
        return
    strange = data.draw(st.sampled_from([warn("blue_open", "blue_dev"), oops("blue_walk")]))
    mine = STAMP.sub(lambda m: f"{m[0]}[  T41]", text).rstrip("\n").split("\n")
    begin = data.draw(st.integers(len(mine) // 2, len(mine)), label="from")
    gaps = data.draw(st.lists(st.integers(0, 3), min_size=len(strange), max_size=len(strange)))
    both, rest = mine[:begin], mine[begin:]
    # printk gives a line its time when it is printed, however long the console takes.
    start = next((float(m[1]) for x in reversed(both) if (m := STAMP.match(x))), 9.0)
    for i, (line, gap) in enumerate(zip(strange, gaps, strict=True)):
        both += rest[:gap]
        rest = rest[gap:]
        both.append(f"[{start + i / 1000:12.6f}][  T42] {line}")
    alone = prints(find(log(strange)))
    assert sorted(prints(find("\n".join([*both, *rest])))) == sorted(prints(find(text)) + alone)
