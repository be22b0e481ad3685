# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nights on a real tree: a clean one, a planted regression, a series that does not apply."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pinrace.cli.options import DEFAULT_SERIES, DEFAULT_TREE
from pinrace.errors import Exit
from pinrace.matrix.file import MatrixFile
from pinrace.nightly import changes, night
from pinrace.nightly.changes import Kind
from pinrace.paths import KERNEL

REGRESSION = KERNEL / "mutants" / "errno-no-room.patch"


def kinds(tonight: night.Night) -> dict[str, Kind]:
    return {change.spot.suite: change.kind for change in tonight.changes}


@pytest.mark.slow
# Beside the mutants it would wait for their build folder.
@pytest.mark.xdist_group("builds")
def test_three_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path / "runs"))
    series = tmp_path / "pin-args"
    shutil.copytree(DEFAULT_SERIES, series)
    matrix = MatrixFile(
        name="nights",
        trees=(DEFAULT_TREE,),
        series=(str(series),),
        arches=("x86_64",),
        abis=("x86_64",),
        suites=("pin_args",),
        baseline=False,
    )

    clean = night.run(matrix, ["pinrace"])
    assert kinds(clean) == {"pin_args": Kind.NEW_SPOT}
    assert changes.exit_code_of_news(clean.changes) is Exit.OK

    number = len(list(series.glob("*.patch")))
    shutil.copy(REGRESSION, series / f"{number + 1:04}-regression.patch")
    broken = night.run(matrix, ["pinrace"])
    assert kinds(broken) == {"pin_args": Kind.NEW_FAILURE}
    assert changes.exit_code_of_news(broken.changes) is Exit.KERNEL
    assert "pin_args" in broken.summary
    assert (tmp_path / "runs" / broken.results[0].run / "report.html").is_file()

    elsewhere = REGRESSION.read_text().replace("-\t\treturn -ENOSPC;", "-\t\treturn -EIO;")
    (series / f"{number + 2:04}-conflict.patch").write_text(elsewhere)
    stuck = night.run(matrix, ["pinrace"])
    assert Kind.NO_LONGER_APPLIES in kinds(stuck).values()
    assert changes.exit_code_of_news(stuck.changes) is Exit.BUILD
