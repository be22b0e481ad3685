# SPDX-License-Identifier: GPL-2.0-or-later
"""Tell a console's lines apart: which are a kernel's, when they were printed, and by whom.

A console carries what the kernel prints and what programs write.  With CONFIG_PRINTK_TIME a line of
the kernel begins with a time, and no other line is one.  Work and memory are linear in the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 4096  # characters of a line that are kept; printk itself stops at 1024 to 2048
BANNER = "Linux version "

# "[   12.345678] ", and with CONFIG_PRINTK_CALLER "[   12.345678][  T123] ".
_STAMP = re.compile(
    r"\[ {0,12}(?P<time>\d{1,12}\.\d{6})\](?:\[ {0,8}(?P<caller>[TC]\d{1,10})\])? ?"
)
_CALLER = re.compile(r"\[ {0,8}(?P<caller>[TC]\d{1,10})\] ")  # printk.time=0 leaves that
_UNTIMED = re.compile(r"[^\n]{0,64}ommand line: [^\n]{0,4096}\bprintk\.time=(?:0|[nN]|off)\b")
_EARLY = 65536  # characters of a log in which a kernel shows its command line
_LEVEL = re.compile(r"<\d{1,3}>")  # of a log that syslog(2) gave
# printk puts it in front of a line, and without a time.
_DROPPED = re.compile(r"\*\* \d+ printk messages dropped \*\* ?")
_NEAR = 1.0  # seconds between the first line of a report and its second, generously


@dataclass(frozen=True, slots=True)
class Line:
    """A line as printk meant it."""

    number: int  # of the log's line, from 1
    raw: str  # with its time; without what stands in the same line and is not of it
    text: str
    time: float | None  # seconds
    caller: str  # "T123" for a task, "C1" for an interrupt on a CPU, "" when nothing says so


def split(console: str) -> Iterator[Line]:
    """Return the kernel's lines of a log, in order.

    In a log without a single time each line counts, because nothing tells them apart, and so it
    does behind a command line that takes times away.  Two lines of the kernel that share one of the
    log are two.  Lines are not split at the odd characters that str.splitlines() takes for ends.
    """
    physical = [(number, raw.rstrip("\r")) for number, raw in enumerate(console.split("\n"), 1)]
    timed = any(_STAMP.match(_LEVEL.sub("", raw[:64], count=1)) for _, raw in physical)
    if not timed or any(_UNTIMED.match(line) for line in console[:_EARLY].split("\n")):
        for number, raw in physical:
            yield _untimed(number, raw[:LONGEST])
        return
    waiting: Line | None = None  # behind a program's half line; a kernel's if what follows agrees
    latest = 0.0
    for number, raw in physical:
        for line, sure in _pieces(number, raw):
            if waiting and line.time is not None:
                begun = waiting.time or 0.0
                if sure and latest <= begun <= line.time <= begun + _NEAR:
                    yield waiting
                waiting = None
            if sure:
                latest = line.time if line.time is not None else latest
                yield line
            elif waiting is None:
                waiting = line


def _untimed(number: int, raw: str) -> Line:
    """Return a line of a log whose lines need no times."""
    text = _LEVEL.sub("", raw, count=1) if _LEVEL.match(raw) else raw
    stamp = _STAMP.match(text)
    who = stamp or _CALLER.match(text)
    text = text[who.end() :] if who else text
    time = float(stamp["time"]) if stamp else None
    return Line(number, raw, text.rstrip(), time, who["caller"] or "" if who else "")


def _pieces(number: int, raw: str) -> Iterator[tuple[Line, bool]]:
    """Cut one line of a log at the times in it; the flag: surely a line of the kernel."""
    dropped = _DROPPED.match(raw)
    if dropped:
        yield Line(number, raw[:LONGEST], dropped[0].strip(), None, ""), True
        raw = raw[dropped.end() :]
    raw = _LEVEL.sub("", raw, count=1) if _LEVEL.match(raw) else raw
    stamps = list(_STAMP.finditer(raw))
    starts = [m for i, m in enumerate(stamps) if i == 0 or _glued(raw, m)]
    for i, m in enumerate(starts):
        end = starts[i + 1].start() if i + 1 < len(starts) else len(raw)
        text = raw[m.end() : min(end, m.end() + LONGEST)].rstrip()
        whole = raw[m.start() : min(end, m.start() + LONGEST)]
        line = Line(number, whole, text, float(m["time"]), m["caller"] or "")
        yield line, m.start() == 0 or (_glued(raw, m) and (i > 0 or not _tagged(raw, m)))


def _glued(raw: str, stamp: re.Match[str]) -> bool:
    """Whether a time stands right behind a word, as where one writer cut another one short.

    Who quotes a log puts a blank, a quotation mark or the like in front.
    """
    before = raw[stamp.start() - 1 : stamp.start()]
    return before.isalnum() or before in tuple(".:;,)]}%!?")


def _tagged(raw: str, stamp: re.Match[str]) -> bool:
    """Whether that is how grep, syslog and the like begin a line that they quote."""
    return raw[stamp.start() - 1] in ":)"
