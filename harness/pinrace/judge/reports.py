# SPDX-License-Identifier: GPL-2.0-or-later
"""Cut a console into reports: what belongs together, and what does not.

What one task or one interrupt prints is a stream of its own where CONFIG_PRINTK_CALLER says who it
was.  Without it, a report that begins in the middle of another one is told apart by the order that
the parts of a report have, by the CPU that it names, and by whose turn it is.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pinrace.judge.lines import Line
from pinrace.judge.rules import COUNTS, UNEXPLAINED, WIDTH, Rule, Rules

_OFFSET = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+")
_WHO = re.compile(r"CPU: \d+ PID: \d+ ")
_ON_CPU = re.compile(r"(?:CPU: |CPU#|NMI backtrace for cpu |LOCKUP on cpu )(\d+)\b")
_CPU_LINE = re.compile(r"CPU: (\d+) (?:UID: \d+ )?PID: \d+ ")
_HEAD_LINES = 30  # of a report, within which its first stack begins
_SKEW = 1.0  # seconds that the clocks of two CPUs may differ
_AT_ONCE = 4  # reports that are open in a stream; a guest has two CPUs, and each may nest one
_ASKING = 8  # reports that may wait for the stacks of other CPUs at once
_STARTS_INIT = ("Run ", "  with ", "    ", "Failed to ", "Starting init")
_ATTACHED = re.compile(r"NMI backtrace for cpu \d+|Backtrace for cpu \d+")
# A stack that nothing announced.
_TRACE = re.compile(r"Call [Tt]race:")
_UNANNOUNCED = re.compile(
    r"CPU: \d+ (?:UID: \d+ )?PID: |Hardware name: |Modules linked in:|Workqueue: |"
    r"Tainted: |task:|[RE]IP: |pc : |lr : |sp : |x\d+ ?: |[re]?[A-Z]\w{1,2} ?: |Code: |Stack:|$"
)

# The order of the parts of a report, as show_regs(), dump_stack() and their callers print them.
_PARTS = tuple(
    re.compile(p)
    for p in (
        r"CPU: \d+ ",
        r"Hardware name: ",
        r"[RE]IP: |pstate: |pc : ",
        r"Code: ",
        r"[RE][A-DS][XPI]: |R\d\d: |[RE]BP: |[FC]S: |CR2: |DR\d: |PKRU: |sp : |x\d+ ?: ",
        r"Call [Tt]race:",
        r" ?<(?:TASK|IRQ)>",
        r" +(?:\? )?[\w.$]+\+0x",
        r" ?</(?:TASK|IRQ)>",
        r"---\[ end trace",
    )
)
_STACK_PARTS = (0, 5, 7)
_REPEATED = (4, 7)  # registers and frames take several lines


@dataclass(eq=False)
class Report:
    """A report while it is read."""

    rule: Rule
    title: str
    kind: str  # what the rule calls the kind of it, part of the fingerprint
    lines: list[Line]
    number: int  # of the log's line that gives it its name
    stacked: bool = False  # the stack has begun
    over: bool = False
    seen: int = 1  # lines, with those that were too many to keep
    panicked: bool = False  # the kernel panicked over it
    end: re.Pattern[str] | None = None
    part: int = -1  # the latest of _PARTS
    fed: int = 0  # when it last got a line
    cpu: str = ""
    cut: int | None = None  # of a list, which line is a "cut here" that may not be its own
    shared: bool = False  # got lines after another report had begun
    held: int = 0  # streams that may add to it

    @property
    def last(self) -> Line:
        """Its latest line."""
        return self.lines[-1]

    @property
    def goes_on(self) -> bool:
        """Whether more of it can stand behind another report that begins in its middle."""
        return self.end is not None or (self.rule.role == "words" and not self.stacked)


@dataclass(eq=False)
class _Stream:
    """What one caller prints: the reports that are open, the latest on top, and the last one."""

    open: list[Report] = field(default_factory=list)
    last: Report | None = None
    said: Line | None = None  # the latest line that is no part of a stack


class Cutter:
    """Cuts a log.  Reports come out when they are whole, so that only the open ones take memory."""

    def __init__(self, rules: Rules) -> None:
        """Use these rules."""
        self._rules = rules
        self._streams: dict[str, _Stream] = {}
        self._asked: deque[Report] = deque(maxlen=_ASKING)  # have asked for other CPUs' stacks
        self._whole: list[Report] = []
        self._count = 0
        self._before = ""
        self._latest: Report | None = None  # that counts, of any stream

    def cut(self, lines: Iterable[Line]) -> Iterator[Report]:
        """Return each report, each once, when nothing can be added to it any more."""
        for line in lines:
            self._count += 1
            stream = self._streams.setdefault(line.caller, _Stream())
            self._close(stream, line)
            hit = self._rules.match(line.text)
            if hit:
                self._start(stream, *hit, line)
            elif stream.open:
                self._extend(stream, line)
            elif not self._attach(stream, line):
                self._unexplained(stream, line)
            self._before = line.text
            yield from self._whole
            self._whole.clear()
        for stream in self._streams.values():
            self._drop(stream, list(stream.open))
            self._last(stream, None)
        yield from self._whole

    # Who holds a report

    def _push(self, stream: _Stream, new: Report) -> None:
        """Open a report; what is under it goes on behind its end, if it is one that has an end."""
        if stream.open and not stream.open[-1].goes_on:
            self._drop(stream, stream.open[-1:])
        self._drop(stream, stream.open[: max(0, len(stream.open) - _AT_ONCE + 1)])
        new.fed = self._count
        on = _ON_CPU.search(new.last.text[:WIDTH])
        new.cpu = on[1] if on else ""
        self._hold(stream, new)
        if new.rule.severity in COUNTS:
            self._last(stream, new)
            self._latest = new
        if new.rule.whose:
            self._asked.append(new)

    def _hold(self, stream: _Stream, report: Report) -> None:
        stream.open.append(report)
        report.held += 1

    def _drop(self, stream: _Stream, reports: list[Report]) -> None:
        """Close reports in a stream."""
        for report in reports:
            stream.open.remove(report)
            self._let_go(report)

    def _last(self, stream: _Stream, report: Report | None) -> None:
        """Note which report a stream had last."""
        before, stream.last = stream.last, report
        if report:
            report.held += 1
        if before:
            self._let_go(before)

    def _let_go(self, report: Report) -> None:
        report.held -= 1
        if not report.held:
            self._whole.append(report)

    # Where a line goes

    def _start(self, stream: _Stream, rule: Rule, m: re.Match[str], line: Line) -> None:
        """Take a line that a rule knows: to a report that it is of, or as a new one."""
        if rule.role == "line":
            if rule.severity != "setup" or self._before.startswith(_STARTS_INIT):
                self._whole.append(_report(rule, m, line))
            if stream.open:
                self._keep(stream.open[-1], line)
            return
        if rule.role == "panic":
            self._panic(stream, rule, m, line)
            return
        current = self._whose(stream, line, rule)
        inside = rule.role == "inside" and current and current.rule is not rule
        if current and current.rule.role == "list":
            self._listed(stream, current, rule, m, line)
        elif current and (inside or _takes(current, rule)):
            self._keep(current, line)
            if not inside:
                _rename(current, rule, m, line)
        else:
            self._push(stream, _report(rule, m, line))

    def _listed(
        self, stream: _Stream, current: Report, rule: Rule, m: re.Match[str], line: Line
    ) -> None:
        """Take a line behind a list: another entry, the WARN that closes it, or a new report.

        Whose a "cut here" is, the line of the WARN tells.
        """
        closes = current.rule.closes
        entry = rule.role == "list" and (rule is current.rule or rule.closes is not None)
        if entry or (closes and rule.role == "cut"):
            current.cut = len(current.lines) if rule.role == "cut" else None
            self._keep(current, line)
        elif closes and rule.role == "warn" and closes.match(line.text[:WIDTH]):
            current.end = rule.end
            self._keep(current, line)
        elif current.cut is not None:
            behind = [*current.lines[current.cut :], line]
            del current.lines[current.cut :]
            for each in behind:
                if (hit := self._rules.match(each.text)) is None:
                    self._extend(stream, each)
                elif each is behind[0]:
                    self._push(stream, _report(*hit, each))
                else:
                    self._start(stream, *hit, each)
        else:
            self._push(stream, _report(rule, m, line))

    def _panic(self, stream: _Stream, rule: Rule, m: re.Match[str], line: Line) -> None:
        """A panic is the end of the report that it stands close behind, or one of its own."""
        last = stream.last if self._near(stream.last, line) else None
        if not last and rule.follows and rule.follows.search(line.text[:WIDTH]):
            last = self._latest if self._near(self._latest, line) else None
        if not last or rule.severity != "panic":
            self._push(stream, _report(rule, m, line))
            return
        last.panicked, last.over = True, False
        last.end = rule.end
        if last not in stream.open:
            self._hold(stream, last)
        self._keep(last, line)

    def _near(self, report: Report | None, line: Line) -> bool:
        """Whether a line stands in a report or close behind it."""
        return (
            report is not None
            and line.number - report.last.number <= self._rules.near
            and -_SKEW <= _silence(report.last, line) <= self._gap(report)
        )

    def _attach(self, stream: _Stream, line: Line) -> bool:
        """Let another CPU's stack go to the report that asked for it."""
        if not _ATTACHED.match(line.text):
            return False
        for report in reversed(self._asked):
            if _silence(report.last, line) <= self._gap(report) and not report.over:
                self._hold(stream, report)
                self._keep(report, line)
                return True
        return False

    def _unexplained(self, stream: _Stream, line: Line) -> None:
        """Make a note of a stack that no rule explains, under the line that stands before it."""
        if not _TRACE.match(line.text):
            if not _UNANNOUNCED.match(line.text):
                stream.said = line
            return
        if stream.last and stream.last.seen > self._rules.longest:
            return  # of a report that was too long
        said = stream.said
        first = said if said and _silence(said, line) <= self._rules.gap else line
        rule = next(r for r in self._rules.rule if r.id == UNEXPLAINED)
        title = f"stack trace: {first.text.strip()[:WIDTH]}"
        self._push(stream, Report(rule, title, "", [first], first.number, stacked=True))
        if first is not line:
            self._keep(stream.open[-1], line)

    def _extend(self, stream: _Stream, line: Line) -> None:
        """Add a line to the open report that it is of."""
        report = self._whose(stream, line, None)
        if report is None:
            return
        self._keep(report, line)
        if report.end and report.end.match(line.text):
            report.over = True
            self._drop(stream, [report])

    def _keep(self, report: Report, line: Line) -> None:
        """Add a line to a report."""
        report.seen += 1
        report.fed = self._count
        part = _part(line.text)
        report.part = part if part >= 0 else report.part
        if report.rule.role != "cut" and (part in _STACK_PARTS or line.text.startswith("task:")):
            report.stacked = True
        if not report.cpu and (on := _CPU_LINE.match(line.text)):
            report.cpu = on[1]
        if len(report.lines) < self._rules.longest:
            report.lines.append(line)
        else:
            report.lines[-1] = line  # its time tells when the report went on

    def _close(self, stream: _Stream, line: Line) -> None:
        """End the reports that have been silent for too long."""
        if stream.open:
            silent = [r for r in stream.open if r.over or _silence(r.last, line) > self._gap(r)]
            self._drop(stream, silent)

    def _gap(self, report: Report) -> float:
        """Seconds of silence that end a report."""
        return report.rule.gap or self._rules.gap

    # Two at once, and nothing says who prints

    def _whose(self, stream: _Stream, line: Line, rule: Rule | None) -> Report | None:
        """Return the open report that a line is of."""
        if len(stream.open) < 2 or line.caller:
            return stream.open[-1] if stream.open else None
        top = stream.open[-1]
        on = _ON_CPU.search(line.text[:WIDTH])
        if rule:
            waiting = [r for r in stream.open if _takes(r, rule)]
            same = [r for r in waiting if on and r.cpu == on[1]] or waiting
            return self._fed(stream, min(same, key=lambda r: r.fed)) if same else top
        if on and _CPU_LINE.match(line.text):
            begun = [r for r in stream.open if r.part < 0]
            same = [r for r in begun if r.cpu == on[1]] or begun
            return self._fed(stream, min(same, key=lambda r: r.fed)) if same else top
        part = _part(line.text)
        step = 0 if part in _REPEATED else 1
        can = [r for r in stream.open if r.part <= part - step] if part >= 0 else []
        if not can:
            return top
        nearest = max(r.part for r in can) - (1 - step) * 2  # the first of several lines
        can = [r for r in can if r.part >= nearest]
        if len(can) > 1 and not all(r.shared for r in can if r is not top):
            return top
        return self._fed(stream, min(can, key=lambda r: r.fed))

    def _fed(self, stream: _Stream, report: Report) -> Report:
        """Note that a report got a line though another one had begun since."""
        if report is not stream.open[-1]:
            report.shared = True
        return report


