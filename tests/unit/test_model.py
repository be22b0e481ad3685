# SPDX-License-Identifier: GPL-2.0-or-later
"""The model's words and its suite."""

from __future__ import annotations

import re
from pathlib import Path

from pinrace.arches import ARCHES
from pinrace.cli.options import DEFAULT_SERIES
from pinrace.suites import ktap
from pinrace.suites.shipped import SUITES
from pinrace.values import CaseStatus

GOLDEN = Path(__file__).parents[1] / "golden"
MODEL = DEFAULT_SERIES / "guest" / "pinmodel"
NAME = re.compile(r'^\t+(?:\{ )?"(\w+ [^"%]+)", (?:check|\.)', re.MULTILINE)


def events() -> set[str]:
    """The events that model.h knows."""
    header = (MODEL / "model.h").read_text()
    body = header[header.index("enum op {") : header.index("NR_OPS")]
    return set(re.findall(r"\bOP_[A-Z_]+\b", body))


def test_every_event_has_a_name_and_a_family_or_is_drawn() -> None:
    words = (MODEL / "words.c").read_text()
    named = dict(re.findall(r'\[(OP_[A-Z_]+)\] = "([a-z-]+)"', words))
    assert len(events()) > 40
    assert events() == named.keys()
    whose = [name for op, name in named.items() if op != "OP_CLOSE"]
    assert len(set(whose)) == len(whose)


def test_every_case_names_its_statement() -> None:
    """What stands first in a case's name is what KTAP's reader sorts by."""
    names: list[str] = []
    for source in MODEL.glob("*.c"):
        names += re.findall(
            r'^\t\{?\s*"(\w+ [^"%]+)", (?:check|\.|killable)', source.read_text(), re.M
        )
    assert len(names) > 40
    assert all(re.match(r"C[0-9]+ ", name) for name in names)


def test_a_run_on_a_broken_kernel_says_which_statement_and_which_walk() -> None:
    """The output of a guest whose kernel had the first version of the series."""
    cases = ktap.parse((GOLDEN / "x86_64-model.ktap").read_text()).flatten()
    bad = {case.name: "\n".join(case.lines) for case in cases if case.status is CaseStatus.FAIL}
    assert len(cases) == 74
    assert not any(case.status is CaseStatus.ERROR for case in cases)
    assert {name.split()[0] for name in bad} == {"C3", "C4", "C5", "C8", "C16", "C23"}
    walks = [line for text in bad.values() for line in text.splitlines() if "# walk:" in line]
    assert "# walk: path A.recv-late B.deny A.fail" in walks
    assert "EAGAIN" in bad["C23 all memory that may be locked is used up"]


def test_its_machine_has_keys_and_tags() -> None:
    assert [suite.name for suite in SUITES.values() if suite.rich] == ["model", "pin_args"]
    assert ARCHES["arm64"].rich_args == ("mte=on",)
