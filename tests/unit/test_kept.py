# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept in a file names the command, and no folder of a machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli import kept


def test_absolute_paths_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "T.md"
    words = ["contract", "--against", "/somewhere/else/rfc", "--write", "kernel/T.md"]
    kept.write(argparse.Namespace(write=file, words=words), "| table |\n")
    first, _, rest = file.read_text().partition("\n\n")
    assert first == "<!-- made by: pinrace contract --against rfc --write kernel/T.md -->"
    assert rest == "| table |\n"


def test_nothing_is_kept_unasked() -> None:
    kept.write(argparse.Namespace(write=None, words=[]), "text")
