# SPDX-License-Identifier: GPL-2.0-or-later
"""Trends over nights: rates with their intervals, numbers, what changed, and the site."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import html5lib
import pytest

from pinrace.cli.main import main
from pinrace.matrix.file import Leg
from pinrace.matrix.journal import CellLine, LegResult
from pinrace.nightly import history, measures, site, trends
from pinrace.nightly.trends import Rate
from pinrace.runs.journal import Run
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

ABIS = ("x86_64", "i386")
SUITES = ("smoke", "gates")
LEG = Leg("mainline", "s", "x86_64", "plain", ABIS, SUITES)
BAD = "knob <b>"


def _leg(run: str, bad: str = "", version: str = "7.3") -> LegResult:
    cells = tuple(
        CellLine(abi, suite, 1, Verdict.FAIL if suite == bad else Verdict.PASS, 1, 2, "why")
        for abi in ABIS
        for suite in SUITES
    )
    verdict = Verdict.FAIL if bad else Verdict.PASS
    return LegResult("k", LEG, verdict, "why", version, "now", 1.0, "run", run, cells)


def _night(root: Path, day: int, bad: str = "", **facts: str) -> None:
    """A night as `nightly` keeps it."""
    sizes = {"x86_64 plain": (8 + day) << 20}
    with Run.create(["pinrace", "nightly"], root=root, sizes=sizes) as run:
        for abi in ABIS:
            for suite in SUITES:
                cell = Cell("x86_64", abi, "plain", suite)
                folder = run.cell_start(cell)
                (folder / "console.log").write_text(
                    f"[    0.000000] Linux version\n[    1.{day}00000] Run /init as init process\n"
                )
                status = CaseStatus.FAIL if suite == bad else CaseStatus.PASS
                cases = (CaseResult("fine", CaseStatus.PASS), CaseResult(BAD, status))
                verdict = Verdict.FAIL if suite == bad else Verdict.PASS
                run.cell_end(CellResult(cell, verdict, "why", cases, seconds=day, folder=folder))
        run.end(0)
    leg = _leg(run.id, bad, version=facts.pop("version", "7.3"))
    with history.opened(root / history.FILE) as connection:
        number = history.add(connection, "m", f"2026-12-{day:02}T02:00:00", [leg])
        history.add_facts(connection, number, facts)
        measures.add(connection, number, [leg], root)


@pytest.fixture
def root(own_cache: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    _night(folder, 1, qemu="7.2")
    _night(folder, 2, bad="gates", qemu="7.2")
    _night(folder, 3, bad="gates", qemu="10.0", version="7.4")
    _night(folder, 4, qemu="10.0", version="7.4")
    return folder


def _read(root: Path) -> trends.Trends:
    with history.opened(root / history.FILE) as connection:
        return trends.read(connection, "m")


@pytest.mark.parametrize(
    ("passed", "told", "low", "high"),
    [(0, 0, 0.0, 1.0), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634)],
)
def test_the_interval_is_wilsons(passed: int, told: int, low: float, high: float) -> None:
    """Numbers: Newcombe, Statistics in Medicine 17 (1998), method 3."""
    assert Rate(passed, told).interval == pytest.approx((low, high), abs=1e-3)


def test_rates_are_by_whatever_is_asked(root: Path) -> None:
    found = _read(root)
    suites = {line.name: line for line in found.lines["suite"]}
    assert (suites["gates"].rate, suites["smoke"].rate) == (Rate(4, 8), Rate(8, 8))
    assert suites["gates"].changed == "2026-12-04"
    assert suites["smoke"].changed == ""
    assert [v.value for v in suites["gates"].verdicts if v] == ["PASS", "FAIL", "FAIL", "PASS"]
    assert {line.name: line.rate for line in found.lines["abi"]} == {
        "i386": Rate(6, 8),
        "x86_64": Rate(6, 8),
    }
    assert [line.name for line in found.lines["tree"]] == ["mainline"]
    assert len(found.lines["spot"]) == 4
    (case,) = found.cases
    assert (case.name, case.rate) == (f"gates {BAD}", Rate(4, 8))


def test_numbers_and_what_changed(root: Path) -> None:
    found = _read(root)
    curves = {curve.name: curve.values for curve in found.curves}
    assert curves["size: mainline s x86_64 plain"] == (9, 10, 11, 12)
    assert curves["boot: mainline s i386 plain smoke"] == (1.1, 1.2, 1.3, 1.4)
    assert curves["seconds: mainline s i386 plain smoke"] == (1, 2, 3, 4)
    assert curves["good: mainline s i386 plain gates"] == (2, 1, 1, 2)
    (step,) = found.steps
    assert step.began == "2026-12-03"
    assert step.lines == ("qemu: 7.2 → 10.0", "tree mainline: 7.3 → 7.4")


def test_a_history_of_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / history.FILE
    with sqlite3.connect(path) as old:
        for statement in history._TABLES.split(";"):
            old.execute(statement)
        old.execute("INSERT INTO night (matrix, began) VALUES ('m', '2026-01-01')")
        old.execute("PRAGMA user_version = 1")
    with history.opened(path) as connection:
        assert len(trends.read(connection, "m").nights) == 1


def test_the_site_loads_nothing_and_shows_all(root: Path, tmp_path: Path) -> None:
    path = site.write(tmp_path / "site", _read(root))
    text = path.read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert "gates knob &lt;b&gt;" in text
    assert "<script" not in text
    assert "http" not in text.split("</head>")[1]
    assert (path.parent / ".nojekyll").exists()
    gates = next(line for line in _read(root).lines["suite"] if line.name == "gates")
    paths = dict(site.strip(gates))
    assert paths["fail"].count("M") == paths["pass"].count("M") == 2


def test_a_thousand_nights_stay_small() -> None:
    """A strip takes some bytes a night, whatever it shows."""
    verdicts = (Verdict.PASS, Verdict.FAIL) * 500
    line = trends.Line("x", Rate(500, 1000), verdicts)
    assert sum(len(path) for _, path in site.strip(line)) < 1000 * 16


def test_the_command(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trends", "--by", "suite"]) == 0
    out = capsys.readouterr().out
    assert "gates\n  ·FF·" in out
    assert "50.0 % (21.5 to 78.5)" in out
    assert "tree mainline: 7.3 → 7.4" in out
    assert max(map(len, out.splitlines())) <= 100
    assert main(["trends", "m", "--by", "case"]) == 0
    assert main(["trends", "--site", str(tmp_path / "site")]) == 0
    assert main(["trends", "other"]) == 2
