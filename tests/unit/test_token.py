# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens: what is written is read back, and what is not one is refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.machine import Replay
from pinrace.races.replay import run, token, words
from pinrace.races.replay.token import Token

GOOD = Token(
    abi="i386",
    job="race",
    tree="debian:7.3",
    patched="0123456789",
    flavor="plain",
    seed="s7.1.2",
    qemu="7.2.22-ab12",
    kernel="a" * 10,
    image="b" * 10,
    machine="c" * 10,
    fingerprint="d" * 10,
)


def test_what_is_written_is_read_back() -> None:
    text = str(GOOD)
    assert " " not in text
    assert len(text) < 120
    assert token.parse(f" {text}\n") == GOOD
    assert GOOD.replay == Replay(seed=7, shift=1)
    assert GOOD.smp == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no kind of token"),
        ("pr9:x", "no kind of token"),
        (str(GOOD)[:-12], "parts"),
        (str(GOOD)[:-1], "fingerprint"),
        (str(GOOD).replace("s7.1.2", "7"), "no seed"),
        (str(GOOD).replace("a" * 10, "a" * 9 + "x"), "kernel"),
    ],
)
def test_what_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        token.parse(text)


def test_differences_name_what_is_not_the_same() -> None:
    other = replace(GOOD, qemu="10.0.2-cd34", image="e" * 10, fingerprint="f" * 10)
    found = words.differences(GOOD, other, token.MADE_OF)
    assert len(found) == 2
    assert found[0].startswith("QEMU: 10.0.2-cd34 here, 7.2.22-ab12")
    with pytest.raises(InfrastructureError, match="the root file system: eeeeeeeeee here"):
        words.refuse(GOOD, other, token.MADE_OF)
    same = replace(GOOD, fingerprint="f" * 10)
    assert words.differences(GOOD, same, token.MADE_OF) == []
    words.refuse(GOOD, same, token.MADE_OF)


def test_jobs() -> None:
    assert run.get_jobs("race", 5)[-1].argv[1:] == ("5", str(run.ROUNDS), "plain")
    assert run.get_jobs("race-pinned", 5)[-1].argv[-1] == "pinned"
    assert run.get_jobs("smoke", 5)[-1].name == "smoke"
    with pytest.raises(UserError, match="unknown job"):
        run.get_jobs("races", 5)


def test_a_kernel_s_build_id_is_no_part_of_it(tmp_path: Path) -> None:
    note = b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0"
    for name, kernel in {"a": b"1", "b": b"2", "c": b"1"}.items():
        end = b"end" if name != "c" else b"END"
        (tmp_path / name).write_bytes(b"start" + note + kernel * 20 + end)
    a, b, c = (words.short_kernel(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
