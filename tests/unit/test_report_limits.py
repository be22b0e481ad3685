# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of guests that mean harm, and of runs that are too large to be shown whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import report_runs as runs
from report_page import CELL, one_cell, parse, words

from pinrace.report import limits, text
from pinrace.report.gather import gather
from pinrace.report.render import render
from pinrace.values import CaseResult, CaseStatus, CellResult, Verdict

# Guests that mean harm


def test_nothing_of_a_guest_is_markup(tmp_path: Path) -> None:
    folder = runs.hostile(tmp_path)
    html = render(gather(folder), history=None, links=True)
    tree = parse(html)
    assert not list(tree.iter("img"))
    assert len(list(tree.iter("script"))) == len(list(tree.iter("style"))) == 1
    assert not [a for e in tree.iter() for a in e.attrib if a.startswith("on") or a == "style"]
    assert not [e for e in tree.iter() if e.get("href", "").startswith(("javascript", "http"))]
    assert text.visible(html) == html
    said = words(tree)
    for evil in runs.EVIL:
        assert " ".join(text.visible(evil).split()) in said
    assert "\\xff\\xfe\\xc0\\x80 utf-8" in said


def test_a_folder_outside_of_the_run_is_not_read(tmp_path: Path) -> None:
    run = runs.start(tmp_path / "runs", [CELL])
    (tmp_path / "console.log").write_text("secret")
    result = CellResult(CELL, Verdict.PASS, "", folder=tmp_path)
    run.cell_end(result)
    section = gather(run.folder).sections[0]
    assert (section.console, section.folder) == (None, "")


# Size


@pytest.mark.slow
def test_many_cells(tmp_path: Path) -> None:
    folder = runs.large(tmp_path)
    page = gather(folder)
    assert len(page.sections) == 500
    html = render(page)
    assert len(html.encode()) < 12 * limits.MIB
    assert html.count('<article class="cell') == 500
    # All cases are named, and what a cell that failed printed is whole.
    assert not any(section.cases.left_out for section in page.sections)
    for section in page.sections:
        if section.verdict is Verdict.FAIL:
            assert section.console
            assert not section.console.skipped


@pytest.mark.slow
def test_a_page_is_never_larger_than_it_may_be(tmp_path: Path) -> None:
    cells = [dataclasses.replace(CELL, repeat=n) for n in range(1, limits.SECTIONS + 11)]
    run = runs.start(tmp_path, cells)
    run.add_facts(
        argv=["<\x00" * 10_000],
        tree=runs.TREE | {"subjects": ["\x00<" * 5_000] * 200},
        again={"build": ["<" * 5_000], "test": []},
    )
    evil = "<\u202e\"'&" * 500
    console = "".join(f"{n} <\x00\u202e&\n" for n in range(2_000)).encode()
    for cell in cells:
        folder = run.cell_folder(cell)
        (folder / "console.log").write_bytes(console)
        (folder / "qemu.txt").write_text(evil)
        for number in range(20):
            (folder / f"{number:0100}").touch()
        cases = [CaseResult(f"{n}", CaseStatus.FAIL, evil[:100], ("<",) * 3) for n in range(20)]
        cases[0] = CaseResult(evil, CaseStatus.FAIL, evil, (evil, evil))
        cases += [CaseResult(f"good <{n}", CaseStatus.PASS) for n in range(200)]
        new = tuple(case.name for case in cases if case.status.bad)
        result = CellResult(
            cell,
            Verdict.FAIL,
            f"{cell.repeat}{evil}",
            tuple(cases),
            new=new,
            notes=(evil,) * 15,
            folder=folder,
        )
        run.cell_end(result)
    page = gather(run.folder)
    assert len(page.sections) == limits.SECTIONS
    assert page.left_out == 10
    size = len(render(page, history=runs.history(500), links=True).encode())
    assert size <= limits.LARGEST
    assert size > limits.LARGEST / 2  # else this test says little


def test_what_is_cut_is_said(tmp_path: Path) -> None:
    noise = b"".join(b"[%5d.000000] noise %d\r\n" % (n, n) for n in range(60_000))
    names = [f"case_{n:06}_{'x' * 50}" for n in range(6_000)]
    section = one_cell(
        tmp_path, runs.kselftest(names), console=b"[    0.000000] Linux version 7\r\n" + noise
    )
    assert section.console
    assert section.console.skipped > 10_000
    assert section.cases.left_out > 1_000
    said = words(parse(render(gather(tmp_path / "latest"))))
    assert f"{section.console.skipped} lines are left out here" in said
    assert f"{section.folder}/console.log in the run's folder" in said
    assert f"{section.cases.left_out} more cases are in" in said


# The command
