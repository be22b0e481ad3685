# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights: what is kept of them, and what of a night is new."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pinrace.errors import Exit, InfrastructureError
from pinrace.matrix.file import Leg
from pinrace.matrix.journal import CellLine, LegResult
from pinrace.nightly import changes, github, history, leave, night, trend
from pinrace.nightly.changes import Change, Kind
from pinrace.nightly.history import Said, Spot
from pinrace.runs.journal import Run
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

LEG = Leg("debian:7.3", "pin-args", "x86_64", "plain", ("x86_64", "i386"), ("smoke",))
SPOT = Spot("debian:7.3", "pin-args", "x86_64", "plain", "i386", "smoke")
P, F, M, S = Verdict.PASS, Verdict.FAIL, Verdict.MISS, Verdict.SKIP


def leg(verdict: Verdict, stage: str = "run", cells: tuple[CellLine, ...] = ()) -> LegResult:
    return LegResult("k", LEG, verdict, "why", "linux 7.3.4", "", 1.0, stage, "r1", cells)


def row(verdicts: Sequence[Verdict | tuple[Verdict, str]]) -> Change:
    """The change of the last of these nights; each is (verdict, stage)."""
    pairs = [v if isinstance(v, tuple) else (v, "run") for v in verdicts]
    said = [
        Said(n, verdict, stage, "why", f"linux 7.3.{n}", f"key {n}", "", f"2026-11-{n:02}T03:00")
        for n, (verdict, stage) in enumerate(pairs, 1)
    ]
    (change,) = changes.compare({SPOT: list(reversed(said))}, len(pairs))
    return change


@pytest.mark.parametrize(
    ("verdicts", "kind", "note"),
    [
        ([P], Kind.NEW_SPOT, "PASS"),
        ([F], Kind.NEW_FAILURE, "why"),
        ([P, P], Kind.SAME, ""),
        ([P, F], Kind.NEW_FAILURE, "why"),
        ([P, F, F], Kind.STILL_FAILING, "since 2026-11-02: why"),
        ([P, F, M, F], Kind.STILL_FAILING, "since 2026-11-02: why"),
        ([P, F, P], Kind.FIXED, "failed since 2026-11-02"),
        ([P, F, P, F], Kind.NEW_FAILURE, "why"),
        ([P, F, P, F, P, F], Kind.FLAKY, "failed in 3 of 6 nights: why"),
        ([P, M], Kind.NOT_RUN, "why"),
        ([P, (F, "apply")], Kind.NO_LONGER_APPLIES, "why"),
        ([P, (F, "build")], Kind.NO_LONGER_BUILDS, "why"),
        ([P, (F, "apply"), (F, "apply")], Kind.STILL_FAILING, "since 2026-11-02: why"),
        ([P, (F, "apply"), F], Kind.NEW_FAILURE, "why"),
        ([P, S], Kind.SAME, ""),
        ([P, (S, "apply")], Kind.NO_LONGER_APPLIES, "why"),
        ([(S, "apply"), (S, "apply")], Kind.SAME, ""),
    ],
)
def test_kinds(verdicts: list[Verdict | tuple[Verdict, str]], kind: Kind, note: str) -> None:
    change = row(verdicts)
    assert (change.kind, change.note) == (kind, note)


def test_the_same_kernel_that_passed_and_fails_is_flaky() -> None:
    said = [Said(n, v, "run", "why", "linux", "same", "", "") for n, v in ((2, F), (1, P))]
    (change,) = changes.compare({SPOT: said}, 2)
    assert (change.kind, change.note) == (Kind.FLAKY, "failed in 1 of 2 nights: why")


def test_a_page_gets_the_nights_in_which_its_leg_ran() -> None:
    def said(night: int, verdict: Verdict) -> Said:
        return Said(night, verdict, "run", "why", "linux", str(night), f"r{night}", "")

    past = {SPOT: [said(4, F), said(2, P)]}
    nights = [(4, "2026-11-04T03"), (3, "2026-11-03T03"), (2, "2026-11-02T03")]
    shown = trend.of_leg(LEG, nights, past, changes.compare(past, 4))
    assert [(night.label, night.counts, night.run) for night in shown.nights] == [
        ("2026-11-02", ((P, 1),), "r2"),
        ("2026-11-04", ((F, 1),), "r4"),
    ]
    (one,) = shown.trends
    assert (one.cell, one.verdicts) == ("x86_64-i386-plain-smoke", (P, F))
    assert one.note == "new failure: why"
    other = Leg(**{**LEG.facts, "tree": "debian:7.2"})
    assert trend.of_leg(other, nights, past, []).nights == ()


def test_a_spot_that_is_no_longer_run_is_not_spoken_of() -> None:
    assert changes.compare({SPOT: [Said(1, P, "run", "", "", "", "")]}, 2) == []


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([P, F], Exit.KERNEL),
        ([P, (F, "apply")], Exit.BUILD),
        ([P, M], Exit.INFRA),
        ([F, F], Exit.OK),
        ([F, P], Exit.OK),
        ([P, P], Exit.OK),
    ],
)
def test_the_exit_code_is_about_what_is_new(
    verdicts: list[Verdict | tuple[Verdict, str]], code: Exit
) -> None:
    assert changes.exit_code_of_news([row(verdicts)]) == code


