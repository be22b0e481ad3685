# SPDX-License-Identifier: GPL-2.0-or-later
"""A series that brings PIN_ARGS, and a kernel that shows none of it, do not make a PASS."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.cli.options import DEFAULT_SERIES
from pinrace.series import manifest
from pinrace.series.load import load_series
from pinrace.suites import feature
from pinrace.values import CaseResult, CaseStatus, Feature, Series

FEATURE = Feature("PIN_ARGS", "SECCOMP_IOCTL_NOTIF_PIN_ARGS", "pin_args")

PASSED = CaseResult("a", CaseStatus.PASS)
SKIPPED = CaseResult("b", CaseStatus.SKIP, "no PIN_ARGS in this kernel")


def test_the_projects_series_brings_it() -> None:
    assert manifest.feature_of(load_series(DEFAULT_SERIES)) == FEATURE
    assert manifest.feature_of(None) is None


def test_a_series_that_only_names_it_does_not(tmp_path: Path) -> None:
    patch = tmp_path / "0001-x.patch"
    patch.write_text("+ see SECCOMP_IOCTL_NOTIF_PIN_ARGS\n-#define SECCOMP_IOCTL_NOTIF_PIN_ARGS\n")
    assert manifest.feature_of(Series("x", "0", (patch,))) is None
    patch.write_text("+#define SECCOMP_IOCTL_NOTIF_PIN_ARGS 1\n")
    assert manifest.feature_of(Series("x", "0", (patch,))) == FEATURE


@pytest.mark.parametrize(
    ("records", "cases", "own", "lacks"),
    [
        (["feature pin_args=1"], [PASSED], False, False),
        (["feature pin_args=0"], [PASSED, SKIPPED], False, True),
        ([], [PASSED, SKIPPED], True, False),
        ([], [SKIPPED], True, True),
        ([], [SKIPPED], False, False),
        ([], [], True, False),
    ],
)
def test_lacking(records: list[str], cases: list[CaseResult], own: bool, lacks: bool) -> None:
    found = feature.lacking(FEATURE, records, cases, own=own)
    assert (found is not None) == lacks
    assert found is None or found.status is CaseStatus.FAIL
