# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds: how they are written, their tokens, and what the guest program and the list must share."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinrace.arches import ARCHES, Arch
from pinrace.cli import hunt as command
from pinrace.cli.main import parser
from pinrace.cli.options import DEFAULT_SERIES
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import ROOTFS
from pinrace.races.preempt import played, spec, table, token, windows
from pinrace.races.preempt.disasm import noticeable
from pinrace.races.preempt.played import Verdict
from pinrace.races.preempt.spec import DONE, Hold, Move
from pinrace.races.preempt.symbols import Symbols
from pinrace.races.preempt.token import HoldToken
from pinrace.races.preempt.windows import Window
from pinrace.races.replay import words

GOOD = HoldToken(
    abi="arm",
    tree="debian:7.3",
    patched="0123456789",
    flavor="plain",
    qemu="7.2.22-ab12",
    kernel="a" * 10,
    image="b" * 10,
    scenario="answers",
    hold="a.seccomp_notify_send+12,b.done,a.done",
    verdict="violated.n.0.3",
)

names = st.text("abz_09", max_size=12).map("f{}".format)
moves = st.builds(
    Move, st.sampled_from(list(spec.SIDES)), names, st.integers(0, 99999)
) | st.builds(Move, st.sampled_from("ab"), st.just(DONE))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moves, min_size=1, max_size=spec.MOST_MOVES).map(tuple))
def test_a_hold_is_read_as_it_is_written(made: tuple[Move, ...]) -> None:
    hold = Hold(made)
    assert spec.parse(str(hold)) == hold
    assert not set(str(hold)) & set(": \t\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.",
        "d.f",
        "a.f+",
        "a.f+x",
        "a.f+-1",
        "a.done+1",
        "a.f,",
        "a.f b.done",
        "a.1f",
    ],
)
def test_what_is_no_hold_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="no move"):
        spec.parse(text)


def test_a_hold_is_bounded() -> None:
    with pytest.raises(UserError, match="at the most"):
        spec.parse(",".join(["a.done"] * 9))


def test_one_and_two_preemptions() -> None:
    assert str(spec.single("b", "f", 3)) == "b.f+3,a.done,b.done"
    assert str(spec.single("t", "f", 0)) == "t.f,a.done,b.done"
    assert str(spec.single("a", "f", 3, settle=True)) == "a.f+3,b.done,t.done,a.done"
    assert str(spec.single("a", "f", 3, "g")) == "a.f+3,b.g,a.done"
    assert str(spec.pair(Move("a", "f", 3), Move("b", "g"))) == "a.f+3,b.g,a.done,b.done"


def test_a_token_is_read_as_it_is_written() -> None:
    assert token.parse(f" {GOOD}\n") == GOOD
    assert token.is_token(str(GOOD))
    assert not token.is_token("pr1:x")
    assert token.parse(str(GOOD)).spec == spec.single("a", "seccomp_notify_send", 12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ph1:x", "parts"),
        (str(GOOD)[:-8], "verdict"),
        (str(GOOD).replace("a" * 10, "A" * 10), "kernel"),
        (str(replace(GOOD, hold="a.f-12")), "no move"),
        (str(replace(GOOD, verdict="lost")), "verdict"),
    ],
)
def test_what_is_no_token_is_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        token.parse(text)


def test_differences_name_what_is_not_the_same() -> None:
    other = replace(GOOD, kernel="e" * 10, qemu="10.0.2-cd34")
    found = words.differences(GOOD, other, token.MADE_OF)
    assert [line.split(":")[0] for line in found] == ["the kernel's file"]
    assert not words.differences(GOOD, replace(GOOD, verdict="kept.g.0.0"), token.MADE_OF)


def test_a_verdict_is_what_the_guest_program_packs() -> None:
    packed = 1 << 19 | ord("n") << 12 | 17 << 6 | 2
    assert played.decode(packed) == Verdict(violated=True, what="n", a=17, b=2)
    assert str(played.decode(packed)) == "violated.n.17.2"
    assert str(played.decode(ord("-") << 12)) == "kept.-.0.0"


def test_the_guest_program_has_the_same_marks() -> None:
    source = (ROOTFS / "lib/race/tell.h").read_text()
    assert f"0x{played.MAGIC:x}" in (ROOTFS / "lib/race/tell.c").read_text()
    listed = re.search(r"enum mark \{([^}]*)\}", source)
    assert listed
    found = [word.strip().split(" = ")[0] for word in listed[1].split(",")]
    assert found == [f"MARK_{mark.name}" for mark in played.Mark]
    assert "MARK_NEXT = 1" in source