def _report(rule: Rule, m: re.Match[str], line: Line) -> Report:
    """Return a new report."""
    kind = m.groupdict().get("kind") or ""
    return Report(rule, _title(m), kind, [line], line.number, end=rule.end)


def _takes(report: Report, rule: Rule) -> bool:
    """Whether a line of that rule is another line of a report that has just begun."""
    if report.stacked or report.over or len(report.lines) > _HEAD_LINES:
        return False
    before = report.rule.role
    if before == "cut":
        return rule.role != "cut"
    if rule.role == "trap":
        return before in ("trap", "words")
    if rule.role == "words":
        return before == "warn"
    return before == "words" and rule.role in ("cut", "warn")


def _rename(report: Report, rule: Rule, m: re.Match[str], line: Line) -> None:
    """Let a report that has just begun have the name that says best what happened."""
    before = report.rule.role
    if before == "cut" or (before == "warn" and rule.role == "words"):
        report.rule, report.title, report.number = rule, _title(m), line.number
        report.kind = m.groupdict().get("kind") or ""
    if not report.cpu and (on := _ON_CPU.search(line.text[:WIDTH])):
        report.cpu = on[1]
    if rule.end:
        report.end = rule.end


def _title(m: re.Match[str]) -> str:
    """Return what the rule calls the title, without offsets and without who it was."""
    whole = m.groupdict().get("title") or m.string
    return _WHO.sub("", _OFFSET.sub("", whole)).strip().rstrip(",")


def _part(text: str) -> int:
    """Return which part of a report a line is, -1 for none."""
    text = text[:WIDTH]
    return next((i for i, part in enumerate(_PARTS) if part.match(text)), -1)


def _silence(before: Line, after: Line) -> float:
    """Seconds between two lines; 0 when the kernel prints no times."""
    return (after.time or 0.0) - before.time if before.time is not None and after.time else 0.0
