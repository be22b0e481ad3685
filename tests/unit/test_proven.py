# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of proofs: cells of the ways that were gone, and the others as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.errors import UserError
from pinrace.races.race import proven
from pinrace.races.race.prove import Proof, Row

HELD = Row(
    "broken", "holds", "lost in hold 3: a lock is left under a.f+12,b.done,a.done; 19/20 replays",
    False, 2.6, "ph2:x", lost=True, tries=3, again=(19, 20),
)  # fmt: skip
KEPT = Row("fixed", "holds", "kept in 16 holds", True, 6.0, tries=16)


def line(path: Path, abi: str) -> list[str]:
    """The cells of an ABI."""
    (found,) = [text for text in path.read_text().splitlines() if f"| {abi} |" in text]
    return [cell.strip() for cell in found.split("|")[1:-1]]


def test_a_way_that_is_gone_again_replaces_its_cell_alone(tmp_path: Path) -> None:
    page = tmp_path / "races.md"
    page.write_text(f"before\n{proven.BEGIN}\n{proven.END}\nafter\n")
    proven.add(page, "mine", [Proof("arm", [HELD, KEPT])])
    free = Row("broken", "free", "kept in 9,000 rounds", None, 3.2, tries=9000)
    proven.add(page, "mine", [Proof("arm", [free]), Proof("i386", [free])])
    assert line(page, "arm") == [
        "`mine`", "arm", "kept in 9,000, 3 s", "", "",
        "2.6 s, 19/20, `a.f+12,b.done,a.done`, fixed: kept in 16",
    ]  # fmt: skip
    assert line(page, "i386")[5] == ""
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith(f"{proven.END}\nafter\n")
    assert page.read_text().index("| i386 |") < page.read_text().index("| arm |")


def test_what_is_lost_with_the_fix_is_not_written_as_kept(tmp_path: Path) -> None:
    bad = Row("fixed", "same hold", "lost", False, lost=True)
    proven.add(tmp_path / "page.md", "mine", [Proof("arm", [HELD, bad, KEPT])])
    assert "**lost with the fix**" in line(tmp_path / "page.md", "arm")[5]


def test_a_sweep_that_did_not_end_is_not_written_as_whole(tmp_path: Path) -> None:
    part = Row("fixed", "holds", "not swept to its end", False, miss=True, tries=52)
    proven.add(tmp_path / "page.md", "mine", [Proof("arm", [HELD, part])])
    assert line(tmp_path / "page.md", "arm")[5].endswith("kept in 52, but not all was tried")


def test_what_could_not_be_run_says_so(tmp_path: Path) -> None:
    bad = Row("broken", "seeds", "could not be run: no guest", False, miss=True)
    proven.add(tmp_path / "page.md", "mine", [Proof("arm", [bad])])
    assert line(tmp_path / "page.md", "arm")[4] == "failed: could not be run: no guest"


@pytest.mark.parametrize(
    "page", [f"before\n{proven.BEGIN}\nmore text\n".encode(), b"\xff is no UTF-8"]
)
def test_a_page_that_cannot_be_added_to_stays_as_it_is(page: bytes, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(page)
    with pytest.raises(UserError):
        proven.add(path, "mine", [Proof("arm", [HELD])])
    assert path.read_bytes() == page
