# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as a mail that a maintainer reads on a list: a paragraph, a table, how to run it again.

Plain text of at most 75 columns, but for commands and a kernel's own lines, which stay whole.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from pinrace.runs import commands, issues, journal, summary
from pinrace.values import CaseStatus, CellResult, Verdict, gravest
from pinrace.visible import one_line, visible

WIDTH = 75
LINES = 25  # of a report of a kernel
FAILURES = 5  # cells that are told at length
# RFC 5322 has only ASCII in one, and no control; what else stands there would be a header's
_MESSAGE_ID = re.compile(r"<?([!-.0-;=?-~]+@[!-.0-;=?-~]+)>?\Z")


@dataclass(frozen=True)
class Letter:
    """What a run comes to, before it has a sender."""

    subject: str
    body: str  # without the trailer
    verdict: Verdict
    reply_to: str = ""  # the message id of the series, without <>; "" when it came from no list

    def text(self, sender: str) -> str:
        """Return the body with the trailer that fits: Tested-by, Reported-by, or none."""
        trailer = {Verdict.PASS: "Tested-by", Verdict.FAIL: "Reported-by"}.get(self.verdict)
        return f"{self.body}\n{trailer}: {sender}\n" if trailer and sender else self.body

    def message(self, sender: str, to: Sequence[str], cc: Sequence[str] = ()) -> EmailMessage:
        """Return it as a mail, an answer to the series' own where that is known."""
        mail = EmailMessage()
        mail["From"] = sender
        mail["To"] = ", ".join(to)
        if cc:
            mail["Cc"] = ", ".join(cc)
        mail["Subject"] = self.subject
        mail["Date"] = formatdate(localtime=True)
        mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip("> ") or None)
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice answers it
        if _MESSAGE_ID.fullmatch(self.reply_to):  # a stranger chose it
            mail["In-Reply-To"] = mail["References"] = f"<{self.reply_to}>"
        mail.set_content(self.text(sender), cte="8bit")
        return mail


def letter(folder: Path, *, url: str = "") -> Letter:
    """Return what is to be said of a run; url: where its page is served.

    Raises UserError for what is no run, InfrastructureError for a damaged one.
    """
    manifest = journal.manifest(folder)
    results = journal.load(folder)
    tree = manifest.get("tree") or {}
    verdict = gravest(result.verdict for result in results)
    what = str(tree.get("series") or "the tree as it is")
    on = f"linux {tree.get('version', 'unknown')}"
    parts = [
        _wrapped(_paragraph(manifest, tree, results)),
        "\n".join(_table(results)),
        *_failures(results, manifest),
    ]
    if url:
        parts.append(f"The whole of it: {url}")
    parts.append(_wrapped(f"Made by pinrace {manifest.get('project', '')}, run {folder.name}."))
    body = "\n\n".join(part for part in parts if part) + "\n"
    said = one_line(f"{verdict.value}: {what} on {on}: {summary.sentence(results)}")
    subjects = tree.get("subjects") or ()
    reply_to = _message_id(str(tree.get("series_origin") or ""))
    if reply_to and subjects:
        said = one_line(f"Re: {subjects[0]}")
    return Letter(said, body, verdict, reply_to)


def _message_id(origin: str) -> str:
    """Return the message id in an origin, which may be a URL of an archive; "" for none."""
    match = _MESSAGE_ID.search(origin.rstrip("/").rpartition("/")[2])
    return match[1] if match else ""


def _wrapped(text: str) -> str:
    return textwrap.fill(visible(text), WIDTH, break_long_words=False, break_on_hyphens=False)


def _paragraph(
    manifest: Mapping[str, Any], tree: Mapping[str, Any], results: Sequence[CellResult]
) -> str:
    """Say what was tested on what, and what came of it."""
    version = f"linux {tree.get('version', 'unknown')} ({tree.get('verified', 'NOT VERIFIED')})"
    abis = ", ".join(dict.fromkeys(result.cell.abi for result in results))
    number = len(tree.get("patches") or ())
    patches = f"{number} {'patch' if number == 1 else 'patches'}"
    if tree.get("series"):
        digest = str(tree.get("series_digest") or "")[:16]
        what = f"I ran this series ({tree['series']}, {patches}, sha256 {digest}) on {version}"
    else:
        what = f"I ran {version} as it is"
    beside = "; the unpatched tree ran beside it" if manifest.get("compared") else ""
    return f"{what}, in QEMU guests of {abis or 'no ABI'}{beside}. {summary.sentence(results)}."


def _table(results: Sequence[CellResult]) -> list[str]:
    """Return a line a cell: where, what, the verdict, and how many cases."""
    rows = [("ABI", "suite", "verdict", "new", "good", "skipped")]
    for result in results:
        good = sum(case.status in (CaseStatus.PASS, CaseStatus.XFAIL) for case in result.cases)
        skip = sum(case.status is CaseStatus.SKIP for case in result.cases)
        cell = result.cell
        where = cell.abi if cell.flavor == commands.PLAIN else f"{cell.abi} {cell.flavor}"
        new = len(result.new) + len(summary.new_splats(result))
        numbers = (str(new), str(good), str(skip))
        rows.append((where, cell.suite, result.verdict.value, *numbers))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[1] = min(widths[1], 30)
    return [
        "  ".join(
            text[:width].ljust(width) if column < 3 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _failures(results: Sequence[CellResult], manifest: Mapping[str, Any]) -> list[str]:
    """Tell of each cell that failed: what, its first report, and how to run it again."""
    how = commands.shown(manifest)
    bad = [result for result in results if result.verdict is Verdict.FAIL]
    found = []
    for result in bad[:FAILURES]:
        cell = result.cell
        lines = [_wrapped(f"{cell.suite} on {cell.abi}, {cell.flavor}: {one_line(result.reason)}")]
        new = summary.new_cases(result)
        lines += [f"  {summary.about(case)}" for case in new[: summary.MOST]]
        known = [note for note in result.notes if note.startswith(issues.KNOWN)]
        lines += [_wrapped(one_line(note)) for note in known]
        for splat in summary.new_splats(result)[:1]:
            text = visible(splat.text).split("\n")
            lines += ["", *(f"  {line.rstrip()}" for line in text[:LINES])]
            lines += [f"  [{len(text) - LINES} more lines]"] if len(text) > LINES else []
        lines.append("")
        if how:
            lines += ["To run it again:", f"  {one_line(commands.rerun(cell, how, only=new))}"]
        for note in result.notes:
            if note.startswith(commands.REPLAY):
                lines += ["To replay it, instruction by instruction:"]
                lines += [f"  {one_line(note.removeprefix(commands.REPLAY))}"]
        found.append("\n".join(lines))
    if len(bad) > FAILURES:
        found.append(f"{len(bad) - FAILURES} more cells failed.")
    return found
