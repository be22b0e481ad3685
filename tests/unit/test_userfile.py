# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a file of the user's is said, whichever command reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pinrace.errors import UserError
from pinrace.fleet import hosts
from pinrace.matrix import file as matrix
from pinrace.nightly import watch
from pinrace.races.preempt import windows
from pinrace.races.race import folder as race
from pinrace.report import post
from pinrace.runs import issues
from pinrace.series import manifest
from pinrace.suites import own

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "matrix": ("m.toml", matrix.load),
    "watch": ("w.toml", watch.load),
    "hosts": ("h.toml", hosts.load),
    "mail": ("mail.toml", post.load),
    "issues": ("i.toml", issues.read),
    "windows": ("windows.toml", windows.load),
    "suite": ("s.toml", own.load_file),
    "series": (manifest.FILE, lambda path: manifest.read(path.parent)),
    "race": (race.FILE, lambda path: race.load(path.parent)),
}
WRONG = {
    "bytes": (b"\xff\xfe = 1\n", "is no TOML"),
    "text": (b"no toml\n", "is no TOML"),
    "field": (b"nonsense_field = 1\n", r"\n  \S*nonsense_field: "),
}


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("what", READERS)
def test_it_says_what_is_wrong(what: str, how: str, tmp_path: Path) -> None:
    name, read = READERS[what]
    said, message = WRONG[how]
    (tmp_path / name).write_bytes(said)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / name)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize("what", READERS)
def test_a_folder_is_no_file(what: str, tmp_path: Path) -> None:
    name, read = READERS[what]
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"cannot read .*Is a directory"):
        read(tmp_path / name)