def test_nights_are_kept_and_read_back(tmp_path: Path) -> None:
    cells = (
        CellLine("x86_64", "smoke", 1, P, 6, 6),
        CellLine("i386", "smoke", 1, P, 6, 6),
        CellLine("i386", "smoke", 2, F, 5, 6, "case a fails"),
    )
    path = tmp_path / history.FILE
    with history.opened(path) as db:
        assert history.add(db, "m", "2026-11-01T03:00", [leg(P)]) == 1
        assert history.add(db, "other", "2026-11-01T04:00", [leg(F)]) == 2
        assert history.add(db, "m", "2026-11-02T03:00", [leg(F, cells=cells)]) == 3
    with history.opened(path) as db:
        past = history.past(db, "m", 10)
        assert history.versions(db, "m") == {"debian:7.3": "linux 7.3.4"}
        assert history.nights(db, "m", 1) == [(3, "2026-11-02T03:00")]
    assert [(s.night, s.verdict, s.reason) for s in past[SPOT]] == [
        (3, F, "case a fails"),
        (1, P, "why"),
    ]
    assert past[SPOT][0].run == "r1"


def test_a_leg_that_was_left_out_is_no_part_of_a_night(tmp_path: Path) -> None:
    out = LegResult("", Leg(**{**LEG.facts, "excluded": "why"}), S, "left out", "", "", 0.0)
    with history.opened(tmp_path / history.FILE) as db:
        night = history.add(db, "m", "2026", [out])
        assert history.past(db, "m", 10) == {}
        assert history.nights(db, "m", 5) == [(night, "2026")]


def test_a_night_that_fails_half_way_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / history.FILE
    with pytest.raises(KeyboardInterrupt), history.opened(path) as db:  # noqa: PT012
        history.add(db, "m", "2026", [leg(P)])
        raise KeyboardInterrupt
    with history.opened(path) as db:
        assert history.nights(db, "m", 5) == []


def test_a_damaged_or_newer_history_is_said(tmp_path: Path) -> None:
    path = tmp_path / history.FILE
    path.write_bytes(b"no database" * 100)
    with pytest.raises(InfrastructureError, match="cannot be used"), history.opened(path):
        pass
    path.unlink()
    sqlite3.connect(path).execute("PRAGMA user_version = 99")
    with pytest.raises(InfrastructureError, match="version 99"), history.opened(path):
        pass


def test_github_is_told_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    found = [row([P, F]), row([P, P]), row([F, F])]
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert github.tell(found, "x") == []
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    (line,) = github.tell(found, "## Night\n")
    assert line.startswith("::error title=new failure%3A debian%3A7.3 pin-args i386")
    assert line.endswith("::why")
    assert summary.read_text() == "## Night\n"


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([leg(P), leg(S)], Exit.OK),
        ([leg(P), leg(F)], Exit.KERNEL),
        ([leg(F, "build"), leg(M)], Exit.BUILD),
        ([leg(P), leg(M)], Exit.INFRA),
        ([leg(Verdict.INCONCLUSIVE)], Exit.INFRA),
        ([], Exit.INFRA),
    ],
)
def test_the_code_of_a_whole_night_counts_old_failures(
    results: list[LegResult], code: Exit
) -> None:
    assert changes.exit_code_of_all(results) == code


def test_a_history_of_before_the_facts_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / history.FILE
    with history.opened(path) as db:
        history.add(db, "m", "2026-11-01T03:00", [leg(P)])
        db.execute("DROP TABLE fact")
        db.execute("PRAGMA user_version = 1")
    with history.opened(path) as db:
        assert history.facts(db, "m") == {}
        history.add_facts(db, 1, {"series s": "a"})
        assert history.nights(db, "m", 5) == [(1, "2026-11-01T03:00")]
        assert history.facts(db, "m") == {"series s": "a"}
        assert history.facts(db, "another") == {}


def test_what_moved_is_what_a_night_ran_with_and_the_last_did_not() -> None:
    had = {"series s": "a", "QEMU arm64": "7.2"}
    have = {"series s": "b", "QEMU arm64": "7.2", "pinrace": "1"}
    assert night._changed(had, have) == ("series s: a → b",)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a night with one leg that ran a cell, and one that did not build."""
    with Run.create(["pinrace"], root=tmp_path, tree={}) as run:
        cell = Cell("x86_64", "i386", "plain", "smoke")
        run.cell_end(CellResult(cell, F, "case a fails", (CaseResult("a", CaseStatus.FAIL),)))
        run.end(Exit.KERNEL)
    ran = replace(leg(F), run=run.id)
    broken = replace(leg(F, "build"), run="", reason="does not build: <b>&")
    moved, found = ["debian:7.3: 1 → 2"], [row([P, F]), row([P, P])]
    night7 = leave.Left(7, F, 1, "## Night 7\n", moved, found, [ran, broken])
    return leave.write(tmp_path, "m", night7)


def test_a_night_leaves_one_folder_for_people_and_programs(left: Path) -> None:
    assert (left.parent / "latest").resolve() == left
    facts = json.loads((left / "summary.json").read_text())
    assert (facts["night"], facts["verdict"], facts["exit_code"]) == (7, "FAIL", 1)
    assert [change["kind"] for change in facts["changes"]] == ["new failure"]
    suites = ElementTree.parse(left / "junit.xml").getroot()  # noqa: S314 (ours)
    assert [(s.get("tests"), s.get("failures"), s.get("errors")) for s in suites] == [
        ("2", "2", "0"),
        ("1", "0", "1"),
    ]
    page = (left / "index.html").read_text()
    assert "does not build: &lt;b&gt;&amp;" in page
    assert "<b>" not in page


@pytest.mark.parametrize("verdict", Verdict)
def test_a_badge_has_a_word_and_not_only_a_colour(verdict: Verdict) -> None:
    image = ElementTree.fromstring(leave.badge(verdict))  # noqa: S314 (ours)
    assert len("".join(image.itertext())) > len("pinrace")
