# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's programs compile for every ABI, and one of the wrong ABI is noticed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.arches import ABIS, get_abi
from pinrace.errors import BuildError, InfrastructureError
from pinrace.kbuild import elf, sources, userspace
from pinrace.paths import cache_dir

# One worker builds what all of these share.
pytestmark = pytest.mark.xdist_group("userspace")

Build = Callable[[str], Path]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    """What was compiled before is not compiled again; the programs are, in a cache of ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CCACHE_DIR", os.environ.get("CCACHE_DIR", str(cache_dir() / "ccache")))
        yield


@pytest.fixture(scope="module")
def no_headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty include folder: the compiler's own kernel headers, which lack PIN_ARGS, are used."""
    return tmp_path_factory.mktemp("include")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, no_headers: Path) -> Build:
    """Build the programs of an ABI in a cache of this module's own."""
    cache = tmp_path_factory.mktemp("cache")

    def built(abi: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PINRACE_CACHE", str(cache))
            return userspace.build_programs(get_abi(abi), no_headers)

    return built


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ABIS)
def test_every_program_is_of_its_abi(build: Build, name: str) -> None:
    abi = get_abi(name)
    native = abi.name == abi.arch
    folder = build(name)
    expected = {p.place for p in sources.programs() if native or not p.native}
    assert set(files(folder)) == expected
    assert "bin/pinsmoke" in expected
    assert ("init" in expected) == native
    for place in expected:
        elf.check_program(folder / place, abi)


@pytest.mark.parametrize("name", ABIS)
def test_program_of_another_abi_is_refused(build: Build, name: str) -> None:
    program = build(name) / "bin/abiprobe"
    for other in ABIS.values():
        if other.name != name:
            with pytest.raises(InfrastructureError, match=f"{other.name} is {other.elf_machine}"):
                elf.check_program(program, other)


def test_compiler_that_builds_for_another_abi_is_noticed(own_cache: Path, no_headers: Path) -> None:
    wrong = replace(get_abi("i386"), cross=get_abi("x86_64").cross)
    with pytest.raises(InfrastructureError, match="of machine 62 with 64 bits"):
        userspace.build_programs(wrong, no_headers)
    assert not list((own_cache / "programs").iterdir())


def test_dynamic_program_is_refused(tmp_path: Path) -> None:
    abi = get_abi("x86_64")
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    for flag, static in (("-static", True), ("-no-pie", False)):
        out = tmp_path / "out"
        subprocess.run([f"{abi.cross}gcc", flag, source, "-o", out], check=True)
        if static:
            elf.check_program(out, abi)
        else:
            with pytest.raises(InfrastructureError, match="not static"):
                elf.check_program(out, abi)


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert not elf.is_elf(script)
    with pytest.raises(InfrastructureError, match="no ELF file"):
        elf.check_program(script, get_abi("arm"))


def test_same_bytes_in_another_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_headers: Path
) -> None:
    few = tuple(p for p in sources.programs() if p.name in ("abiprobe", "race"))
    monkeypatch.setattr(sources, "programs", lambda: few)
    found = []
    for name in ("one", "two"):
        monkeypatch.setenv("PINRACE_CACHE", str(tmp_path / name))
        monkeypatch.setenv("CCACHE_DIR", str(tmp_path / name / "ccache"))
        found.append(userspace.build_programs(get_abi("arm"), no_headers))
    assert found[0] != found[1]
    assert files(found[0]) == files(found[1])


def test_headers_are_part_of_the_key(build: Build, tmp_path: Path) -> None:
    include = tmp_path / "include"
    include.mkdir()
    (include / "unused.h").write_text("/* nothing */\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINRACE_CACHE", str(tmp_path / "cache"))
        other = userspace.build_programs(get_abi("arm"), include)
    assert other.name != build("arm").name


def test_headers_with_another_layout_do_not_compile(own_cache: Path, tmp_path: Path) -> None:
    """A kernel that numbers PIN_ARGS otherwise is an error, never a test of something else."""
    linux = tmp_path / "include/linux"
    linux.mkdir(parents=True)
    (linux / "seccomp.h").write_text(
        "#include_next <linux/seccomp.h>\n"
        "#define SECCOMP_IOCTL_NOTIF_PIN_ARGS SECCOMP_IOWR(6, __u64)\n"
        "struct seccomp_pin_arg { __u64 id; };\n"
        "struct seccomp_notif_pin_args { __u64 id; };\n"
    )
    with pytest.raises(InfrastructureError, match="layout of seccomp_pin_arg") as caught:
        userspace.build_programs(get_abi("i386"), tmp_path / "include")
    assert caught.value.log is not None
    assert "number of PIN_ARGS" in caught.value.log.read_text()


def test_missing_compiler_says_what_to_install(own_cache: Path, no_headers: Path) -> None:
    abi = replace(get_abi("arm"), cross="no-such-")
    with pytest.raises(InfrastructureError) as caught:
        userspace.build_programs(abi, no_headers)
    assert "no-such-gcc" in caught.value.what
    assert "gcc-arm-linux-gnueabihf" in caught.value.hint


def test_malformed_list_of_programs(tmp_path: Path) -> None:
    path = tmp_path / "programs.toml"
    path.write_text('[[program]]\nname = "x"\n')
    with pytest.raises(InfrastructureError, match="no list of programs"):
        sources.programs(path)


def test_tree_without_headers_is_a_build_error_with_a_log(own_cache: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with pytest.raises(BuildError) as caught:
        userspace.headers(lambda: nullcontext(tree), "0" * 40, "x86")
    assert caught.value.log is not None
    assert "make" in caught.value.log.read_text()
    assert not list((own_cache / "headers").iterdir())
