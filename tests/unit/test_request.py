# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests are checked before anything is downloaded or built."""

from __future__ import annotations

import pytest

from pinrace.arches import ABIS, ARCHES
from pinrace.cli.commands import COMMANDS
from pinrace.cli.main import main, parser
from pinrace.cli.options import cells, request
from pinrace.engine.request import select
from pinrace.errors import Exit, UserError


@pytest.mark.parametrize(
    ("arches", "abis", "expected"),
    [
        ([], [], (("x86_64", "arm64"), ("x86_64", "i386", "arm64", "arm"))),
        ([], ["arm"], (("arm64",), ("arm",))),
        (["x86_64"], [], (("x86_64",), ("x86_64", "i386"))),
        (["arm64", "x86_64"], ["arm"], (("arm64", "x86_64"), ("arm", "x86_64", "i386"))),
    ],
)
def test_select(
    arches: list[str], abis: list[str], expected: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    assert select(arches, abis) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--arch", "mips"], "unknown arch 'mips'"),
        (["--abi", "x32"], "unknown ABI 'x32'"),
        (["--arch", "arm64", "--abi", "i386"], "runs on x86_64, which --arch leaves out"),
        (["--flavor", "fast"], "unknown flavor 'fast'"),
        (["--suite", "nothing"], "unknown suite 'nothing'"),
        (["--kernel", "/k"], "--kernel takes the kernel of one arch"),
        (["--repeat", "0"], "numbers of 1 or more"),
        (["--config", "SMP"], "'SMP' is no option"),
    ],
)
def test_bad_requests(line: list[str], message: str) -> None:
    args = parser().parse_args(["test", *line])
    with pytest.raises(UserError, match=message):
        cells(request(args), args)


def test_cells_cover_the_matrix() -> None:
    args = parser().parse_args(["test", "--suite", "smoke", "--repeat", "2"])
    names = [cell.name for cell in cells(request(args), args)]
    assert len(names) == len(set(names)) == 2 * len(ABIS)
    assert "arm64-arm-plain-smoke-r2" in names


def test_exit_codes_reach_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--arch", "mips"]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "unknown arch 'mips'" in said
    assert "x86_64, arm64" in said


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
    assert "pinrace shell" in capsys.readouterr().out


def test_the_tables_agree() -> None:
    assert len({abi.audit_arch for abi in ABIS.values()}) == len(ABIS)
    for arch in ARCHES.values():
        assert arch.abis[0].elf_machine == arch.elf_machine
        assert all(abi.arch == arch.name for abi in arch.abis)
