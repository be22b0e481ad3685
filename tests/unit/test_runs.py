# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: written as it happens, readable whatever happened."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pinrace.cli.main import main
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.runs import journal, junit, sightings
from pinrace.runs.journal import Run
from pinrace.values import (
    CaseResult,
    CaseStatus,
    Cell,
    CellResult,
    PatchedTree,
    Series,
    Splat,
    Tree,
    Verdict,
)

CELL = Cell("arm64", "arm", "plain", "seccomp_bpf")
NASTY = "bell \x07 nul \x00 escape \x1b[31m surrogate \udcff noncharacter \uffff é 🙂 <&]]>"


def result(folder: Path | None = None, verdict: Verdict = Verdict.FAIL) -> CellResult:
    return CellResult(
        cell=CELL,
        verdict=verdict,
        reason="case b fails",
        cases=(
            CaseResult("a", CaseStatus.PASS),
            CaseResult("b", CaseStatus.FAIL, "exit=1", (NASTY.replace("\udcff", ""),)),
            CaseResult("c", CaseStatus.SKIP, "no uprobes"),
            CaseResult("d", CaseStatus.ERROR, "planned, and not seen"),
            CaseResult("e", CaseStatus.TIMEOUT, "30 s"),
        ),
        splats=(Splat("warn", "WARNING: at foo", 7, "the text", "warn: foo < bar"),),
        new=("b", "d"),
        known=("e",),
        fixed=("f",),
        seconds=12.5,
        folder=folder,
        notes=("a note",),
    )


def test_round_trip(tmp_path: Path) -> None:
    run = Run.create(["pinrace", "test"], root=tmp_path, accel="tcg")
    folder = run.cell_start(CELL)
    one = result(folder)
    run.cell_end(one)
    assert journal.load(run.folder) == [one]
    run.finish([one], exit_code=1)
    assert journal.load(tmp_path / "latest") == [one]
    whole = json.loads((run.folder / "results.json").read_text())
    assert whole["exit_code"] == 1
    assert whole["cells"][0]["folder"] == f"cells/{CELL.name}"
    kinds = [event["kind"] for event in journal.events(run.folder)]
    assert kinds == ["run-start", "cell-start", "cell-end", "run-end"]
    assert all(event["time"] for event in journal.events(run.folder))


def test_a_run_can_move(tmp_path: Path) -> None:
    run = Run.create([], root=tmp_path / "here")
    run.cell_end(result(run.cell_start(CELL)))
    moved = run.folder.rename(tmp_path / "there")
    (back,) = journal.load(moved)
    assert back.folder == moved / "cells" / CELL.name
    assert back.folder.is_dir()


def test_ids_never_collide_and_latest_follows(tmp_path: Path) -> None:
    made = [Run.create([], root=tmp_path) for _ in range(4)]
    assert len({run.id for run in made}) == 4
    assert journal.find_run(root=tmp_path) == made[-1].folder
    assert {f.name for f in journal.list_runs(root=tmp_path)} == {run.id for run in made}


def test_a_cell_judged_twice_counts_as_the_last_time(tmp_path: Path) -> None:
    run = Run.create([], root=tmp_path)
    run.cell_end(result(verdict=Verdict.MISS))
    run.cell_end(result(verdict=Verdict.PASS))
    assert [r.verdict for r in journal.load(run.folder)] == [Verdict.PASS]


def test_torn_last_line(tmp_path: Path) -> None:
    run = Run.create([], root=tmp_path)
    run.cell_end(result())
    path = run.folder / "events.jsonl"
    whole = path.read_bytes()
    for cut in range(1, 60):
        path.write_bytes(whole + whole.splitlines()[-1][:cut])
        assert len(journal.load(run.folder)) == 1
    path.write_bytes(whole[:-30])
    assert journal.load(run.folder) == []


def test_damage_further_up_is_an_error(tmp_path: Path) -> None:
    run = Run.create([], root=tmp_path)
    run.cell_end(result())
    path = run.folder / "events.jsonl"
    path.write_text("{torn\n" + path.read_text())
    with pytest.raises(InfrastructureError, match="line 1"):
        journal.load(run.folder)


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        journal.load(tmp_path / "nothing")
    with pytest.raises(UserError):
        journal.find_run(root=tmp_path)


def test_text_that_is_no_unicode(tmp_path: Path) -> None:
    run = Run.create([NASTY], root=tmp_path)
    run.event("odd", text=NASTY)
    assert "\\udcff" in journal.events(run.folder)[-1]["text"]


def test_manifest(tmp_path: Path) -> None:
    tree = Tree("debian:7.3", "7.3.4-1", "t" * 40, "c" * 40, "debian", "signature ok")
    series = Series("pin-args", "abc", (tmp_path / "0001-x.patch",))
    patched = PatchedTree(tree, series, "p" * 40, "d" * 40)
    run = Run.create(["pinrace", "test"], root=tmp_path, tree=journal.tree_facts(patched))
    run.add_facts(accel="tcg", accel_reason="a test guest made no progress")
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["argv"] == ["pinrace", "test"]
    assert manifest["tree"]["verified"] == "signature ok"
    assert manifest["tree"]["series_digest"] == "abc"
    assert manifest["accel_reason"] == "a test guest made no progress"
    assert manifest["host"]["cpus"]
    assert manifest["project"]


