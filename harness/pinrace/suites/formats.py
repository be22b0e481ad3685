# SPDX-License-Identifier: GPL-2.0-or-later
"""How a test says its results, and the KTAP that it amounts to.

ktap  KTAP, and the exit status as kselftest's runner.sh reads it.
exit  the exit status alone: 0 pass, 4 skip, 2 an expected failure, everything else a failure.
ltp   lines with TPASS, TFAIL, TBROK, TWARN and TCONF, and the exit status as bits of those.
junit XML of JUnit's, and the exit status for a run without one.
regex patterns for results that pass, fail or are skipped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pinrace.guest.outcome import JobRun
from pinrace.values import Job

Name = Literal["ktap", "exit", "ltp", "junit", "regex"]
# Of tools/testing/selftests: kselftest.h, and timeout(1) as runner.sh calls it
KSFT_FAIL, KSFT_XFAIL, KSFT_SKIP, KSFT_TIMEOUT = 1, 2, 4, 124
# The exit status of an LTP test is the sum of these (include/tst_res_flags.h of LTP).
TFAIL, TBROK, TWARN, TCONF = 1, 2, 4, 32
_FIRST = re.compile(r"^(K?TAP version [0-9]+\s*$|1\.\.[0-9]+|(?:not )?ok [0-9]+)", re.MULTILINE)
_LTP = re.compile(
    r"^(?P<where>[^\s:]+(?::\d+)?):?\s+(?:\d+\s+)?(?P<kind>TPASS|TFAIL|TBROK|TWARN|TCONF)"
    r"\s*:\s*(?P<text>.*)$"
)
_TELLING = ("junit", "regex")  # formats in which a run without results is none
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_MAX_XML = 8 << 20  # bytes of a report that are read


@dataclass(frozen=True)
class Patterns:
    """Of the format regex: each matches a whole line; a group `name` is the case's."""

    ok: str = ""
    bad: str = ""
    skip: str = ""


@dataclass(frozen=True)
class Format:
    """How the output and the end of a test are read."""

    name: Name = "ktap"
    patterns: Patterns = Patterns()

    def nested(self, output: str) -> list[str]:
        """Return KTAP lines, one level deep, for what a test printed; never raises."""
        found = list(_READERS[self.name](output, self.patterns))
        if self.name == "ktap":
            return found
        rows = found
        if not rows and self.name in _TELLING:
            rows = [_row(False, "(results)", f"ERROR no result of the format {self.name}")]
        if not rows:
            return [f"# {line}" for line in output.removesuffix("\n").split("\n")] if output else []
        said = [f"# {line}" for line in output.removesuffix("\n").split("\n")]
        return [*said, "KTAP version 1", f"1..{len(rows)}", *_numbered(rows)]

    def result(self, number: int, job: Job, run: JobRun) -> str:
        """Return the line of a test as its end is read."""
        good, note = self.end(job, run)
        mark = f" # {note}" if note else ""
        return f"{'ok' if good else 'not ok'} {number} {plain(job.name)}{mark}"

    def end(self, job: Job, run: JobRun) -> tuple[bool, str]:
        """Return whether a test ended well, and a directive or a remark."""
        if run.error:
            return False, f"ERROR {run.error}"
        if run.timed_out:
            return False, f"TIMEOUT {job.timeout:.0f} seconds on a native machine"
        if run.signal is not None:
            return False, f"killed by signal {run.signal}"
        status = run.status or 0
        if self.name == "ltp":
            return _ltp_end(status)
        if status == KSFT_SKIP:
            return True, "SKIP"
        if status == KSFT_XFAIL and self.name in ("ktap", "exit"):
            return True, "XFAIL"
        return status == 0, "" if status == 0 else f"exit={status}"


def plain(text: str) -> str:
    """Return a text as the name in a result line: on one line, without a directive."""
    return re.sub(r"\s+", " ", text.replace("#", "_")).strip() or "(no name)"


