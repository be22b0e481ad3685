# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the stacks of a report, choose the one that tells what went wrong, and name the bug by it.

A frame is a line of its own in a stack.  Lines about held locks, interrupts that were enabled,
registers and modules name functions as well, and are no frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pinrace.judge.lines import Line
from pinrace.judge.reports import Report
from pinrace.judge.rules import WIDTH, Rules

TELLING = 5  # functions of a fingerprint, as many as netdev's CI takes
MOST = 12  # of them with those that are common to many paths

_SYMBOL = r"(?P<function>[A-Za-z_$.][\w$.]*)"
_FRAME = re.compile(
    r"\s*(?:<{0,2}/?[A-Z]+>{1,2} +)?(?:\[<[0-9a-f]+>\] *)*(?P<guess>\? )?" + _SYMBOL + r"(?:"
    r"\+(?P<offset>0x[0-9a-f]+)/0x[0-9a-f]+"
    r"(?: \[[\w -]+\])?(?: \([A-Z]{1,4}\))?(?: [\w./+-]+\.[chS]:\d+)?"
    r"| \([^()\s]+\.(?:[chS]|rs):\d+[^()]*\)(?: \w+)?(?: \([A-Z]{1,4}\))?"  # when symbolized
    r")\s*$"
)
# As 32-bit ARM prints it: the function, and its caller with the place of the call.
_ARM_FRAME = re.compile(
    r"\s*(?:\[<[0-9a-f]+>\] )?\(?(?P<function>[A-Za-z_$.][\w$.]*)(?: \[[\w -]+\])?\)?"
    r"(?: \[[\w -]+\])? from (?:\[<[0-9a-f]+>\] )?\(?[A-Za-z_$.][\w$.]*\+0x[0-9a-f]+/0x[0-9a-f]+"
    r"(?: \[[\w -]+\])?\)?(?: \[[\w -]+\])?\s*$"
)
# Where it happened: the registers of a trap, on x86, arm64 and arm.
_PLACE = re.compile(
    r"(?:RIP: [0-9a-f]{4}:|EIP: (?:[0-9a-f]{4}:)?|IP: |pc : |PC is at )"
    r"(?:\[<[0-9a-f]+>\] *)*" + _SYMBOL + r"(?:\+0x| \()"
)
# What a stack may have between its frames.
_INSIDE = re.compile(
    r" ?</?(?:TASK|IRQ|NMI|SOFTIRQ|EOI|EOE|#?DF|ENTRY\w*)>|[RE]IP: |[RE]SP: |Code: |[A-Z]\w{2}: |"
    r"\s*\[<[0-9a-f]+>\]|\s*(?:\? )?0x[0-9a-f]+\s*$|FS: |CS: |CR\d: |DR\d: |pc : |lr : |sp : |"
    r"pstate: |x\d+ ?: | +r\d+:|r\d+ ?: |LR is at |Process |Stack: |Backtrace: |"
    r"[0-9a-f]{4}: (?:[0-9a-f ]{8} ?)+$|\s*(?:---)? ?interrupt: |Exception stack|\s*\.\.\. "
)
_OTHERS = re.compile(r"CPU: \d+ |task:|NMI backtrace for cpu |Backtrace for cpu |---\[ end trace")
# What is no stack though it looks like one
_HINT = re.compile(r"Preemption disabled at:|handlers:|(?:hard|soft)irqs last ")
_IRQ_END = re.compile(r" ?</(?:IRQ|SOFTIRQ|NMI)>")
_CPU = re.compile(r"(?:CPU: |NMI backtrace for cpu |Backtrace for cpu )(\d+)\b")
_TASK_PID = re.compile(r"task:.*\bpid:(\d+)")
_LOOSE = re.compile(r"\s*(?:kmemleak: +)")
# Functions that a line names though it has no stack.
_HANDLER = re.compile(r"\[<[0-9a-f]+>\] ([A-Za-z_][\w.]*)")
_HELD = re.compile(r"\s*(?:#\d+: |[0-9a-f]{8,16} \().* at: ([A-Za-z_][\w.]*)\+0x")
_LAST = re.compile(r"\s*(?:last function: |preempt=[^=]*=[^=]*=[^=]* workfn=)([A-Za-z_][\w.]*)")
_IN_FLIGHT = re.compile(r"in-flight: (.*)")
_WORK = re.compile(r"\d+(?:\(RESCUER\))?:([A-Za-z_][\w.]*)")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm)\b.*")
# Written in assembly and without a frame: where frame pointers lead the way, its caller is a guess.
_FRAMELESS = re.compile(
    r"(?:__)?(?:mem(?:cpy|move|set|cmp|chr)|str(?:len|cpy|cmp))(?:_orig|_erms)?$"
)
_VARYING = re.compile(r"0x[0-9a-f]+|\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b|\d+")
# Which CPUs and tasks a report is about.
_ABOUT_CPU = re.compile(
    r"(?:.*?CPU#0*(?P<soft>\d+) stuck|.*?hard LOCKUP on cpu (?P<hard>\d+)"
    r"|.*?ns for CPU#0*(?P<csd>\d+) )"
)
_STALLED = re.compile(r"(?<![\w.-])(\d+)-[.?!OoNDd]{3,6}(?![\w-])")
_ABOUT_TASKS = re.compile(r"\bP(\d+)\b")
_GP_KTHREAD = re.compile(r"rcu: .*kthread stack dump:|task:rcu_")


