# SPDX-License-Identifier: GPL-2.0-or-later
"""Find a suite by the name that the user gives it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pinrace.errors import UserError
from pinrace.series import manifest
from pinrace.series.manifest import FILE
from pinrace.suites import kselftest, kunit, ltp, own
from pinrace.suites.shipped import SUITES
from pinrace.suites.suite import Suite

# Of suites that a name describes.
KINDS = ("kselftest:COLLECTION", "kunit:NAME", "ltp:RUNTEST/TEST", own.SERIES, "FILE.toml")


def names(given: Iterable[str]) -> list[str]:
    """Return the names of the suites that these stand for, each once; a file may hold several.

    Raises UserError for a name that is none.
    """
    found = []
    for name in given:
        many = name.endswith(".toml")
        found += [one.name for one in own.find(name)] if many else [get_suite(name).name]
    return list(dict.fromkeys(found))


def defaults(folder: Path | None) -> list[str]:
    """Return the suites of a series in that folder, where nobody names any.

    Those that its manifest brings, else the one of its contract, else those of the default series.
    """
    if folder is None or folder == manifest.default_folder():
        return list(SUITES)
    one = manifest.read(folder)
    if one.suite:
        return [own.SERIES]
    if one.contract and one.contract.suite not in SUITES:
        return [of_manifest(folder, one.contract.suite).name]
    return list(SUITES)


def of_manifest(folder: Path, name: str) -> Suite:
    """Return the suite that a manifest in that folder names: one of its own, or any other."""
    own = folder / FILE
    if name not in SUITES and own.is_file() and name in own_names(own):
        return get_suite(f"{own}:{name}")
    return get_suite(name)


def own_names(path: Path) -> list[str]:
    """Return the names of the suites that a manifest brings with their programs."""
    return [str(table.get("name")) for table in manifest.read(path.parent).own_suites]


@cache
def get_suite(name: str) -> Suite:
    """Return the suite of that name; UserError when there is none."""
    if name in SUITES:
        return SUITES[name]
    if name.startswith(kselftest.PREFIX):
        return kselftest.suite(name)
    if name.startswith(kunit.PREFIX):
        return kunit.suite(name)
    if name.startswith(ltp.PREFIX):
        return ltp.suite(name)
    if name == own.SERIES:
        return Suite(name, "", 0, "the suites of the series' own series.toml")
    if ".toml" in name:
        return own.find(name)[0]
    hint = f"the suites are: {', '.join((*SUITES, *KINDS))}"
    raise UserError(f"unknown suite '{name}'", hint=hint)
