# SPDX-License-Identifier: GPL-2.0-or-later
"""A page as a browser sees it, and one of a single cell."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import report_runs as runs

from pinrace.report.gather import gather
from pinrace.report.model import Section
from pinrace.values import Cell

CELL = Cell("arm64", "arm", "plain", "pin_args")


def parse(html: str) -> Element:
    """The page as a tree; a page that is not sound HTML raises."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree: Element = parser.parse(html)
    return tree


def words(it: Element) -> str:
    """What a person reads."""
    return " ".join("".join(it.itertext()).split())


def one_cell(root: Path, output: str, **more: object) -> Section:
    """The section of a run's only cell."""
    run = runs.start(root, [CELL])
    result = runs.end_cell(run, CELL, output, **more)  # type: ignore[arg-type]
    run.finish([result], exit_code=0)
    return gather(run.folder).sections[0]
