# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates' table has every argument that the series accepts."""

from __future__ import annotations

import re

from pinrace.cli.options import DEFAULT_SERIES

ACCEPTED = re.compile(r"^\+PIN_[A-Z_]+\((\w+), (\d)[,)]", re.MULTILINE)
GATED = re.compile(r"^\t(?:\{ CALL|PATH|NAME|STRINGS|ADDRESS)\((\w+), (\d)[,)]", re.MULTILINE)
GATED_DATA = re.compile(r"^\tDATA\((\w+),", re.MULTILINE)
GATED_OTHER = re.compile(r"^\tPATH_ON\(\w+, (\w+), (\d),", re.MULTILINE)


def test_every_accepted_argument_has_a_gate() -> None:
    patches = "".join(path.read_text() for path in sorted(DEFAULT_SERIES.glob("*.patch")))
    accepted = set(ACCEPTED.findall(patches))
    table = (DEFAULT_SERIES / "guest" / "gates/table.c").read_text()
    gated = {*GATED.findall(table), *GATED_OTHER.findall(table)}
    gated |= {(call, "1") for call in GATED_DATA.findall(table)}
    gated |= {("setsockopt", "3")} if "\tOPTION(" in table else set()
    assert len(accepted) > 80
    assert accepted - gated == set()
