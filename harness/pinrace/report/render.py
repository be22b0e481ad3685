# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's page, written.

One file that fetches nothing and lets nothing be fetched: its policy allows the one style and the
one script in it, by their digests, and no other.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pinrace import store
from pinrace.errors import InfrastructureError
from pinrace.report.gather import gather
from pinrace.report.limits import LINKS, NIGHTS, TRENDS
from pinrace.report.model import History, Page
from pinrace.report.pictures import HEIGHT, WIDTH
from pinrace.report.text import visible
from pinrace.values import GRAVEST, CaseStatus, Verdict

FILE_NAME = "report.html"

_HERE = Path(__file__).parent
_SYMBOLS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.MISS: "!",
    Verdict.SKIP: "\u2013",  # a dash that is as wide as the others
    CaseStatus.XFAIL: "✓",
    CaseStatus.TIMEOUT: "✗",
    CaseStatus.ERROR: "✗",
}
_TONES = {
    CaseStatus.XFAIL: "pass",
    CaseStatus.TIMEOUT: "fail",
    CaseStatus.ERROR: "fail",
}


def write(folder: Path, output: Path | None = None, *, history: History | None = None) -> Path:
    """Write the page of a run and return where it is; `output` replaces <folder>/report.html.

    history: what past nights said.  Raises as `gather` does, and InfrastructureError when the
    page cannot be written.
    """
    path = output or folder / FILE_NAME
    inside = path.resolve().parent == folder.resolve()
    html = render(gather(folder), history=history, links=inside)
    try:
        store.write(path, html)
    except OSError as exc:
        why = exc.strerror or exc
        raise InfrastructureError(
            f"the report cannot be written to {path}: {why}", hint="pinrace report --output FILE"
        ) from exc
    return path


def render(page: Page, *, history: History | None = None, links: bool = False) -> str:
    """Return the page as HTML; links: it lies in the run's folder, so that files can be opened."""
    style, script = (asset(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{hashed(style)}'; script-src '{hashed(script)}'"
    )
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            history=_latest(history) if history else None,
            links=links,
            style=Markup(style),  # noqa: S704 (a file of ours)
            script=Markup(script),  # noqa: S704 (a file of ours)
            policy=policy,
            most_links=LINKS,
        )
    )


def _latest(history: History) -> History:
    """Return the part of a history that fits."""
    skip = max(0, len(history.nights) - NIGHTS)
    trends = tuple(
        type(trend)(trend.cell, trend.verdicts[skip:], trend.note)
        for trend in history.trends[:TRENDS]
    )
    return History(history.nights[skip:], trends)


@functools.cache
def environment() -> Environment:
    """Return the templates' surroundings: every text that they print is visible and escaped."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "symbol": lambda status: _SYMBOLS[status],
        "tone": lambda status: _TONES.get(status, str(status.value).lower()),
        "bytes": _bytes,
        "duration": duration,
        "url": lambda path: quote(str(path)),
    }
    made.globals |= {"GRAVEST": GRAVEST, "width": WIDTH, "height": HEIGHT}
    return made


def _finalize(value: object) -> object:
    """Make what a template prints visible, unless it is markup of a template."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def duration(seconds: float | None) -> str:
    """Return a time for people: 5 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bytes(size: int) -> str:
    """Return a size for people."""
    return f"{size} bytes" if size < 1024 else f"{size / 1024:,.0f} KiB"


@functools.cache
def asset(name: str) -> str:
    """Return a file that goes into a page."""
    return (_HERE / name).read_text()


def hashed(content: str) -> str:
    """Return how a policy names the content of an element."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
