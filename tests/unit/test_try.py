# SPDX-License-Identifier: GPL-2.0-or-later
"""What `pinrace try` exits with: a kernel's fault, a difference, or a guest that did not run."""

from __future__ import annotations

import importlib

import pytest

from pinrace.errors import Exit
from pinrace.judge.ending import End

command = importlib.import_module("pinrace.cli.try")


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        (("status 0", End.ENDED), ("status 0", End.ENDED), Exit.OK),
        (("status 0", End.ENDED), ("status 1", End.ENDED), Exit.KERNEL),
        (("status 0", End.REPORTED), ("status 0", End.REPORTED), Exit.KERNEL),
        (("it died", End.DIED), ("it died", End.DIED), Exit.KERNEL),
        (("QEMU was ended", End.INFRA), ("status 0", End.ENDED), Exit.INFRA),
    ],
)
def test_the_exit_code(one: tuple[str, End], other: tuple[str, End], code: Exit) -> None:
    rows = [
        command.Row("arm64", tree, ended, "", end)
        for tree, (ended, end) in (("unpatched", one), ("tea", other))
    ]
    assert command._verdict(rows) == code
