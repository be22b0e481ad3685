# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept in a file names the command, and no folder of a machine."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pinrace.runs import tables


def test_absolute_paths_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "T.md"
    words = ["contract", "--against", "/somewhere/else/rfc", "--write", "kernel/T.md"]
    tables.write(argparse.Namespace(write=file, words=words), "| table |\n")
    first, _, rest = file.read_text().partition("\n\n")
    assert first == "<!-- made by: pinrace contract --against rfc --write kernel/T.md -->"
    assert rest == "| table |\n"


def test_nothing_is_kept_unasked() -> None:
    tables.write(argparse.Namespace(write=None, words=[]), "text")


def test_a_place_that_cannot_be_written_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    tables.option(parser)
    assert parser.parse_args(["--write", str(tmp_path / "t.md")]).write == tmp_path / "t.md"
    for bad in (tmp_path, tmp_path / "none" / "t.md"):
        with pytest.raises(SystemExit) as error:
            parser.parse_args(["--write", str(bad)])
        assert error.value.code == 2
        assert "no file can be made at" in capsys.readouterr().err
