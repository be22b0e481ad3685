# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of KTAP and TAP, one at a time: what kind each is and what it says.

What a line means for its neighbours is the business of pinrace.suites.ktap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pinrace.values import CaseStatus, Mark

# "[   12.345678] ", with the caller of CONFIG_PRINTK_CALLER and the level of a raw /dev/kmsg
_PRINTK = re.compile(r"(?:<[0-9]+>)?\[ *[0-9]+\.[0-9]+\](?:\[ *[TC][0-9]+\])? ?")
_ENDS = re.compile(r"\r\n|\n|\r")  # TAP 14: a carriage return ends a line too
_COLOUR = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-Za-z])")
# runner.sh indents by "# ", everybody else by spaces, old KUnit by tabs
_INDENT = re.compile(r"(?:# |[ \t])*")
_VERSION = re.compile(r"K?TAP version [0-9]+")
_PLAN = re.compile(r"1\.\.(?P<count>[0-9]{1,9})(?:[ \t]*(?:#|(?=[Ss][Kk][Ii][Pp]))(?P<note>.*))?")
_RESULT = re.compile(
    r"(?P<bad>not[ \t]+)?ok(?:[ \t]+(?P<number>[0-9]{1,9})(?=[ \t:#-]|$)(?P<rest>.*)"
    r"|(?:[ \t]+(?P<bare>.*))?)"
)
_HUGE = re.compile(r"[0-9]{10,}(?:[ \t]|$)")  # a number that nobody counts to
_BAIL = re.compile(r"Bail out!(?P<why>.*)", re.I)
_TOTALS = re.compile(r"Totals:(?P<counts>(?: [a-z]+:[0-9]{1,9})+)")
_COUNT = re.compile(r" (?!total:)[a-z]+:([0-9]+)")
# What follows a result whose format lacks its \n: kselftest.h's last words, or another printk
_GLUED = re.compile(
    r"# (?:Totals: |[0-9]+ skipped test\(s\) detected|Planned tests != run tests)"
    r"|\[ *[0-9]+\.[0-9]{6}\](?:\[ *[TC][0-9]+\])? "
)
_HASH = re.compile(r"(?P<escape>\\*)#")
_WORD = re.compile(r"[ \t]*(?P<word>[A-Za-z]+)(?P<next>[\w=])?")
_DIRECTIVES = frozenset({"SKIP", "TODO", "XFAIL", "XPASS", "TIMEOUT", "ERROR"})
_SKIPPED = re.compile(r"[ \t]*skipped(?![\w=])(?![ \t]+[0-9])", re.I)
# What kselftest_harness.h prints around each case, of which the result line says as much
_CEREMONY = re.compile(r"(?:# )*# *(?:(?:RUN|OK|FAIL) +\S.*|\S+: Test (?:failed|passed))")


class Kind(Enum):
    """What a line is."""

    VERSION = "version"
    SUBTEST = "subtest"  # text: the name
    PLAN = "plan"  # number: how many; text: its comment
    RESULT = "result"  # good, number, text: all behind the number
    BAIL = "bail out"  # text: why
    TOTALS = "totals"  # number: of all results
    YAML = "yaml"  # "---": what is below it belongs to the result above it
    BRACE = "brace"  # "{" or "}": a subtest whose result came first
    OTHER = "other"


@dataclass(frozen=True)
class Line:
    """One line, taken apart."""

    kind: Kind
    indent: str = ""
    text: str = ""
    number: int | None = None
    good: bool = True
    glued: str = ""  # what follows a result on its line and is another line


@dataclass(frozen=True)
class Said:
    """What a result line says behind its number."""

    name: str
    status: CaseStatus
    reason: str = ""
    mark: Mark = Mark.NONE


