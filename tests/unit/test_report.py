# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a run: sound HTML, whole, readable by everybody, and safe whatever a guest says."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import report_runs as runs
from report_page import CELL, one_cell, parse, words

from pinrace.cli import main, test
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.judge.verdict import Ending, Evidence
from pinrace.report import text
from pinrace.report.gather import gather
from pinrace.report.model import Fold, Node
from pinrace.report.render import render, write
from pinrace.runs import journal
from pinrace.values import CaseResult, CaseStatus, CellResult, Verdict

STYLE = Path(test.__file__).parents[1] / "report" / "style.css"


def by_class(it: Element, name: str) -> Iterator[Element]:
    return (e for e in it.iter() if name in (e.get("class") or "").split())


def nodes(items: tuple[Node | Fold, ...]) -> Iterator[Node]:
    """All cases, the groups too."""
    for item in items:
        for node in item.nodes if isinstance(item, Fold) else (item,):
            yield node
            yield from nodes(node.children)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def page(sample: Path) -> Element:
    return parse(render(gather(sample), history=runs.history(), links=True))


# Soundness


def test_ids_links_and_labels(page: Element) -> None:
    ids = [e.get("id") for e in page.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    for e in page.iter():
        href = e.get("href", "")
        if href.startswith("#"):
            assert href[1:] in ids, href
        for label in (e.get("aria-labelledby") or "").split():
            assert label in ids, label
        if e.get("role") == "region" or e.get("tabindex") == "0":
            assert e.get("aria-label") or e.get("aria-labelledby")


def test_headings_and_landmarks(page: Element) -> None:
    levels = [int(e.tag[1]) for e in page.iter() if re.fullmatch("h[1-6]", str(e.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(list(page.iter(landmark))) == 1
    assert next(page.iter("html")).get("lang") == "en"
    first = next(page.iter("a"))
    assert first.get("href") == "#main"


def test_tables_say_what_their_heads_head(page: Element) -> None:
    for table in page.iter("table"):
        assert table.find("caption") is not None
        assert all(th.get("scope") in ("col", "row") for th in table.iter("th"))


def test_a_verdict_is_a_sign_and_a_word(page: Element) -> None:
    signs: dict[str, str] = {}
    for status in by_class(page, "status"):
        (sign,) = [e for e in status if e.get("aria-hidden") == "true"]
        word = words(status).removeprefix(sign.text or "").strip()
        assert word
        signs.setdefault(word.split()[-1].upper(), sign.text or "")
    assert signs["PASS"] != signs["FAIL"] != signs["MISS"] != signs["SKIP"]


def test_nothing_is_fetched(sample: Path, page: Element) -> None:
    for e in page.iter():
        assert not e.get("src")
        href = e.get("href")
        if href and not href.startswith(("#", "data:,")):
            assert e.tag == "a"
            assert (sample / href).is_file()
    policy = next(e for e in page.iter("meta") if e.get("http-equiv"))
    assert "default-src 'none'" in (policy.get("content") or "")
    style = STYLE.read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_every_form_control_has_a_name(page: Element) -> None:
    labelled = [e for label in page.iter("label") for e in label.iter("input")]
    assert len(labelled) == len(list(page.iter("input"))) > 0


def luminance(colour: str) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    whole = colour.lstrip("#")
    whole = "".join(c * 2 for c in whole) if len(whole) == 3 else whole
    parts = [int(whole[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast(scheme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.S)
    assert len(blocks) == 3
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", blocks[scheme]))
    pairs = [("text", b) for b in ("page", "card", "code", "mark")]
    pairs += [("quiet", b) for b in ("page", "card", "code")]
    pairs += [("link", b) for b in ("page", "card")]
    for tone in ("pass", "fail", "doubt", "miss", "skip"):
        pairs += [(tone, b) for b in ("page", "card", f"{tone}-bg")]
        pairs += [("text", f"{tone}-bg"), ("quiet", f"{tone}-bg"), ("fail", f"{tone}-bg")]
    for front, back in pairs:
        light = sorted((luminance(colours[front]), luminance(colours[back])))
        assert (light[1] + 0.05) / (light[0] + 0.05) >= 4.5, (front, back)


# What it says


def test_header(page: Element) -> None:
    head = words(next(page.iter("header")))
    for said in (
        "✗ FAIL 4 of 12 cells failed; 1 inconclusive or not run.",
        "linux 7.3.4, from debian trixie-backports: signature ok",
        "pin-args, 2 patches, sha256 1f0c77aa90b2d3e4",
        "[PATCH] seccomp: let a supervisor pin arguments",
        "QEMU 7.2.22, cortex-a57, 2 CPUs, 512 MiB, under TCG, 9.4 times slower than native "
        "(/dev/kvm opens, but a test guest made no progress in 5 s)",
        "exit code 1",
        "pinrace test --tree debian:7.3",
    ):
        assert said in head


def test_what_is_new_comes_first(sample: Path, page: Element) -> None:
    found = gather(sample).findings
    assert [(f.kind, f.verdict, len(f.sections)) for f in found] == [
        ("splat", Verdict.FAIL, 1),
        ("case", Verdict.FAIL, 2),
        ("cell", Verdict.FAIL, 1),
        ("cell", Verdict.MISS, 1),
    ]
    assert found[1].title == "pin_args.c11_open"
    assert "Expected 2 (2) == argc (3)" in found[1].detail
    assert "hung" in found[2].title
    sections = [e.get("id") for e in next(page.iter("main")) if e.tag == "section"]
    assert sections == ["new", "matrix", "history", "cells"]


def test_matrix(sample: Path, page: Element) -> None:
    matrix = gather(sample).matrix
    assert matrix.columns == ("smoke", "pin_args", "seccomp_bpf")
    assert [place for place, _ in matrix.rows] == list(runs.ABIS)
    table = next(by_class(page, "matrix"))
    rows = [[words(cell) for cell in row] for row in table.iter("tr")]
    assert rows[4][:2] == ["arm64", "arm"]
    assert rows[4][2:] == [
        "\u2013 SKIP 1 skip",
        "✗ FAIL 1 new, 1 known, 52 pass, 2 skip",
        "✓ PASS 1 known, 5 pass",
    ]


def test_the_gravest_cells_come_first(sample: Path) -> None:
    verdicts = [section.verdict for section in gather(sample).sections]
    assert verdicts[:5] == [Verdict.FAIL] * 4 + [Verdict.MISS]
    assert set(verdicts[5:-1]) == {Verdict.PASS}


def test_commands(sample: Path) -> None:
    section = next(s for s in gather(sample).sections if s.cell == CELL)
    assert [line for _, line in section.commands] == [
        "pinrace build --tree debian:7.3 --series pin-args --arch arm64 --abi arm",
        "pinrace test --tree debian:7.3 --series pin-args --arch arm64 --abi arm"
        " --suite pin_args --smp 2",
        "pinrace test --tree debian:7.3 --series pin-args --arch arm64 --abi arm"
        " --suite pin_args --smp 2 -k pin_args.c11_open",
    ]
    assert section.qemu == runs.QEMU.strip()
    assert "console.log" in section.files


def test_cases_are_the_tree_that_was_printed(tmp_path: Path) -> None:
    output = """\
TAP version 13
1..3
# Subtest: group
    TAP version 13
    1..2
    ok 1 first
    # what it saw
    not ok 2 second
not ok 1 group
ok 2 third # SKIP no such call
ok 3 fourth
"""
    (group, third, fold) = one_cell(tmp_path, output).cases.items
    assert isinstance(group, Node)
    assert (group.name, group.status) == ("group", CaseStatus.FAIL)
    (first, second) = group.children
    assert isinstance(first, Fold)
    assert isinstance(second, Node)
    assert (second.name, second.tags, second.lines) == ("second", ("new",), ("    # what it saw",))
    assert isinstance(third, Node)
    assert (third.status, third.reason) == (CaseStatus.SKIP, "no such call")
    assert isinstance(fold, Fold)
    assert [node.name for node in fold.nodes] == ["fourth"]


def test_new_known_fixed_and_flaky_are_told(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    run = runs.start(tmp_path, [CELL])
    output, base = runs.kselftest(names, ["a", "b", "d"]), runs.kselftest(names, ["b", "c"])
    result = runs.end_cell(run, CELL, output, base=base)
    passed = tuple(CaseResult("d", CaseStatus.PASS) if c.name == "d" else c for c in result.cases)
    note = "flaky, failed in 1 of 2 runs: d"
    result = dataclasses.replace(result, cases=passed, new=("a",), notes=(note,))
    run.cell_end(result)
    run.finish([result], exit_code=1)
    section = gather(run.folder).sections[0]
    told = {node.name: (node.status.value, node.tags) for node in nodes(section.cases.items)}
    assert told == {
        "a": ("FAIL", ("new",)),
        "b": ("FAIL", ("known",)),
        "c": ("PASS", ("fixed",)),
        "d": ("PASS", ("flaky: FAIL at first",)),
    }
    assert (section.notes, section.fixed) == ((note,), ("c",))
    html = words(parse(render(gather(run.folder))))
    assert "Fails on the unpatched tree and passes here: c" in html


def test_the_second_of_a_name_is_told_from_the_first(tmp_path: Path) -> None:
    run = runs.start(tmp_path, [CELL])
    bad = "not ok 1 - tea\nnot ok 2 - tea\nok 3 - tea\n"
    good = "not ok 1 - tea\nok 2 - tea\nok 3 - tea\n"
    output, base = (f"TAP version 13\n1..3\n{lines}" for lines in (bad, good))
    result = runs.end_cell(run, CELL, output, base=base)
    run.cell_end(result)
    run.finish([result], exit_code=1)
    section = gather(run.folder).sections[0]
    assert [(node.status.value, node.tags) for node in nodes(section.cases.items)] == [
        ("FAIL", ("known",)),
        ("FAIL", ("new",)),
        ("PASS", ()),
    ]


def test_reports_of_the_kernel_have_file_and_line(sample: Path, page: Element) -> None:
    section = next(s for s in gather(sample).sections if s.splats)
    (splat,) = section.splats
    assert (splat.tag, splat.where) == ("new", "drivers/misc/lkdtm/bugs.c:164")
    assert section.console
    assert section.console.shows(splat.line)
    (mark,) = [e for e in page.iter("mark") if e.get("id") == f"{section.id}-L{splat.line}"]
    assert "WARNING: " in words(mark)


def test_a_console_is_there_to_the_letter(tmp_path: Path) -> None:
    log = b"\n\n" + (runs.GOLDEN / "arm64-warn.log").read_bytes()
    section = one_cell(tmp_path, runs.kselftest(["a"]), console=log)
    assert section.splats
    page = parse(render(gather(tmp_path / "latest")))
    (console,) = [e for e in page.iter("pre") if e.get("data-first")]
    assert "".join(console.itertext()) == text.decode(log)


def test_history_is_text_too(page: Element) -> None:
    strip = next(by_class(page, "strip"))
    assert (strip.get("aria-label") or "").split(", ")[:2] == ["PASS", "PASS"]
    nights = list(by_class(page, "nights"))[1]
    assert len(list(nights.iter("tr"))) == 31


# Runs that did not go as they should


def test_a_run_that_was_killed(tmp_path: Path) -> None:
    cells = [dataclasses.replace(CELL, suite=suite) for suite in ("smoke", "pin_args", "other")]
    run = runs.start(tmp_path, cells)
    runs.end_cell(run, cells[0], runs.kselftest(["a"]))
    folder = run.cell_start(cells[1])
    (folder / "console.log").write_bytes(b"[    0.000000] Linux version 7.3.4\r\n[    0.1")
    with (run.folder / "events.jsonl").open("a") as stream:
        stream.write('{"kind": "cell-end", "na')
    page = gather(run.folder)
    assert (page.finished, page.verdict, page.exit_code) == (False, Verdict.MISS, None)
    assert page.sentence.startswith("Not finished, 1 of 3 cells ended: ")
    told = {s.cell.suite: (s.verdict, s.reason, s.ended) for s in page.sections}
    assert told == {
        "smoke": (Verdict.PASS, "1 case is good", True),
        "pin_args": (Verdict.MISS, "not finished: the run has no end for it", False),
        "other": (Verdict.MISS, "not finished: it never began", False),
    }
    html = parse(render(page))
    assert "has no end" in words(next(html.iter("header")))
    assert "Linux version 7.3.4" in words(html)


def test_a_killed_run_with_a_failure_has_failed(tmp_path: Path) -> None:
    run = runs.start(tmp_path, [CELL])
    runs.end_cell(run, CELL, runs.kselftest(["a"], ["a"]))
    assert gather(run.folder).verdict is Verdict.FAIL


def test_a_killed_run_has_not_passed(tmp_path: Path) -> None:
    run = runs.start(tmp_path)  # nobody knows which cells were to come
    runs.end_cell(run, CELL, runs.kselftest(["a"]))
    assert gather(run.folder).verdict is Verdict.MISS


def test_a_run_without_cells(tmp_path: Path) -> None:
    run = journal.Run.create(["pinrace", "boot"], root=tmp_path)
    run.finish([], exit_code=0)
    page = gather(run.folder)
    assert (page.verdict, page.sentence) == (Verdict.SKIP, "This run judged no cells")
    assert "No cell was judged" in words(parse(render(page)))
    run.finish([], exit_code=4)
    assert gather(run.folder).verdict is Verdict.MISS


def test_a_manifest_of_an_older_version(tmp_path: Path) -> None:
    run = runs.start(tmp_path, [CELL])
    result = runs.end_cell(run, CELL, runs.kselftest(["a"]))
    run.finish([result], exit_code=0)
    path = run.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    kept = {key: manifest[key] for key in ("id", "began")} | {"argv": ["pinrace", "test"]}
    path.write_text(json.dumps(kept))
    page = gather(run.folder)
    assert page.sections[0].commands[0][1] == "pinrace build --arch arm64 --abi arm"
    parse(render(page))
    path.write_text(json.dumps(kept | {"argv": ["pinrace", "contract"]}))
    again = (("Run all of it again", "pinrace contract"),)
    assert gather(run.folder).sections[0].commands == again
    path.write_text("{}")
    assert gather(run.folder).began == "unknown"
    path.write_text("[1]")
    with pytest.raises(InfrastructureError):
        gather(run.folder)


def test_a_cell_that_never_ran_a_guest(tmp_path: Path) -> None:
    run = runs.start(tmp_path, [CELL])
    result = CellResult(CELL, Verdict.SKIP, "not applicable: the tree lacks VM_SEALED (6.10)")
    run.cell_end(result)
    run.finish([result], exit_code=0)
    section = gather(run.folder).sections[0]
    assert (section.console, section.files, section.cases.items) == (None, (), ())
    assert "not applicable" in words(parse(render(gather(run.folder))))


def test_command(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                 capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setenv("PINRACE_RUNS", str(sample.parent))
    assert main.main(["report"]) == Exit.OK
    assert capsys.readouterr().out.strip() == str(sample / "report.html")
    assert main.main(["report", str(sample), "-o", str(tmp_path / "x.html")]) == Exit.OK
    elsewhere, inside = (tmp_path / "x.html").read_text(), (sample / "report.html").read_text()
    assert 'href="cells/' in inside
    assert 'href="cells/' not in elsewhere
    for wrong in (["nope"], ["latest", "latest", "-o", "x"], ["-o", str(tmp_path)]):
        assert main.main(["report", *wrong]) == Exit.USAGE
    assert main.main(["report", "-o", str(tmp_path / "no" / "x.html")]) == Exit.INFRA
    assert "--output" in capsys.readouterr().err


def test_the_same_run_gives_the_same_page(sample: Path, tmp_path: Path) -> None:
    pages = [write(sample, tmp_path / name).read_bytes() for name in ("a", "b")]
    assert pages[0] == pages[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        write(tmp_path)


def test_a_report_that_fails_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.start(tmp_path, [CELL])
    runs.end_cell(run, CELL, runs.kselftest(["a"], ["a"]), evidence=Evidence(Ending.DONE))
    (run.folder / "report.html").mkdir()
    assert test._report(run.folder) == run.folder
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "no report was written" in said
    (run.folder / "report.html").rmdir()
    assert test._report(run.folder) == run.folder / "report.html"
