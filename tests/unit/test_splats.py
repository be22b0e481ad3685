# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports are found in logs that real kernels printed, and nowhere else.

tests/golden/<arch>-<what>.log: the console of a guest in which `what` was provoked, by sysrq or by
LKDTM (a debug flavor); `clean` ones are guests in which nothing was.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pinrace.errors import InfrastructureError
from pinrace.judge.splats import RULES, find, load_rules, read

GOLDEN = Path(__file__).parent.parent / "golden"

# The rules that must find something in each log.
WANTED = {
    "clean": set(),
    "panic": {"panic"},
    "kasan": {"kasan", "lockdep-off"},
    "warn": {"warn"},
    "oops": {"oops"},
    "bug": {"bug"},
    "hung_task": {"hung-task"},
    "lockdep": {"lockdep", "atomic-sleep", "rcu-stall", "soft-lockup"},
    "kcsan": {"kcsan"},
}
NOT_SEEN = {"arm64-kcsan"}  # nothing provokes it
LOGS = sorted(GOLDEN.glob("*.log"))


def test_both_arches_have_every_log() -> None:
    wanted = {f"{arch}-{kind}" for arch in ("x86_64", "arm64") for kind in WANTED}
    assert {path.stem for path in LOGS} == wanted - NOT_SEEN


def kind_of(path: Path) -> str:
    """What was provoked in the guest of a log."""
    return path.stem.split("-", 1)[1]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    text = read(path)
    found = find(text)
    # Only arm64's stall says that lockdep is off.
    assert {s.rule for s in found} - {"lockdep-off"} == WANTED[kind_of(path)] - {"lockdep-off"}
    for splat in found:
        assert splat.title.split()[0] in text.split("\n")[splat.line - 1]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_the_fingerprint_ignores_times_and_addresses(path: Path) -> None:
    text = read(path)
    moved = re.sub(r"^\[ *(\d+)\.", lambda m: f"[{int(m[1]) + 5:>5}.", text, flags=re.M)
    before, after = find(text), find(moved)
    assert [s.fingerprint for s in before] == [s.fingerprint for s in after]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_without_its_first_line_a_report_is_not_the_same(path: Path) -> None:
    text = read(path)
    found = find(text)
    if not found:
        return
    lines = text.split("\n")
    del lines[found[0].line - 1]
    assert find("\n".join(lines)) != found


def test_an_empty_console_is_no_clean_one() -> None:
    with pytest.raises(InfrastructureError):
        find("")


def test_broken_rules_are_an_error(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("")
    with pytest.raises(InfrastructureError):
        load_rules(rules)


def test_an_id_has_one_kind_of_severity(tmp_path: Path) -> None:
    """What a report is called says whether it counts."""
    rules = tmp_path / "rules.toml"
    text = RULES.read_text()
    rules.write_text(f"{text}\n[[rule]]\nid = 'oops'\nstart = 'x'\nseverity = 'bug'\n")
    assert load_rules(rules).rule[-1].id == "oops"
    other = tmp_path / "other.toml"
    other.write_text(f"{text}\n[[rule]]\nid = 'oops'\nstart = 'x'\nseverity = 'note'\n")
    with pytest.raises(InfrastructureError, match="several kinds"):
        load_rules(other)


@pytest.mark.parametrize(
    "line",
    [
        "[    1.000000] Command line: console=ttyS0 note=BUG:",
        "[    1.000000] test: a WARNING: at the door is only text",
        "[    1.000000] Run /init as init process",
    ],
)
def test_ordinary_lines_are_no_reports(line: str) -> None:
    clean = read(GOLDEN / "x86_64-clean.log")
    assert find(f"{clean}\n{line}\n") == ()