def test_the_list_names_scenarios_that_there_are() -> None:
    source = (DEFAULT_SERIES / "guest" / "hold/scenarios.c").read_text()
    known = set(re.findall(r'\.name = "(\w+)"', source))
    listed = windows.load()
    assert {window.scenario for window in listed} <= known
    assert [window.name for window in listed if window.control] == ["plain-open"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no list of windows:\n  window: Field required"),
        ('[[window]]\nname = "a"\nscenario = "b"\nwindow = "1f"\n', "no name of a function"),
        ('[[window]]\nname = "a"\nscenario = "b"\nwindow = "f"\n' * 2, "one name"),
        (
            '[[window]]\nname = "a"\nscenario = "b"\nwindow = "f"\nsides = 1\n',
            "0.sides: Extra inputs",
        ),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "windows.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        windows.load(path)


SOURCE = """
static int counter;
static inline __attribute__((always_inline)) int fold_in(int x)
{
	for (int i = 0; i < x; i++)
		counter += i * *(volatile int *)&counter;
	return counter;
}
__attribute__((noinline)) int fold_out(int x) { return fold_in(x) + 1; }
int main(int argc, char **argv) { (void)argv; return fold_out(argc); }
"""


def test_functions_are_found_inlined_or_not(tmp_path: Path) -> None:
    (tmp_path / "t.c").write_text(SOURCE)
    program = tmp_path / "t"
    subprocess.run(["gcc", "-O2", "-g", "-o", program, tmp_path / "t.c"], check=True)
    symbols = Symbols(program)
    whole, part = symbols.find("fold_out"), symbols.find("fold_in")
    assert not whole.inlined
    assert part.inlined
    assert part.body == whole.ranges
    assert all(whole.owns(low) and whole.owns(high - 1) for low, high in part.ranges)
    assert all(part.owns(entry) for entry in part.entries)
    assert symbols.address("fold_out") == whole.entries[0]
    assert symbols.name_at(whole.entries[0] + 1) == "fold_out"
    with pytest.raises(UserError, match="no function fold_none"):
        symbols.find("fold_none")


@pytest.mark.parametrize("arch", ARCHES.values(), ids=list(ARCHES))
def test_only_what_others_can_notice_is_held_before(arch: Arch, tmp_path: Path) -> None:
    source = """
    extern int other(int);
    int touch(int *p, int a) { int b = a * 3 ^ 5; b += *p; b <<= a; *p = b; return other(b) + 1; }
    int still(int a, int b) { return (a ^ b) + (a > b ? a : b << 3); }
    int other(int a) { return a; }
    void _start(void) { }
    """
    (tmp_path / "t.c").write_text(source)
    program = tmp_path / "t"
    flags = ("-O2", "-fno-ipa-icf", "-fno-inline", "-fno-ipa-pure-const", "-nostdlib", "-static")
    subprocess.run([f"{arch.cross}gcc", *flags, "-o", program, tmp_path / "t.c"], check=True)
    symbols = Symbols(program)
    busy = symbols.find("touch")
    found = noticeable(program, arch, busy)
    assert 3 <= len(found) < sum(high - low for low, high in busy.ranges) / 4
    assert all(busy.owns(address) for address in found)
    assert len(noticeable(program, arch, symbols.find("still"))) == 1  # the return


def test_what_is_no_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_text("no ELF file")
    with pytest.raises(InfrastructureError, match="cannot read the symbols"):
        Symbols(tmp_path / "vmlinux")


def asked(*words: str) -> tuple[Window, ...]:
    return command._windows(parser("hunt").parse_args(["hunt", *words]))


def test_a_window_is_asked_for() -> None:
    (one,) = asked("--window", "f+3..9", "--scenario", "pin", "--side", "t", "--until", "g")
    assert (one.window, one.first, one.last) == ("f", 3, 9)
    assert (one.side, one.runner, one.until) == ("t", "a", "g")
    (one,) = asked("--window", "f", "--scenario", "pin")
    assert (one.first, one.last) == (0, None)
    (one,) = asked("--window", "f+3", "--scenario", "pin")
    assert (one.first, one.last) == (3, 3)
    assert asked("-k", "attach-pin")[0].name == "attach-pin"
    assert len(asked()) == len(windows.load())


@pytest.mark.parametrize(
    "words",
    [
        ("--window", "f"),
        ("--window", "f+x", "--scenario", "pin"),
        ("--window", "f", "--scenario", "pin", "--pairs"),
        ("--window", "f", "--scenario", "pin", "--until", "1"),
        ("-k", "no such window"),
    ],
)
def test_what_cannot_be_swept_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        asked(*words)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="--for takes no '-1'"):
        command.run(parser().parse_args(["hunt", "--for", "-1"]))


def test_the_table_says_what_was_held_and_what_was_found() -> None:
    window = Window(name="attach-reply", scenario="reply", window="seccomp_notify_pin_args")
    control = Window(name="plain", scenario="plain", window="strncpy_from_user", control=True)
    swept = [
        table.Swept("x86_64", control, 61, 0, 38, length=61),
        table.Swept("x86_64", window, 130, 47, 0, length=241),
        table.Swept("arm64", window, 9, 0, 2, length=None, lost=1),
    ]
    text = table.markdown(swept, {"date": "today"})
    assert "| plain (control) | `strncpy_from_user` | plain, until done" in text
    assert "61 holds of 61, 0 given up, 38 violations | not run |" in text
    assert "130 holds of 241, 47 given up, 0 violations" in text
    assert "9 holds not to its end, 0 given up, **2 violations**, **1 lost**" in text
