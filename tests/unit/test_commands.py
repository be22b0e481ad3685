# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines that do one cell again: what they say is what the parser of the command takes."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

import pytest

from pinrace.cli import main, options
from pinrace.mutants.file import load as mutants
from pinrace.mutants.file import on_top, select
from pinrace.paths import KERNEL
from pinrace.runs import commands
from pinrace.runs.journal import Run, tree_facts
from pinrace.series.load import load, load_series, subjects
from pinrace.values import CaseResult, CaseStatus, Cell, PatchedTree, Request, Tree

CELL = Cell("arm64", "arm", "debug", "pin_args")
TREE = Tree("debian:7.3", "7.3.4-1", "t" * 40, "c" * 40, "debian", "signature ok")
PATCH = b"From: a@b.example\nSubject: =?utf-8?q?[PATCH]_caf=C3=A9:?=\n one\n\n--- a/x\n+++ b/x\n"


def test_what_is_asked_again_is_what_was_asked(tmp_path: Path) -> None:
    asked = Request(("arm64",), ("arm",), ("debug",), tmp_path / "a b", ("X=y",), "-16")
    tree = dataclasses.replace(TREE, insecure=True)
    how = commands.again(
        asked, tree, load_series(KERNEL / "pin-args"), smp=3, only="c11", with_base=False
    )
    assert how
    words = shlex.split(commands.rerun(CELL, how))
    args = main.parser("test").parse_args(words[1:])
    again = options.request(args)
    assert again == dataclasses.replace(asked, kernel=(tmp_path / "a b").resolve())
    assert options.cells(again, args) == (CELL,)
    assert (args.tree, args.series, args.smp, args.only) == ("debian:7.3", "pin-args", 3, "c11")
    assert args.no_baseline
    assert args.insecure
    built = main.parser("build").parse_args(shlex.split(commands.rebuild(CELL, how))[1:])
    assert options.request(built) == again


def test_series(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "0001-a.patch").write_bytes(PATCH)
    (tmp_path / "one.patch").write_bytes(PATCH)
    both = load_series(folder)
    scattered = dataclasses.replace(both, patches=(*both.patches, tmp_path / "one.patch"), spec="")
    listed = dataclasses.replace(both, origin="20260101.1-a@b.example", spec="")
    named = {
        str(folder): both,
        str(tmp_path / "one.patch"): load_series(tmp_path / "one.patch"),
        "20260101.1-a@b.example": listed,
        "none": None,
        "pin-args+fail-open": load("pin-args+fail-open", say=print),
    }
    for text, series in named.items():
        how = commands.again(Request((), ()), TREE, series, smp=2, only="", with_base=True)
        assert how
        assert how.build == ("--tree", "debian:7.3", "--series", text)
    assert not commands.again(Request((), ()), TREE, scattered, smp=2, only="", with_base=True)
    assert subjects(both) == ("[PATCH] café: one",)
    mutated = named["pin-args+fail-open"]
    assert mutated
    assert mutated == on_top(load_series(KERNEL / "pin-args"), select(mutants(), ["fail-open"])[0])


@pytest.mark.parametrize("subject", [b"", b"Subject: =?nonsense?q?x?=\n", b"Subject: \xff\x00\n"])
def test_an_odd_subject_stops_nothing(tmp_path: Path, subject: bytes) -> None:
    path = tmp_path / "0001-a.patch"
    path.write_bytes(b"From: a@b.example\n" + subject + b"\n--- a/x\n+++ b/x\n")
    facts = tree_facts(PatchedTree(TREE, load_series(path), "p", "d"))
    json.dumps(facts)
    assert len(list(facts["subjects"])) <= 1  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("name", "picked"),
    [("pin.c11_open", "pin.c11_open"), ("grp/c11", "c11"), ("(plan)", ""), ("#3", "")],
)
def test_pick(name: str, picked: str) -> None:
    case = CaseResult(name, CaseStatus.FAIL)
    line = commands.rerun(CELL, commands.Again(), only=[case])
    assert line.endswith(f" -k {picked}" if picked else "--suite pin_args")
    assert " -k " not in commands.rerun(CELL, commands.Again(), only=[case, case])


def test_a_manifest_keeps_it(tmp_path: Path) -> None:
    how = commands.Again(("--tree", "x"), ("--smp", "2"))
    for again in (how, None):
        run = Run.create(["pinrace", "test"], root=tmp_path, again=again)
        assert commands.read(json.loads((run.folder / "manifest.json").read_text())) == again
    assert commands.read({"argv": ["pinrace", "test"]}) == commands.Again()
    assert commands.read({"argv": ["pinrace", "test", "--tree", "x"]}) is None
    assert commands.read({}) is None
