# SPDX-License-Identifier: GPL-2.0-or-later
"""Options are read back, and a refusal is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.arches import ARCHES
from pinrace.errors import UserError
from pinrace.kbuild import kconfig
from pinrace.kbuild.kconfig import Wanted, dependencies, missing, parse

KCONFIG = """\
config OTHER
    bool "Other"

config WANTED
    bool "Wanted"
    depends on OTHER && !THIRD
    select FOURTH
    help
        depends on nothing in here

config LATER
    bool
    depends on WANTED
"""


def want(tmp_path: Path, text: str, *extra: str) -> Wanted:
    fragment = tmp_path / "f.config"
    fragment.write_text(text)
    return Wanted((fragment,), extra)


def test_parse_knows_set_and_unset() -> None:
    text = '# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C="x y"\n# a comment\nCONFIG_D=3\n'
    assert parse(text) == {"CONFIG_A": "n", "CONFIG_B": "y", "CONFIG_C": '"x y"', "CONFIG_D": "3"}


def test_missing_finds_refused_and_forced_options(tmp_path: Path) -> None:
    asked = want(tmp_path, "CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=y\n# CONFIG_D is not set\n")
    got = {"CONFIG_B": "y", "CONFIG_C": "y", "CONFIG_D": "y"}
    assert missing(asked, got) == ["CONFIG_A", "CONFIG_B", "CONFIG_D"]


def test_later_lines_win(tmp_path: Path) -> None:
    assert want(tmp_path, "CONFIG_A=y\n", "CONFIG_A=n").options == {"CONFIG_A": "n"}


def test_an_optional_option_may_be_unknown_but_not_refused(tmp_path: Path) -> None:
    asked = want(tmp_path, "# optional: CONFIG_A CONFIG_B\nCONFIG_A=y\nCONFIG_B=y\n")
    assert missing(asked, {"CONFIG_A": "n"}) == ["CONFIG_A"]


def test_dependencies_name_place_and_state(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    got = {"CONFIG_THIRD": "y"}
    assert dependencies(tmp_path, "CONFIG_WANTED", got) == [
        "Kconfig:4: depends on OTHER && !THIRD (OTHER=n, THIRD=y)"
    ]
    assert dependencies(tmp_path, "CONFIG_NONE", got) == ["no Kconfig of this tree defines it"]


def test_every_arch_and_flavor_has_fragments() -> None:
    assert {"plain", "kcsan", "debug", "no-seccomp"} <= set(kconfig.flavors())
    for arch in ARCHES.values():
        for flavor in kconfig.flavors():
            assert all(path.is_file() for path in kconfig.wanted(arch, flavor).fragments)


def test_a_flavor_may_stand_on_something_smaller() -> None:
    arch = ARCHES["arm64"]
    names = {
        name: [p.stem for p in kconfig.wanted(arch, name).fragments] for name in ("plain", "no-net")
    }
    assert names == {"plain": ["base", "arm64", "plain"], "no-net": ["small", "no-net"]}


@pytest.mark.parametrize(
    ("flavor", "extra", "message"),
    [
        ("fast", (), "unknown flavor 'fast'"),
        ("plain", ("SMP",), "'SMP' is no option"),
        ("plain", ("SMP=y", "CONFIG_SMP=n"), "contradict each other"),
    ],
)
def test_wrong_requests_are_the_users(flavor: str, extra: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        kconfig.wanted(ARCHES["x86_64"], flavor, extra)


def test_a_compiler_that_is_too_old_is_named() -> None:
    output = (
        "  HOSTLD  scripts/kconfig/conf\n"
        "***\n"
        "*** C compiler is too old.\n"
        "***   Your Clang version:    16.0.6\n"
        "***   Minimum Clang version: 17.0.1\n"
        "***\n"
        "make[5]: *** [scripts/kconfig/Makefile:85: allnoconfig] Error 1\n"
    )
    assert kconfig.refusal(output) == (
        "make tinyconfig failed:\n  C compiler is too old.\n"
        "  Your Clang version:    16.0.6\n  Minimum Clang version: 17.0.1"
    )
    assert kconfig.refusal("something else") == "make tinyconfig failed"