def split(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of an output, and whether an end of line ended each."""
    lines = _ENDS.split(text.removeprefix("\ufeff"))
    cut = lines.pop()
    yield from ((line, True) for line in lines)
    if cut:
        yield cut, False


def says_nothing(line: str) -> bool:
    """Whether a line of diagnostics says no more than the result that it belongs to."""
    return not line.strip("# \t") or _CEREMONY.fullmatch(line) is not None


def same(full: str, short: str) -> bool:
    """Whether kselftest_harness's short test name is that of `fixture.variant.test`."""
    return full == short or full.endswith(f".{short}")


def read(line: str) -> Line:
    """Take a line apart; linear in its length."""
    text = line.replace("\0", "")
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    text = text[m.end() :] if (m := _PRINTK.match(text)) else text
    text = text.rstrip()
    m = _INDENT.match(text)
    indent, body = (m[0], text[m.end() :]) if m else ("", text)
    return _marked(indent, body) or _result(indent, body) or Line(Kind.OTHER, indent, body)


def _marked(indent: str, body: str) -> Line | None:
    """Return a line that begins with a word of its own."""
    remark = indent[:-2] if indent.endswith("# ") else None
    if remark is not None and body.startswith("Subtest: "):
        return Line(Kind.SUBTEST, remark, body.removeprefix("Subtest: ").strip())
    if remark is not None and (m := _TOTALS.fullmatch(body)):
        return Line(Kind.TOTALS, remark, number=sum(map(int, _COUNT.findall(m["counts"]))))
    if _VERSION.fullmatch(body):
        return Line(Kind.VERSION, indent)
    if body.startswith("1..") and (m := _PLAN.fullmatch(body)):
        return Line(Kind.PLAN, indent, (m["note"] or "").strip(), int(m["count"]))
    if m := _BAIL.fullmatch(body):
        return Line(Kind.BAIL, indent, m["why"].strip())
    if body == "---":
        return Line(Kind.YAML, indent)
    return Line(Kind.BRACE, indent, body) if body in ("{", "}") else None


def _result(indent: str, body: str) -> Line | None:
    """Return a result line."""
    m = _RESULT.fullmatch(body) if body.startswith(("ok", "not")) else None
    if not m:
        return None
    rest, good = m["rest"] or m["bare"] or "", not m["bad"]
    if good and m["number"] is None and _HUGE.match(rest):
        return None
    glued = ""
    if found := _GLUED.search(rest):
        rest, glued = rest[: found.start()], rest[found.start() :]
    number = int(m["number"]) if m["number"] else None
    return Line(Kind.RESULT, indent, rest.lstrip(" \t:").rstrip(), number, good, glued)


def said(text: str, *, good: bool) -> Said:
    """Return what a result line says behind its number."""
    text = "" if text == "-" else text.removeprefix("- ").strip()
    status = CaseStatus.PASS if good else CaseStatus.FAIL
    note = None
    for m in _HASH.finditer(text):
        if len(m["escape"]) % 2:
            continue
        at = m.end()
        begins = m.start() == 0 or text[m.start() - 1].isspace()
        if word := _directive(text, at, good=good, begins=begins):
            return _directed(text[: at - 1], word, text, at, status)
        if note is None and begins and (at == len(text) or text[at].isspace()):
            note = at
    if note is None:
        return Said(_plain(text), status)
    reason = text[note:].strip()
    return Said(_plain(text[: note - 1]) or reason, status, reason)


def _directive(text: str, at: int, *, good: bool, begins: bool) -> str:
    """Return the directive that stands there, in capitals; "" for none.

    A directive is that word and not one that begins so.  TAP 13 lets `skipped` be one: that turns
    no failure into a skip here.  An `ok` is an error only where a directive says so in capitals.
    """
    m = _WORD.match(text, at)
    if not m:
        return ""
    word = m["word"].upper()
    if good and begins and _SKIPPED.match(text, at):
        return "SKIP"
    if word not in _DIRECTIVES or m["next"]:
        return ""
    shouted = m["word"] == word
    if good:
        return word if (shouted or word not in ("TIMEOUT", "ERROR")) and (begins or shouted) else ""
    return word if begins else ""


def _directed(name: str, word: str, text: str, at: int, status: CaseStatus) -> Said:
    """Return a result with a directive."""
    m = _WORD.match(text, at)
    reason = text[m.end() if m else at :].strip().removeprefix(":").removeprefix("- ").strip()
    # ksft_test_result_skip() and its kin print the name after the directive
    name = _plain(name) or reason
    if word == "TODO":
        if status is CaseStatus.FAIL:
            return Said(name, CaseStatus.XFAIL, reason, Mark.TODO)
        return Said(name, status, reason)
    return Said(name, status if word == "XPASS" else CaseStatus(word), reason)


def _plain(name: str) -> str:
    """Return a name without TAP's escapes."""
    return name.strip().replace("\\#", "#")
