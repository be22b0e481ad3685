# SPDX-License-Identifier: GPL-2.0-or-later
"""Known issues: what the runs saw, what a maintainer says, and that a verdict stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from pinrace.cli.main import main
from pinrace.engine import batch
from pinrace.errors import InfrastructureError, UserError
from pinrace.report.gather import gather
from pinrace.report.render import render
from pinrace.runs import issues, kcidb, prune, sightings, summary
from pinrace.runs.journal import Run
from pinrace.runs.sightings import Fault
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Splat, Verdict

SPLAT = Splat("kasan", "BUG: KASAN: use-after-free in frob", 3, "text", "kasan: frob < knob")
OTHER = Splat("warn", "WARNING: frob.c:12", 3, "text", "warn: frob_init")
CELL = Cell("x86_64", "i386", "plain", "smoke")


def _result(*splats: Splat, cell: Cell = CELL, bad: str = "") -> CellResult:
    cases = (CaseResult("fine", CaseStatus.PASS),)
    cases += (CaseResult(bad, CaseStatus.FAIL),) if bad else ()
    failed = bool(splats or bad)
    verdict = Verdict.FAIL if failed else Verdict.PASS
    new = (bad,) if bad else ()
    return CellResult(cell, verdict, "because", cases, splats, new=new)


def _run(root: Path, *results: CellResult, version: str = "7.3", series: str = "none") -> Path:
    tree = {"version": version, "series": series, "label": f"linux {version}"}
    with Run.create(["pinrace", "test"], root=root, tree=tree) as run:
        for result in results:
            run.cell_end(result)
        run.end(0)
    return run.folder


@pytest.fixture
def root(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(issues.VARIABLE, str(tmp_path / "issues.toml"))
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


def test_a_fault_is_followed_over_runs(root: Path) -> None:
    _run(root, _result(SPLAT), _result(cell=replace(CELL, repeat=2)), series="a")
    _run(root, _result(), version="7.4")
    _run(root, _result(SPLAT, bad="late 17 ms"), version="7.4", series="b")
    with sightings.opened(root) as connection:
        found = {one.fault.title: one for one in sightings.find(connection)}
    seen = found[SPLAT.title]
    assert (seen.seen, seen.of) == (2, 4)
    assert seen.places == (("7.3", "a"), ("7.4", "b"))
    assert seen.abis == ("i386",)
    assert len(seen.runs) == 2
    assert found["smoke late *: FAIL"].seen == 1


def test_what_was_read_stays_when_a_run_is_pruned(root: Path) -> None:
    _run(root, _result(SPLAT))
    _run(root, _result())
    gone = prune.prune(root, prune.Rule(keep=0, keep_failed=0))
    assert len(gone) == 1
    assert [one.fault.fingerprint for one in issues.load(root).seen] == [SPLAT.fingerprint]


def test_a_known_fault_is_named_and_the_verdict_stays(root: Path) -> None:
    _run(root, _result(SPLAT), version="7.2")
    issues.file().write_text(
        '[[issue]]\nid = "old-frob"\ntitle = "use-after-free in fr"\n'
        'note = "reported"\nlink = "https://lore.example/r/1"\nversion = 3\n'
    )
    plain = _result(SPLAT, OTHER)
    named = issues.load(root).named(plain)
    assert named.verdict is Verdict.FAIL
    assert named.reason == plain.reason
    assert len(named.notes) == 1
    line = named.notes[0]
    for word in (
        "known issue old-frob",
        "1 of 1 cells",
        "7.2 none",
        "reported",
        "lore.example/r/1",
    ):
        assert word in line
    assert line in "\n".join(summary.details([named]))
    run = _run(root, named)
    assert "known issue old-frob" in render(gather(run))
    said = kcidb.report(run, kcidb.Submitter("my_lab"))
    issue = next(one for one in said["issues"] if "KASAN" in one["report_subject"])
    assert issue["version"] == 3
    assert issue["report_url"] == "https://lore.example/r/1"
    assert "old-frob: reported" in issue["comment"]
    comments = [one["comment"] for one in said["incidents"]]
    assert ["known issue old-frob" in comment for comment in comments] == [True, False]
    assert all(one["status"] != "PASS" for one in said["tests"] if one["path"] == "pinrace.smoke")


def test_a_run_is_not_known_from_itself(root: Path) -> None:
    run = _run(root, _result(SPLAT))
    said = kcidb.report(run, kcidb.Submitter("my_lab"))
    assert "known" not in said["incidents"][0]["comment"]


def test_a_fault_that_nobody_knows_has_no_note(root: Path) -> None:
    _run(root, _result(OTHER))
    assert issues.load(root).named(_result(SPLAT)).notes == ()


def test_runs_that_name_no_tree_are_no_evidence(root: Path) -> None:
    with Run.create(["pinrace", "mutants"], root=root) as run:
        run.cell_end(_result(SPLAT))
        run.end(1)
    assert issues.load(root).seen == ()


def test_the_command_notes_and_keeps_the_rest_of_the_file(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(root, _result(SPLAT))
    issues.file().write_text("# kept by hand\n")
    number = Fault(SPLAT.fingerprint, "").id
    assert main(["issues"]) == 0
    assert number[:10] in capsys.readouterr().out
    assert main(["issues", "note", number[:4], "--name", "frob", "--note", 'a "quote"']) == 0
    assert main(["issues", "note", "frob", "--link", "https://a.example/b"]) == 0
    capsys.readouterr()
    assert main(["issues", "show", "frob", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["note"] == 'a "quote"'
    assert facts["link"] == "https://a.example/b"
    assert facts["rate"] == "1 of 1 cells"
    assert "# kept by hand" in issues.file().read_text()
    assert issues.read(issues.file())[0].version == 2
    assert main(["issues", "show", "nobody"]) == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[[issue]]\nid = "x"\ntitle = "y"', "id"),
        ('[[issue]]\nid = "xx"', "fingerprint or a title"),
        ('[[issue]]\nid = "xx"\ntitle = "("', "no regular expression"),
        ('[[issue]]\nid = "xx"\ntitle = "y"\nverdict = "PASS"', "verdict"),
        ('[[issue]]\nid = "xx"\ntitle = "y"\nlink = "javascript:x"', "link"),
        ('[[issue]]\nid = "xx"\ntitle = "y"\n[[issue]]\nid = "xx"\ntitle = "z"', "two issues"),
        ("issue = ", "no TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused(root: Path, text: str, what: str) -> None:
    issues.file().write_text(text)
    with pytest.raises(UserError, match=what):
        issues.load(root)


def test_a_damaged_history_is_said(root: Path) -> None:
    (root / sightings.FILE).write_text("no database, whatever its name says, " * 20)
    with pytest.raises(InfrastructureError, match="seen before cannot be read"):
        issues.load(root)


def test_the_shipped_file_can_be_read() -> None:
    issues.read(issues.CONFIGS / "issues.toml")


def test_a_file_of_issues_that_is_wrong_is_said_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "issues.toml"
    path.write_text("[[issue]]\nid = 1\n")
    monkeypatch.setenv(issues.VARIABLE, str(path))
    nothing = cast(batch.Batch, None)
    with pytest.raises(UserError, match="is no list of known issues"):
        batch.run(nothing, [])
