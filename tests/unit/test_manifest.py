# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series brings is said beside its patches, and nowhere in the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pinrace
from pinrace.errors import InfrastructureError, UserError
from pinrace.kbuild import sources
from pinrace.paths import KERNEL, ROOTFS
from pinrace.series import manifest
from pinrace.series.load import load
from pinrace.suites import own, registry
from pinrace.suites.shipped import SUITES
from pinrace.values import Feature

PACKAGE = Path(pinrace.__file__).parent
DEFAULT = manifest.default_folder()


def test_the_package_names_no_series_of_ours() -> None:
    named = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and "data" not in path.relative_to(PACKAGE).parts[:1]
        if path.suffix in (".py", ".toml", ".j2", ".js", ".css")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"pin.?args|seccomp", line, re.IGNORECASE)
    ]
    assert not named, "say it in the series' series.toml"


def test_every_shipped_manifest_names_what_there_is() -> None:
    for folder, one in manifest.shipped().items():
        programs = {program.name for program in one.program}
        for suite in one.image_suites:
            assert suite.guest in programs or (suite.selftest and one.selftests)
        named = [one.races.windows, one.races.benchmark]
        named += [one.contract.statements] if one.contract else []
        named += [f"{one.mutants.folder}/mutants.toml"] if one.mutants else []
        assert all((folder / name).is_file() for name in named if name)
        if one.contract:
            registry.of_manifest(folder, one.contract.suite)


def test_sources_are_one_folder() -> None:
    found = sources.files()
    assert found["init/init.c"].is_relative_to(ROOTFS)
    assert any(path.is_relative_to(KERNEL) for path in found.values())
    for program in sources.programs():
        assert all(name in found for name in program.sources), program.name
    place = sources.folder()
    assert {str(p.relative_to(place)) for p in place.rglob("*.[ch]")} == set(found)


def test_a_source_of_the_same_name_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "init").mkdir()
    (tmp_path / "init/init.c").write_text("int x;\n")
    monkeypatch.setattr(sources, "roots", lambda: (ROOTFS, tmp_path))
    with pytest.raises(InfrastructureError, match=r"two sources are called init/init\.c"):
        sources.files()


@pytest.mark.parametrize(
    "text",
    [
        "[feature]\nname = 1\n",
        "[unknown]\n",
        '[feature]\nname = "x"\ndefines = ""\nrecord = "y"\n',  # every macro would be it
        '[[requires]]\nwhat = "x"\nfile = "Makefile"\ntext = ""\n',  # every tree would have it
        '[[suite]]\nname = "x"\nguest = "y"\n',
        '[[suite]]\nname = "x"\nguest = "y"\nabout = "z"\ntimeout = 1\nleft_out.a = "slow"\n',
        "[[",
    ],
)
def test_a_malformed_manifest_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / manifest.FILE).write_text(text)
    with pytest.raises(UserError, match=r"series\.toml"):
        manifest.read(tmp_path)


def test_a_series_without_a_manifest_is_spoken_of_by_the_default_one(tmp_path: Path) -> None:
    patch = next(DEFAULT.glob("0001*.patch"))
    (tmp_path / patch.name).write_bytes(patch.read_bytes())
    series = load(f"none+{patch}", say=print)
    assert series is not None
    assert manifest.beside(series)[0] == DEFAULT


def test_a_series_own_manifest_may_bring_a_feature(tmp_path: Path) -> None:
    (tmp_path / manifest.FILE).write_text(
        '[feature]\nname = "pipes"\ndefines = "PIPE_SAYS"\nrecord = "pipe"\n'
    )
    patch = tmp_path / "0001-x.patch"
    patch.write_text("+#define PIPE_SAYS 1\n")
    series = manifest.Series("x", "0", (patch,))
    assert manifest.feature_of(series) == Feature("pipes", "PIPE_SAYS", "pipe")


def test_suites_of_a_series_are_those_of_the_image_and_its_own() -> None:
    series = load(str(DEFAULT), say=print)
    assert own.of_series(series) == list(SUITES)


def test_an_older_version_is_held_against_the_same_contract() -> None:
    series = load(str(DEFAULT / "v1"), say=print)
    assert series is not None
    folder, about = manifest.beside(series)
    assert about.contract is not None
    assert (folder / about.contract.statements).samefile(DEFAULT / "contract.toml")
    assert about.mutants is None  # most of the present version's do not apply


def test_mutants_are_looked_for_in_the_series_own_folder_first(tmp_path: Path) -> None:
    (tmp_path / manifest.FILE).write_text("[mutants]\n")
    folders = manifest.mutant_folders(tmp_path)
    assert folders[:2] == (tmp_path / "mutants", DEFAULT / "mutants")


def test_a_series_has_its_own_suites_where_nobody_names_any(tmp_path: Path) -> None:
    assert registry.defaults(None) == registry.defaults(DEFAULT) == list(SUITES)
    assert registry.defaults(DEFAULT / "v1") == list(SUITES)
    assert registry.defaults(KERNEL / "example") == ["kselftest:pipe/pipe_fdinfo"]
    (tmp_path / manifest.FILE).write_text('[[suite]]\nname = "x"\ncommand = "true"\n')
    assert registry.defaults(tmp_path) == [own.SERIES]
