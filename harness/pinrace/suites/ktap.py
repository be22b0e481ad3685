# SPDX-License-Identifier: GPL-2.0-or-later
"""Read KTAP and TAP 13/14, as kernel tests print them.

The grammar is Documentation/dev-tools/ktap.rst; on top of it come what
tools/testing/selftests/kselftest.h, kselftest_harness.h and kselftest/runner.sh print.  Whatever
the text, `parse` returns, and what is missing from it or wrong with it shows up as an ERROR.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from pinrace.values import CaseResult, CaseStatus

MAX_DEPTH = 16  # levels; a guest that prints more of them is not believed
MAX_MISSING = 4096  # missing results that are listed one by one

# "[   12.345678] ", with the caller of CONFIG_PRINTK_CALLER and the level of a raw /dev/kmsg
_PRINTK = re.compile(r"(?:<[0-9]+>)?\[ *[0-9]+\.[0-9]+\](?:\[ *[TC][0-9]+\])? ?")
# runner.sh indents by "# ", everybody else by spaces, old KUnit by tabs
_LEVEL = r"(?P<indent>(?:# |[ \t])*)"
_VERSION = re.compile(_LEVEL + r"K?TAP version [0-9]+ *")
_SUBTEST = re.compile(_LEVEL + r"# Subtest: (?P<name>.*)")
_PLAN = re.compile(_LEVEL + r"1\.\.(?P<count>[0-9]{1,9})(?: *#(?P<note>.*))?")
_RESULT = re.compile(_LEVEL + r"(?P<how>ok|not ok) (?P<number>[0-9]{1,9})(?: +(?P<rest>.*))?")
_BAIL = re.compile(_LEVEL + r"Bail out!(?P<why>.*)")
_DIRECTIVES = "SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR"
_NOTE = re.compile(rf"(?P<name>.*?)(?:^|\s)#(?:\s+|(?=(?:{_DIRECTIVES})\b))(?P<note>.*)", re.I)
_DIRECTIVE = re.compile(rf"(?P<word>{_DIRECTIVES})\w*\b:?\s*(?P<reason>.*)", re.I)
# What kselftest_harness.h prints around each case, of which the result line says as much
_CEREMONY = re.compile(r"(?:# )*# *(?:(?:RUN|OK|FAIL) +\S.*|\S+: Test (?:failed|passed))")
_TIMED_OUT = re.compile(r"(?:# )*# (?P<name>\S+): Test terminated by timeout")


@dataclass(frozen=True)
class Result:
    """One result line with the results nested in it, or a fault of the output (number None)."""

    number: int | None
    name: str
    status: CaseStatus
    reason: str = ""
    lines: tuple[str, ...] = ()
    children: tuple[Result, ...] = ()

    def flatten(self, above: str = "") -> tuple[CaseResult, ...]:
        """Return its leaves; itself too when no leaf says why it is bad."""
        path = f"{above}/{self.name}" if above else self.name
        leaves = tuple(leaf for child in self.children for leaf in child.flatten(path))
        explained = self.status is CaseStatus.FAIL and any(leaf.status.bad for leaf in leaves)
        if leaves and (explained or not self.status.bad):
            return leaves
        return (*leaves, CaseResult(path, self.status, self.reason, self.lines))


@dataclass(frozen=True)
class Ktap:
    """The output of one program; `lines` are those that precede no result."""

    results: tuple[Result, ...]
    lines: tuple[str, ...] = ()

    def flatten(self) -> tuple[CaseResult, ...]:
        """Return the cases, named by their path; never empty."""
        return tuple(case for result in self.results for case in result.flatten())


def parse(text: str) -> Ktap:
    """Parse the whole output of a program; never raises.

    Every number of a plan is accounted for, missing ones as ERROR (above MAX_MISSING in one
    summary).  At the top a plan and a version line are due; a nested level without a plan is
    closed by its parent's result line.  Lines that are not KTAP belong to the result they precede.
    """
    lines = text.split("\n")
    cut = lines.pop()  # what follows the last newline: nothing, unless the output was cut
    reader = _Reader()
    for line in lines:
        reader.feed(line.rstrip("\r"))
    if cut:
        reader.feed(cut, whole=False)
    return reader.finish()


def says_nothing(line: str) -> bool:
    """Whether a line of diagnostics says no more than the result that it belongs to."""
    return not line.strip("# \t") or _CEREMONY.fullmatch(line) is not None


def fault(name: str, reason: str, lines: tuple[str, ...] = ()) -> Result:
    """Return the ERROR that stands for something wrong with the output itself."""
    return Result(None, f"({name})", CaseStatus.ERROR, reason, lines)


@dataclass
class _Level:
    """A level of nesting that is still open."""

    width: int  # columns of indentation
    version: bool = True  # has a version or Subtest line
    plan: int | None = None
    skipped: str | None = None  # the reason of "1..0 # SKIP reason"
    name: str = ""  # from "# Subtest:"
    results: list[Result] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    last: int = 0  # number of the latest result
    head: list[str] = field(default_factory=list)  # lines before it: its parent's

    def close(self, *, top: bool) -> list[Result]:
        """Return its results and what is wrong with it."""
        results = self.results
        if not self.version:
            results.append(fault("version", "results without a version line before them"))
        if self.plan is None and top:
            results.append(fault("plan", "no plan line: nobody knows how many results are due"))
        elif self.plan is not None:
            results += self._missing(self.plan)
        if not results and self.skipped is not None:
            results.append(Result(None, "(all)", CaseStatus.SKIP, self.skipped))
        elif not results and top:
            results.append(fault("results", "a plan of no results, and no reason for it"))
        return results

    def _missing(self, plan: int) -> list[Result]:
        """Return an ERROR for each planned number that was not seen."""
        due = plan - sum(1 for number in self.seen if number <= plan)
        if due > MAX_MISSING:
            return [fault("missing", f"{due} of {plan} planned results were not seen")]
        why = "planned, and not seen"
        numbers = (n for n in range(1, plan + 1) if n not in self.seen) if due else iter(())
        return [Result(n, f"#{n}", CaseStatus.ERROR, why) for n in numbers]


class _Reader:
    """Takes lines, and builds the tree."""

    def __init__(self) -> None:
        self.open: list[_Level] = []
        self.done: list[Result] = []
        self.pending: list[str] = []  # lines since the latest result

    def feed(self, line: str, *, whole: bool = True) -> None:
        """Take one line; `whole` is False for one that no newline ended."""
        text = line[m.end() :] if (m := _PRINTK.match(line)) else line
        if m := _VERSION.fullmatch(text):
            taken = self._version(_width(m))
        elif m := _SUBTEST.fullmatch(text):
            taken = self._subtest(_width(m), m["name"].strip())
        elif m := _PLAN.fullmatch(text):
            taken = self._plan(_width(m), int(m["count"]), m["note"])
        elif m := _RESULT.fullmatch(text):
            taken = self._result(m, whole)
        elif m := _BAIL.fullmatch(text):
            taken = self._bail(_width(m), m["why"].strip())
        else:
            taken = False
        if not taken:
            self.pending.append(line)

    def finish(self) -> Ktap:
        """Close every level."""
        self._close_above(-1)
        if not self.done:
            self.done.append(fault("results", "no test results at all", tuple(self.pending[-20:])))
        return Ktap(tuple(self.done), tuple(self.pending))

    def _close_above(self, width: int) -> None:
        """Close levels deeper than that column; nobody printed a result for them."""
        while self.open and self.open[-1].width > width:
            level = self.open.pop()
            results = tuple(level.close(top=not self.open))
            if not self.open:
                self.done += results
                continue
            why = "the result of this group of tests was not seen"
            name = level.name or "(group)"
            orphan = Result(None, name, CaseStatus.ERROR, why, tuple(level.head), results)
            self.open[-1].results.append(orphan)

    def _push(self, width: int, *, version: bool) -> bool:
        """Open a level there, once all that are not around it are closed."""
        self._close_above(width - 1)
        if len(self.open) >= MAX_DEPTH:
            return False
        level = _Level(width, version)
        if self.open:
            level.head, self.pending = self.pending, []
        self.open.append(level)
        return True

    def _at(self, width: int) -> _Level | None:
        """Return the open level of that column, opening the first one if need be."""
        if not self.open and width == 0:
            self._push(0, version=False)
        return next((level for level in self.open if level.width == width), None)

    def _version(self, width: int) -> bool:
        top = self.open[-1] if self.open else None
        if top and top.width == width and top.plan is None and not top.results:
            top.version = True  # said twice
            return True
        return self._push(width, version=True)

    def _subtest(self, width: int, name: str) -> bool:
        if not self.open or width < self.open[-1].width:
            return False
        if width > self.open[-1].width and not self._push(width, version=True):
            return False
        top = self.open[-1]
        if top.results or len(self.open) == 1:
            return False  # TAP 14 prints it at the parent's column, where it is a remark
        top.name = name
        return True

    def _plan(self, width: int, count: int, note: str | None) -> bool:
        level = self._at(width)
        if not level:
            return False
        self._close_above(width)
        if level.plan is not None and level.plan != count:
            level.results.append(fault("plan", f"planned 1..{level.plan}, then 1..{count}"))
        level.plan = max(count, level.plan or 0)
        directive = _DIRECTIVE.match(note.strip()) if note else None
        if count == 0 and directive and directive["word"].upper() == "SKIP":
            level.skipped = directive["reason"]
        return True

    def _bail(self, width: int, why: str) -> bool:
        level = self._at(width)
        if not level:
            return False
        self._close_above(width)
        level.results.append(fault("bail out", why or "the test gave up", self._take()))
        return True

    def _take(self) -> tuple[str, ...]:
        """Return the lines since the latest result, once."""
        taken, self.pending = tuple(self.pending), []
        return taken

    def _result(self, m: re.Match[str], whole: bool) -> bool:
        width = _width(m)
        level = self._at(width)
        if not level:
            return False
        children: tuple[Result, ...] = ()
        head: list[str] = []
        inner = next((i for i, x in enumerate(self.open) if x.width > width), None)
        if inner is not None:
            child = self.open[inner]
            self._close_above(child.width)
            self.open.pop()
            children, head = tuple(child.close(top=False)), child.head
        result = read_result(m, (*head, *self._take()), whole)
        if inner is not None and not children and result.status is CaseStatus.PASS:
            children = (fault("results", "a group of tests without results"),)
        result = replace(result, children=children)
        level.results.append(_placed(result, level))
        return True


def _width(m: re.Match[str]) -> int:
    """Return the column at which a line's content begins."""
    return len(m["indent"].expandtabs())


