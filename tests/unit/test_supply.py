# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed and run comes by digest: packages, and the workflow's actions."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

import sbom  # noqa: E402


def test_the_lock_has_each_version_that_was_tested_with_its_digests() -> None:
    lock = sbom.locked((PROJECT / "requirements.txt").read_text())
    for line in (PROJECT / "constraints.txt").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line):
            version, digests = lock[canonicalize_name(match[1])]
            assert version == match[2], f"{match[1]}: make requirements.txt anew, as it says"
            assert digests
    assert "://" not in (PROJECT / "requirements.txt").read_text()


def test_actions_are_named_by_commit() -> None:
    for path in (PROJECT / ".github/workflows").glob("*.yml"):
        uses = re.findall(r"uses: (\S+)", path.read_text())
        assert uses
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one) for one in uses)
        assert path.read_text().count("persist-credentials: false") == sum(
            "checkout" in one for one in uses
        )
        assert "pull_request" not in path.read_text()


def test_the_bill_of_materials_names_what_the_wheel_needs() -> None:
    made = sbom.bill()
    components = made["components"]
    assert isinstance(components, list)
    names = {part["name"] for part in components}
    assert {"rich", "pydantic", "paramiko", "markupsafe"} <= names
    assert not names & {"pytest", "ruff", "mypy"}
    assert all(part["hashes"] for part in components)
