# SPDX-License-Identifier: GPL-2.0-or-later
"""Matrices: what a file means, what is wrong with it, and what a killed run leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.cli.run import exit_code, schema
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.matrix import file, journal, run, table
from pinrace.matrix.file import Leg, MatrixFile
from pinrace.matrix.journal import CellLine, LegResult
from pinrace.paths import CONFIGS
from pinrace.values import Verdict, gravest

LEG = Leg("debian:7.3", "pin-args", "x86_64", "plain", ("x86_64", "i386"), ("smoke",))


def matrix(**fields: object) -> MatrixFile:
    return MatrixFile.model_validate({"name": "m", **fields})


def result(verdict: Verdict = Verdict.PASS, key: str = "k", **fields: object) -> LegResult:
    base = {"reason": "why\nmore", "tree": "linux 7", "ended": "2026-01-01T00:00:00", "seconds": 1}
    return LegResult(key, LEG, verdict, **{**base, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", [CONFIGS / "nightly.toml", *(CONFIGS / "matrix").glob("*.toml")], ids=lambda p: p.name
)
def test_the_projects_matrices_are_sound(path: Path) -> None:
    assert file.legs(file.load(path))


def test_the_committed_schema_is_the_models() -> None:
    assert (CONFIGS / "matrix/schema.json").read_text() == schema()


def test_axes_multiply_and_blocks_add_what_is_new() -> None:
    found = file.legs(
        matrix(
            trees=["a", "b"],
            abis=["i386", "arm64"],
            suites=["smoke"],
            block=[{"trees": ["a"]}, {"trees": ["a"], "flavors": ["debug"], "suites": []}],
        )
    )
    assert [(leg.tree, leg.arch, leg.flavor) for leg in found] == [
        ("a", "x86_64", "plain"),
        ("a", "arm64", "plain"),
        ("b", "x86_64", "plain"),
        ("b", "arm64", "plain"),
        ("a", "x86_64", "debug"),
        ("a", "arm64", "debug"),
    ]
    assert found[0].abis == ("i386",)
    assert found[4].suites == ()


def test_an_arch_without_one_of_the_abis_is_no_leg() -> None:
    assert [leg.arch for leg in file.legs(matrix(abis=["arm"]))] == ["arm64"]


def test_exclusions_stay_visible_with_their_reason() -> None:
    rule = {"arch": "arm64", "reason": "too slow"}
    found = file.legs(matrix(exclude=[rule]))
    assert [leg.excluded for leg in found] == ["", "too slow"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"exclude": [{"arch": "riscv", "reason": "none such"}]}, "excludes nothing"),
        ({"arches": ["vax"]}, "vax"),
        ({"flavors": ["vanilla"]}, "vanilla"),
        ({"suites": ["none"]}, "none"),
        ({"abis": ["x31"]}, "x31"),
    ],
)
def test_what_is_unknown_is_named(fields: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        file.legs(matrix(**fields))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 'm'\nflavours = []", "flavours"),
        ("trees = []", "name"),
        ("name = 'm'\nrepeat = 0", "repeat"),
        ("name = ", "no TOML"),
    ],
)
def test_a_malformed_file_says_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(UserError, match=says):
        file.load(tmp_path / "m.toml")
    with pytest.raises(UserError, match="cannot read"):
        file.load(tmp_path / "none.toml")


def test_what_ended_is_kept_and_a_torn_line_is_not(tmp_path: Path) -> None:
    journal.append(tmp_path, result(Verdict.FAIL))
    journal.append(tmp_path, result(Verdict.PASS))
    with (tmp_path / journal.FILE).open("a") as stream:
        stream.write('{"key": "to')
    assert journal.read(tmp_path) == {"k": result(Verdict.PASS)}
    journal.append(tmp_path, result(key="l"))
    assert list(journal.read(tmp_path)) == ["k", "l"]
    with (tmp_path / journal.FILE).open("a") as stream:
        stream.write("damage\n")
    with pytest.raises(InfrastructureError, match="line 4"):
        journal.read(tmp_path)


def test_legs_are_run_once_and_go_on_past_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path / "runs"))
    wanted = matrix(trees=[str(tmp_path / "none"), "nonsense"], series=["none"], arches=["x86_64"])
    found = run.run(wanted, ["pinrace"])
    assert [one.verdict for one in found] == [Verdict.MISS, Verdict.MISS]
    assert "nonsense" in found[1].reason


def test_a_budget_that_is_over_leaves_legs_unbegun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path / "runs"))
    wanted = matrix(series=["none"], budget_minutes=1e-9)
    found = run.run(wanted, ["pinrace"])
    assert {one.verdict for one in found} == {Verdict.MISS}
    assert all("not begun" in one.reason for one in found)


def test_the_table_shows_each_abi_and_what_was_wrong() -> None:
    cells = (
        CellLine("x86_64", "smoke", 1, Verdict.PASS, 6, 6),
        CellLine("i386", "smoke", 1, Verdict.FAIL, 5, 6, "case a|b fails"),
    )
    text = table.markdown([result(Verdict.FAIL, cells=cells), result(Verdict.SKIP)], {"date": "x"})
    assert text.startswith("- date: x\n\n| tree ")
    assert "| linux 7 | pin-args | x86_64 | plain | x86_64 | PASS | PASS 6/6 |" in text
    assert "| i386 | FAIL | FAIL 5/6 | 2026-01-01 | smoke: case a¦b fails |" in text
    assert "| all | SKIP |  | 2026-01-01 | why |" in text


def test_exit_codes() -> None:
    assert exit_code({Verdict.PASS, Verdict.SKIP}) == Exit.OK
    assert exit_code({Verdict.PASS, Verdict.MISS}) == Exit.INFRA
    assert exit_code({Verdict.FAIL, Verdict.MISS}) == Exit.KERNEL
    assert gravest([Verdict.PASS, Verdict.SKIP]) is Verdict.PASS
    assert gravest([]) is Verdict.MISS