@dataclass
class Block:
    """One stack, with the lines that stand over it."""

    headers: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)  # functions, and "</IRQ>" between them
    guesses: list[str] = field(default_factory=list)

    @property
    def cpu(self) -> str:
        """The CPU whose stack it is; "" when nothing says so."""
        return next((m[1] for h in self.headers if (m := _CPU.match(h))), "")

    @property
    def pid(self) -> str:
        """The task whose stack it is, where it was asked for as a task's."""
        return next((m[1] for h in self.headers if (m := _TASK_PID.match(h))), "")


def blocks(lines: Iterable[Line]) -> list[Block]:
    """Return the stacks of a report, in order; those of several callers are not mixed."""
    found: list[Block] = []
    current: dict[str, Block] = {}
    for line in lines:
        text = _LOOSE.sub("", line.text[:WIDTH], count=1)
        block = current.get(line.caller)
        if block is None:
            block = current[line.caller] = Block()
            found.append(block)
        frame, place = _FRAME.match(text), _PLACE.match(text)
        if frame:
            # Behind a call that never returns, the return address is the next function's.
            unsure = (frame["guess"] or frame["offset"] == "0x0") and not _calls_frameless(block)
            into = block.guesses if unsure else block.frames
            into.append(frame["function"])
            continue
        if arm := _ARM_FRAME.match(text):
            block.frames.append(arm["function"])
            continue
        if place:
            block.frames.append(place["function"])
            block.headers.append(text)
            continue
        if _IRQ_END.match(text):
            block.frames.append("</IRQ>")
            continue
        if (block.frames or block.guesses) and _ends(block, text):
            block = current[line.caller] = Block()
            found.append(block)
        block.headers.append(text)
    return found


def _calls_frameless(block: Block) -> bool:
    """Whether the next frame, the first of the trace, called a function without a frame."""
    return not block.guesses and len(block.frames) == 1 and bool(_FRAMELESS.match(block.frames[0]))


def _ends(block: Block, text: str) -> bool:
    """Whether a line that is no frame ends the stack over it."""
    if _OTHERS.match(text):
        return True
    if len(block.frames) == 1 and any(_PLACE.match(h) for h in block.headers):
        return False  # registers come first, then the trace
    return not _INSIDE.match(text)


def functions(report: Report, rules: Rules) -> tuple[str, ...]:
    """Return what tells of a report, innermost function first, without what only carries it."""
    found = [b for b in blocks(report.lines) if not (b.headers and _HINT.match(b.headers[-1]))]
    if report.rule.stacks > 1:
        each = [" < ".join(_telling(b, rules, report)[:3]) for b in found]
        said = sorted({one for one in each if one})[: report.rule.stacks]
        if said:
            return (" / ".join(said),)
    last = next((m[1] for line in report.lines if (m := _LAST.match(line.text[:WIDTH]))), "")
    if last:
        return (last,)  # of a worker, whose stack is the same for all
    for block in _preferred(report, found):
        if telling := _telling(block, rules, report):
            return telling
    frames = next((b.frames for b in found if b.frames), [])
    return _named(report) or tuple(f for f in frames if f != "</IRQ>")[:TELLING]


def _preferred(report: Report, found: list[Block]) -> Iterator[Block]:
    """Return the stacks of a report, the one first that is of what it is about."""
    rule = report.rule
    if rule.stack:
        yield from (b for b in found if any(rule.stack.match(h) for h in b.headers))
    if rule.whose == "cpu":
        cpus, pids = _about(report.lines)
        yield from (b for b in found if b.cpu and b.cpu in cpus)
        yield from (b for b in found if b.pid and b.pid in pids)
        yield from (b for b in found if not any(_GP_KTHREAD.match(h) for h in b.headers))
    yield from found