def test_junit(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_bytes(b"first\n" * 50 + NASTY.encode(errors="replace"))
    path = tmp_path / "out" / "junit.xml"
    junit.write(path, [result(tmp_path)], {"tree": "linux 7.3"})
    root = ElementTree.fromstring(path.read_bytes())  # noqa: S314 (our own file)
    (suite,) = root.iter("testsuite")
    assert (suite.get("tests"), suite.get("name")) == ("6", CELL.name)
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("2", "1", "2")
    by_name = {case.get("name"): case for case in suite.iter("testcase")}
    kinds = {n: [c.tag for c in case if c.tag != "system-out"] for n, case in by_name.items()}
    assert kinds == {
        "a": [],
        "b": ["failure"],
        "c": ["skipped"],
        "d": ["error"],
        "e": ["skipped"],
        "verdict": ["failure"],
    }
    assert "\\x1b[31m" in (by_name["verdict"].findtext("system-out") or "")
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["verdict"] == "FAIL"
    assert properties["tree"] == "linux 7.3"


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        (Verdict.PASS, None),
        (Verdict.FAIL, "failure"),
        (Verdict.MISS, "error"),
        (Verdict.INCONCLUSIVE, "error"),
        (Verdict.SKIP, "skipped"),
    ],
)
def test_junit_says_every_verdict(tmp_path: Path, verdict: Verdict, tag: str | None) -> None:
    path = tmp_path / "junit.xml"
    junit.write(path, [CellResult(CELL, verdict, "why")])
    root = ElementTree.fromstring(path.read_bytes())  # noqa: S314 (our own file)
    (case,) = root.iter("testcase")
    assert [c.tag for c in case if c.tag != "system-out"] == ([tag] if tag else [])


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UserError("no"), Exit.USAGE),
        (InfrastructureError("no disk"), Exit.INFRA),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ZeroDivisionError(), Exit.INFRA),
    ],
)
def test_a_run_is_finished_whatever_is_raised(
    tmp_path: Path, raised: BaseException, code: Exit
) -> None:
    run = Run.create(["pinrace"], root=tmp_path)

    def work() -> None:
        with run:
            run.cell_end(result())
            raise raised

    with pytest.raises(type(raised)):
        work()
    written = json.loads((run.folder / "results.json").read_text())
    assert written["exit_code"] == code
    assert [cell["cell"]["abi"] for cell in written["cells"]] == [CELL.abi]
    assert (run.folder / "junit.xml").exists()
    last = journal.events(run.folder)[-1]
    assert (last["kind"], last["exit_code"]) == ("run-end", code)
    assert type(raised).__name__ in last["error"]


def test_a_cell_that_was_begun_is_in_the_results_of_a_run_that_broke_off(tmp_path: Path) -> None:
    other = dataclasses.replace(CELL, repeat=2)

    def work(run: Run) -> None:
        with run:
            run.cell_start(CELL)
            run.cell_end(result())
            run.cell_start(other)
            raise InfrastructureError("no disk\nat all")

    run = Run.create(["pinrace"], root=tmp_path)
    with pytest.raises(InfrastructureError):
        work(run)
    cells = json.loads((run.folder / "results.json").read_text())["cells"]
    assert [(one["cell"]["repeat"], one["verdict"]) for one in cells] == [(1, "FAIL"), (2, "MISS")]
    assert cells[1]["reason"] == "not finished: no disk"
    assert "not finished: no disk" in (run.folder / "junit.xml").read_text()
    assert len(journal.load(run.folder)) == 1, "a later run does not take it for one that ended"


def test_a_run_whose_end_was_never_said_is_no_success(tmp_path: Path) -> None:
    with Run.create(["pinrace"], root=tmp_path) as run:
        pass
    assert json.loads((run.folder / "results.json").read_text())["exit_code"] == Exit.INFRA


def test_a_run_ends_with_the_code_that_was_said(tmp_path: Path) -> None:
    with Run.create(["pinrace"], root=tmp_path) as run:
        assert run.end(Exit.KERNEL) == Exit.KERNEL
    assert json.loads((run.folder / "results.json").read_text())["exit_code"] == Exit.KERNEL


def test_a_hundred_thousand_cases_are_written(tmp_path: Path) -> None:
    """In one pass: each case is counted once, whatever there are before it."""
    cases = tuple(CaseResult(f"c{n % 500}", CaseStatus.PASS) for n in range(100_000))
    result = CellResult(CELL, Verdict.PASS, "so", cases)
    junit.write(tmp_path / "junit.xml", [result])
    assert (tmp_path / "junit.xml").read_text().count("<testcase ") == len(cases) + 1


@pytest.mark.parametrize("text", ["", "[]", "null", '{"argv": [', "\ud800"])
@pytest.mark.parametrize(
    "command",
    [
        ["runs", "one"],
        ["runs", "--json"],
        ["report", "one"],
        ["report", "one", "--format", "mail"],
        ["submit", "one", "--kcidb", "--origin", "lab"],
        ["compare", "one", "one"],
    ],
    ids=" ".join,
)
def test_a_damaged_manifest_is_no_traceback(
    command: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path))
    run = Run.create(["pinrace", "test"], root=tmp_path)
    run.folder.rename(tmp_path / "one")
    (tmp_path / "one" / journal.MANIFEST).write_bytes(text.encode(errors="surrogatepass"))
    assert main(command) == Exit.INFRA
    said = capsys.readouterr().err
    assert "the manifest" in said
    assert str(tmp_path / "one" / journal.MANIFEST) in said.replace("\n", "")


def test_a_run_with_a_damaged_manifest_is_left_out_of_what_was_seen(tmp_path: Path) -> None:
    run = Run.create(["pinrace", "test"], root=tmp_path, tree={"version": "7.3"})
    run.finish([], exit_code=0)
    (run.folder / journal.MANIFEST).write_text("[]")
    with sightings.opened(tmp_path) as connection:
        assert sightings.find(connection) == []