def _numbered(rows: list[str]) -> list[str]:
    """Number results, and tell those apart that have one name."""
    seen: dict[str, int] = {}
    lines = []
    for number, row in enumerate(rows, 1):
        how, _, rest = row.partition("\t")
        name, _, note = rest.partition("\t")
        seen[name] = seen.get(name, 0) + 1
        again = f" ({seen[name]})" if seen[name] > 1 else ""
        lines.append(f"{how} {number} {name}{again}" + (f" # {note}" if note else ""))
    return lines


def _row(good: bool, name: str, note: str = "") -> str:
    return "\t".join(["ok" if good else "not ok", plain(name), re.sub(r"\s+", " ", note)])


def _ktap(output: str, _: Patterns) -> Iterator[str]:
    """The lines, after the version line that some tests forget."""
    lines = output.removesuffix("\n").split("\n") if output else []
    first = _FIRST.search(output)
    if first and "TAP version" not in first[1]:
        yield "KTAP version 1"
    yield from lines


def _exit(_: str, __: Patterns) -> Iterator[str]:
    yield from ()


def _ltp(output: str, _: Patterns) -> Iterator[str]:
    """A result for each line that has one."""
    for line in _COLOR.sub("", output).splitlines():
        if match := _LTP.match(line.strip()):
            kind, text = match["kind"], match["text"]
            where = match["where"].split(":")[0]
            if kind == "TCONF":
                yield _row(True, f"{where}: {text}", f"SKIP {text}")
            elif kind == "TBROK":
                yield _row(False, f"{where}: {text}", "ERROR TBROK")
            else:
                yield _row(kind in ("TPASS", "TWARN"), f"{where}: {text}", "")


def _ltp_end(status: int) -> tuple[bool, str]:
    """Read the bits of a status."""
    if status & TBROK:
        return False, "ERROR TBROK"
    if status & TFAIL:
        return False, "TFAIL"
    rest = status & ~(TWARN | TCONF)
    if rest:
        return False, f"exit={status}"
    if status & TCONF:
        return True, "SKIP TCONF"
    return True, "TWARN" if status & TWARN else ""


def _junit(output: str, _: Patterns) -> Iterator[str]:
    """A result for each testcase of the report that is somewhere in the output."""
    begin, end = output.find("<testsuite"), output.rfind("</testsuite")
    text = output[begin : output.find(">", end) + 1] if 0 <= begin < end else ""
    if not text or len(text) > _MAX_XML or "<!" in text.replace("<![CDATA[", ""):
        return
    try:
        root = ET.fromstring(text)  # noqa: S314 (without entities, and of a size)
    except ET.ParseError as error:
        yield _row(False, "(report)", f"ERROR is no XML: {error}")
        return
    for case in root.iter("testcase"):
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        kinds = {child.tag: child for child in case}
        why = next((kinds[k].get("message") or k for k in kinds if k in _BAD), "")
        if "skipped" in kinds:
            yield _row(True, name, f"SKIP {kinds['skipped'].get('message') or ''}")
        else:
            yield _row(not why, name, f"ERROR {why}" if "error" in kinds else "")


_BAD = ("failure", "error")


def _regex(output: str, patterns: Patterns) -> Iterator[str]:
    """A result for each line that one of the patterns matches, the first that does."""
    for line in output.splitlines():
        for pattern, good, note in (
            (patterns.bad, False, ""),
            (patterns.skip, True, "SKIP"),
            (patterns.ok, True, ""),
        ):
            match = re.search(pattern, line) if pattern else None
            if match:
                name = match.groupdict().get("name") or line
                yield _row(good, name, note)
                break


_READERS: dict[str, Callable[[str, Patterns], Iterator[str]]] = {
    "ktap": _ktap,
    "exit": _exit,
    "ltp": _ltp,
    "junit": _junit,
    "regex": _regex,
}