def _placed(result: Result, level: _Level) -> Result:
    """Return the result, as an ERROR when its number has no place in its level."""
    number = result.number or 0
    why = ""
    if number in level.seen:
        why = f"a second result number {number}"
    elif number < level.last or number == 0:
        why = f"result number {number} after number {level.last}"
    elif level.plan is not None and number > level.plan:
        why = f"result number {number} of a plan of {level.plan}"
    level.seen.add(number)
    level.last = max(level.last, number)
    if not why:
        return result
    return replace(result, status=CaseStatus.ERROR, reason=f"{why} ({result.status.value})")


def read_result(m: re.Match[str], lines: tuple[str, ...], whole: bool) -> Result:
    """Turn a matched result line into a Result without children."""
    number, rest = int(m["number"]), (m["rest"] or "").removeprefix("- ").strip()
    status = CaseStatus.PASS if m["how"] == "ok" else CaseStatus.FAIL
    name, reason = rest, ""
    if note := _NOTE.fullmatch(rest):
        name, reason = note["name"].strip(), note["note"].strip()
        if directive := _DIRECTIVE.match(reason):
            status = _directed(directive["word"].upper(), status)
            reason = directive["reason"].strip()
        # ksft_test_result_skip() and its kin print the name after the directive
        name = name or reason
    timeouts = [t["name"] for line in lines if (t := _TIMED_OUT.match(line))]
    if status is CaseStatus.FAIL and any(_same(name, t) for t in timeouts):
        status, reason = CaseStatus.TIMEOUT, reason or "ended by its own time limit"
    if not whole:
        status, reason = CaseStatus.ERROR, "the output ends within this line"
    return Result(number, name or f"#{number}", status, reason, lines)


def _directed(word: str, status: CaseStatus) -> CaseStatus:
    """Return what the directive makes of ok (PASS) or not ok (FAIL)."""
    if word == "TODO":
        return CaseStatus.XFAIL if status is CaseStatus.FAIL else status
    if word == "XPASS":
        return status
    return CaseStatus(word)


def _same(full: str, short: str) -> bool:
    """Whether kselftest_harness's short test name is that of `fixture.variant.test`."""
    return full == short or full.endswith(f".{short}")