def _about(lines: list[Line]) -> tuple[set[str], set[str]]:
    """Return the numbers of the CPUs and the pids of the tasks that make no progress."""
    cpus: set[str] = set()
    pids: set[str] = set()
    for line in lines[:60]:
        text = line.text[:WIDTH]
        if m := _ABOUT_CPU.match(text):
            cpus |= {number for number in m.groups() if number}
        if text.startswith(("rcu:", "INFO: rcu", "\t", " ")):
            cpus |= set(_STALLED.findall(text))
            pids |= set(_ABOUT_TASKS.findall(text))
    return cpus, pids


def _telling(block: Block, rules: Rules, report: Report) -> tuple[str, ...]:
    """Return the functions of a stack that are worth a place in a fingerprint."""
    stall = report.rule.whose == "cpu"
    for frames in (block.frames, block.guesses):
        chosen = _walk(frames, rules, stall=stall)
        if chosen:
            return chosen
    return ()


def _walk(frames: list[str], rules: Rules, *, stall: bool) -> tuple[str, ...]:
    """Walk a stack from the inside out.

    What an interrupt broke into has nothing to do with what the interrupt did wrong, and is all
    that counts where the interrupt is a watchdog's.
    """
    chosen: list[str] = []
    telling = 0
    for whole in frames:
        name = _SUFFIX.sub("", whole)
        sort = rules.sort(name) if whole != "</IRQ>" else "interrupt"
        if sort == "interrupt":
            if stall:
                chosen, telling = [], 0
            elif telling:
                break
            continue
        if sort == "entry":
            if chosen:
                break
            continue
        if sort == "plumbing" or name in chosen[-1:]:
            continue
        chosen.append(name)
        telling += sort != "common"
        if telling == TELLING or len(chosen) == MOST:
            break
    return tuple(chosen)


def _named(report: Report) -> tuple[str, ...]:
    """Return the functions that a report names where it has no stack."""
    texts = [line.text[:WIDTH] for line in report.lines]
    works = [w for t in texts if (m := _IN_FLIGHT.search(t)) for w in _WORK.findall(m[1])]
    if works:
        return tuple(dict.fromkeys(works))[:TELLING]
    if held := [m[1] for t in texts if (m := _HELD.match(t))]:
        return tuple(dict.fromkeys(held))[:TELLING]
    if "handlers:" in texts:
        behind = texts[texts.index("handlers:") + 1 :]
        return tuple(m[1] for t in behind if (m := _HANDLER.match(t)))[:TELLING]
    return ()


_SOURCE = re.compile(
    r"(?:WARNING: .{0,200}?|[Kk]ernel BUG at )(?P<file>[\w./+-]{1,200}\.(?:[chS]|rs):\d+)"
)
_CODE = re.compile(r"(?:\bat |[RE]IP: \S*?|pc : |\d )([A-Za-z_$.][\w$.]*\+0x[0-9a-f]+/0x[0-9a-f]+)")


def place(report: Report) -> str:
    """Return where in the source, and in the code, a WARN or BUG stands; "" for other reports.

    Two of one function have one fingerprint, and two places.
    """
    source = code = ""
    for line in report.lines:
        text = line.text[:WIDTH]
        source = source or (m["file"] if (m := _SOURCE.match(text)) else "")
        if source and (found := _CODE.search(text)):
            code = found[1]
            break
    return f"{source} {code}".strip()


def steady(text: str) -> str:
    """Return a text without numbers and addresses, which differ from run to run."""
    return _VARYING.sub("N", text)


def fingerprint(report: Report, rules: Rules) -> str:
    """Return what is the same for the same bug at other times, addresses, CPUs and tasks."""
    kind = steady(report.kind)
    first = f"{report.rule.id}{f' {kind}' if kind else ''}"
    where = functions(report, rules)
    if report.rule.role == "warn" and (words := _words(report)):
        first = f"{first} '{words}'"
    return f"{first}: {' < '.join(where) if where else steady(report.title)}"


def _words(report: Report) -> str:
    """Return the one line that a WARN printed between "cut here" and its own; "" for more."""
    head: list[str] = []
    for line in report.lines:
        if report.rule.match(line.text[:WIDTH]):
            break
        if line.text.strip() and "cut here" not in line.text:
            head.append(line.text.strip())
    return steady(head[0])[:120] if len(head) == 1 else ""
