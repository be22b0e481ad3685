# SPDX-License-Identifier: GPL-2.0-or-later
"""Read KTAP and TAP 12 to 14, as kernel tests print them.

The grammar is Documentation/dev-tools/ktap.rst; on top of it come what
tools/testing/selftests/kselftest.h, kselftest_harness.h and kselftest/runner.sh print, and TAP's
subtests.  Whatever the text, `parse` returns, and what is missing from it or wrong with it shows up
as an ERROR.  Where this reading and kunit.py's differ is written in tests/guest/test_ktap_kunit.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pinrace.suites import ktap_lines
from pinrace.suites.ktap_document import MAX_MISSING, Budget, Level, Result, fault
from pinrace.suites.ktap_lines import Kind, Line, says_nothing
from pinrace.values import CaseResult, CaseStatus, Mark

__all__ = ["MAX_DEPTH", "MAX_MISSING", "Ktap", "Result", "fault", "parse", "says_nothing"]

MAX_GLUED = 16  # results on one line, where a program forgets the ends of its lines
MAX_REMARKS = 1000  # lines that are looked through for the case that they are about
MAX_DEPTH = 16  # levels; a guest that prints more of them is not believed

# "ok 1 - first { # note": the subtest comes below
_BRACE = re.compile(r"(?:^|[ \t])\{(?P<note>[ \t]+#.*)?$")
# Where kselftest_harness.h begins a case, and where it says how the case ended
_RUN = re.compile(r"(?:# )*# +RUN +(?P<case>\S+)")
_ENDED = re.compile(r"(?:# )*# +(?:OK|FAIL) +\S")
_TIMED_OUT = re.compile(r"(?:# )*# (?P<name>\S+): Test terminated by timeout")


@dataclass(frozen=True)
class Ktap:
    """The output of one program; `lines` are those that precede no result."""

    results: tuple[Result, ...]
    lines: tuple[str, ...] = ()

    def flatten(self) -> tuple[CaseResult, ...]:
        """Return the cases, named by their path; never empty."""
        return tuple(case for result in self.results for case in result.flatten())


def parse(text: str, *, ended: bool = True) -> Ktap:
    """Parse the whole output of a program; never raises.

    ended: the program ended by itself; else a last line without its end was cut.

    Every number of a plan is accounted for, and every number below the greatest one; missing ones
    are ERRORs (above MAX_MISSING in a summary).  A nested level without a plan is closed by its
    parent's result line; an output without one is UNCLEAR, unless kselftest's totals agree with
    it.  Lines that are not KTAP belong to the result they precede, blocks of YAML to the one they
    follow.  An output without KTAP is one case, marked SILENT.
    """
    reader = _Reader()
    for line, whole in ktap_lines.split(text):
        reader.feed(line, whole=whole or (ended and not line.endswith("\ufffd")))
    return reader.finish()


class _Reader:
    """Takes lines, and builds the tree."""

    def __init__(self) -> None:
        self.open: list[Level] = []
        self.done: list[Result] = []
        self.pending: list[str] = []  # lines since the latest result
        self.budget = Budget()
        self.before: str | None = None  # a Subtest line before any level
        self.yaml: str | None = None  # the indentation of the block that is open
        self.block: list[str] = []  # its lines
        self.deep = False
        self.steps = {
            Kind.VERSION: self._version,
            Kind.SUBTEST: self._subtest,
            Kind.PLAN: self._plan,
            Kind.RESULT: self._result,
            Kind.BAIL: self._bail,
            Kind.TOTALS: self._totals,
            Kind.YAML: self._yaml,
            Kind.BRACE: self._brace,
        }

    def feed(self, line: str, *, whole: bool = True) -> None:
        """Take one line, and those that are glued to its result; `whole`: it was not cut."""
        for _ in range(MAX_GLUED):
            glued = self._feed(line, whole=whole)
            if not glued:
                return
            line, whole = glued, True
        self.pending.append(line)

    def _feed(self, line: str, *, whole: bool) -> str:
        """Take one line; return what follows a result on it, and is another one."""
        read = ktap_lines.read(line)
        if self.yaml is not None and self._in_yaml(line, read):
            return ""
        self.whole, self.raw = whole, line
        step = self.steps.get(read.kind)
        if not whole and read.kind is not Kind.RESULT:
            step = None
        if step is None or not step(read):
            self.pending.append(line)
            if read.kind is Kind.OTHER and read.text.startswith("selftests: ") and self.open:
                self.open[-1].runs |= read.indent == f"{self.open[-1].indent}# "
            return ""
        return read.indent + read.glued if read.glued else ""

    def finish(self) -> Ktap:
        """Close every level."""
        self._end_yaml()
        silent = not self.done and (not self.open or self._says_only_that_it_ended())
        self._close(0)
        if silent:
            why = "no test results at all"
            self.done = [fault("results", why, tuple(self.pending[-20:]), mark=Mark.SILENT)]
        if self.deep:
            self.done.append(fault("depth", f"more than {MAX_DEPTH} levels"))
        return Ktap(tuple(self.done), tuple(self.pending))

    def _says_only_that_it_ended(self) -> bool:
        """Whether there are kselftest's first and last words, and nothing in between."""
        top = self.open[0]
        empty = not (top.results or top.earlier) and top.plan is None and len(self.open) == 1
        return empty and top.totals == 0

    # Levels

    def _close(self, keep: int) -> None:
        """Close levels until that many are left; nobody printed a result for them."""
        while len(self.open) > keep:
            level = self.open.pop()
            level.end(self.budget, top=not self.open)
            results = tuple(level.earlier)
            if not self.open:
                self.done += results
                continue
            why = "the result of this group of tests was not seen"
            name = level.name or self.open[-1].inner or "(group)"
            lines = tuple(level.head)
            orphan = Result(None, name, CaseStatus.ERROR, why, lines, results, Mark.MISSING)
            self.open[-1].blame(orphan)

    def _push(self, indent: str, *, version: bool, name: str = "") -> Level | None:
        """Open a level inside of the innermost one."""
        if len(self.open) >= MAX_DEPTH:
            self.deep = True
            return None
        level = Level(indent, version, name=name)
        if self.open:
            level.head, self.pending = self.pending, []
        self.open.append(level)
        return level

    def _find(self, indent: str) -> int | None:
        """Return which open level has that indentation."""
        return next((i for i, x in enumerate(self.open) if x.indent == indent), None)

    def _deeper(self, indent: str) -> bool:
        """Whether a line is indented further than the innermost level, in one way."""
        if not self.open:
            return False
        inner = self.open[-1].indent
        return indent.startswith(inner) and len(indent) > len(inner)

    def _by_blanks(self, indent: str) -> bool:
        """Whether it is so by blanks alone."""
        return self._deeper(indent) and not indent[len(self.open[-1].indent) :].strip()

    def _inside(self, indent: str) -> bool:
        """Whether such a line may begin a level without a version line.

        By "# " only where runner.sh has named the program: a remark is no plan and no result.
        """
        if self._by_blanks(indent):
            return True
        return (
            self._deeper(indent)
            and self.open[-1].runs
            and indent[len(self.open[-1].indent) :] == "# "
        )

    def _around(self, indent: str) -> int | None:
        """Open a level around those further in, which came before it; None where none did."""
        at = next((i for i, x in enumerate(self.open) if len(x.indent) > len(indent)), None)
        if not at or indent.strip() or len(self.open) >= MAX_DEPTH:
            return None
        if not (indent.startswith(self.open[at - 1].indent) and indent != self.open[at - 1].indent):
            return None
        if not self.open[at].indent.startswith(indent):
            return None
        self.open.insert(at, Level(indent))
        return at

    def _take(self) -> tuple[str, ...]:
        """Return the lines since the latest result, once."""
        taken, self.pending = tuple(self.pending), []
        return taken

    # Lines

    def _version(self, line: Line) -> bool:
        at = self._find(line.indent)
        if at is not None:
            self._close(at + 1)
            level = self.open[at]
            if level.results or level.bailed:
                level.end(self.budget, top=at == 0)  # another document begins
            elif level.plan is not None and level.version:
                level.twice = True
            level.version = True
            return True
        if self.open and not self._deeper(line.indent):
            around = sum(1 for level in self.open if line.indent.startswith(level.indent))
            if around and not self.open[around].indent.startswith(line.indent):
                return False  # indented in another way than the group that is open: a remark
            self._close(around)
        return self._push(line.indent, version=True) is not None

    def _subtest(self, line: Line) -> bool:
        if not self.open:
            self.before = line.text if not line.indent else self.before
            return False
        if self._deeper(line.indent):
            return self._push(line.indent, version=True, name=line.text) is not None
        level = self.open[-1]
        if level.indent != line.indent:
            return False
        fresh = level.version and not (level.results or level.name) and level.plan is None
        if fresh and len(self.open) > 1:
            level.name = line.text
            return True
        level.inner = line.text  # TAP 14 prints it at the parent's column, where it is a remark
        return False

    def _plan(self, line: Line) -> bool:
        at = self._find(line.indent)
        if at is None:
            if not (self._inside(line.indent) or not (self.open or line.indent)):
                return False
            name = (self.open[-1].inner or "") if self.open else ""
            if self._push(line.indent, version=False, name=name) is None:
                return False
            at = len(self.open) - 1
        self._close(at + 1)
        level, count = self.open[at], line.number or 0
        if level.complete:
            level.end(self.budget, top=at == 0)  # another document begins
        if level.plan is not None and level.plan != count:
            level.blame(fault("plan", f"planned 1..{level.plan}, then 1..{count}"))
        level.plan = max(count, level.plan or 0)
        level.note = line.text or level.note
        return True

    def _bail(self, line: Line) -> bool:
        at = self._find(line.indent)
        if at is None and not line.indent.strip() and self.open:
            at = len(self.open) - 1
        if at is None and not self.open and not line.indent:
            self._push("", version=False)
            at = 0
        if at is None:
            return False
        self._close(at + 1)
        why = line.text or "the test gave up"
        self.open[at].blame(fault("bail out", why, self._take()))
        self.open[at].bailed = True
        return True

    def _totals(self, line: Line) -> bool:
        at = self._find(line.indent)
        if at is not None:
            self.open[at].totals = line.number
        return False

    def _yaml(self, line: Line) -> bool:
        if not self._by_blanks(line.indent) or not self.open[-1].results or self.pending:
            return False
        self.yaml = line.indent
        self.block = [self.raw]
        return True

    def _in_yaml(self, raw: str, line: Line) -> bool:
        """Take a line of a block of YAML; False for the first one behind a block without end."""
        assert self.yaml is not None  # noqa: S101
        if raw.strip() and not line.indent.startswith(self.yaml):
            self._end_yaml()
            return False
        self.block.append(raw)
        if line.indent == self.yaml and line.text == "...":
            self._end_yaml()
        return True

    def _end_yaml(self) -> None:
        """Give the block to the latest result."""
        if self.yaml is not None:
            self.open[-1].behind += self.block
        self.yaml = None

    def _brace(self, line: Line) -> bool:
        at = self._find(line.indent)
        if line.text == "{":
            if at is not None and self.open[at].results and at == len(self.open) - 1:
                self.open[at].brace = len(self.open[at].results) - 1
            return False
        if at is None or (which := self.open[at].brace) is None:
            return False
        level = self.open[at]
        level.brace = None
        if len(self.open) > at + 1:
            children, _ = self._children(at)
            level.results[which] = replace(level.results[which], children=children)
        return True

    def _result(self, line: Line) -> bool:
        at = self._find(line.indent)
        if at is None:
            at = self._opened_by(line)
            if at is None:
                return False
        level = self.open[at]
        stray = line.number is None and line.good and not line.text.startswith("- ")
        if stray and level.last and level.counted:
            return False  # words that begin with "ok" among results that are numbered
        if line.good and self._within_case(line.text):
            return False
        inside = len(self.open) > at + 1
        children, head = self._children(at) if inside else ((), [])
        text = line.text
        if brace := _BRACE.search(text):
            text = f"{text[: brace.start()]}{brace['note']}"
            level.brace = len(level.results)
        place = level.last + 1 if line.number is None else line.number
        result = _made(line, text, place, (*head, *self._take()), self.whole)
        if inside and not children and result.status is CaseStatus.PASS:
            children = (fault("results", "a group of tests without results"),)
        level.inner, level.runs = None, False
        level.add(replace(result, children=children), line.number)
        return True

    def _within_case(self, text: str) -> bool:
        """Whether another case of kselftest_harness.h than text names has begun and not ended.

        What it prints as a result meanwhile, by a function of kselftest.h, is a remark: the harness
        numbers its own results, and says how the case ended.
        """
        for raw in reversed(self.pending[-MAX_REMARKS:]):
            if _ENDED.match(raw):
                return False
            if begun := _RUN.match(raw):
                return text.split(maxsplit=1)[:1] != [begun["case"]]
        return False

    def _children(self, at: int) -> tuple[tuple[Result, ...], list[str]]:
        """Close what is inside of a level; return its results and the lines before it."""
        self._close(at + 2)
        child = self.open.pop()
        child.end(self.budget, top=False)
        return tuple(child.earlier), child.head

    def _opened_by(self, line: Line) -> int | None:
        """Open the level that a result without a version or plan before it begins."""
        numbered = line.number is not None
        if not self.open:
            if line.indent and self.before is None:
                return None
            plain = line.text and not line.text.startswith("- ")
            if not (line.indent or numbered) and line.good and plain:
                return None
            self._push("", version=False)
            self.open[0].inner = self.before
            if not line.indent:
                return 0
        if line.number == 1 and (at := self._around(line.indent)) is not None:
            return at
        if not self._inside(line.indent):
            return None
        level = self.open[-1]
        if line.number != 1 and level.inner is None and level.brace is None:
            return None  # an indented remark that quotes a result
        if self._push(line.indent, version=False, name=level.inner or "") is None:
            return None
        return len(self.open) - 1


def _made(line: Line, text: str, place: int, lines: tuple[str, ...], whole: bool) -> Result:
    """Turn a result line into a Result without children."""
    said = ktap_lines.said(text, good=line.good)
    status, reason = said.status, said.reason
    name = said.name or f"#{place}"
    timeouts = [t["name"] for each in lines if (t := _TIMED_OUT.match(each))]
    if status is CaseStatus.FAIL and any(ktap_lines.same(name, t) for t in timeouts):
        status, reason = CaseStatus.TIMEOUT, reason or "ended by its own time limit"
    if not whole:
        status, reason = CaseStatus.ERROR, "the output ends within this line"
    return Result(line.number, name, status, reason, lines, mark=said.mark)
