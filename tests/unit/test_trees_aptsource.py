# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian source packages: what the index says, unpacking, and what no key has signed."""

from __future__ import annotations

import hashlib
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from pinrace.errors import InfrastructureError, UserError
from pinrace.trees import apt, aptsource
from pinrace.trees.aptsource import SourcePackage

SHOWSRC = f"""\
Package: tool
Version: 1.0-1
Checksums-Sha256:
 {"a" * 64} 10 tool_1.0-1.dsc
Directory: pool/t

Package: tool
Version: 1.0-1+deb1
Files:
 {"0" * 32} 10 tool_1.0-1+deb1.dsc
Checksums-Sha256:
 {"b" * 64} 10 tool_1.0-1+deb1.dsc
 {"c" * 64} 20 tool_1.0.orig.tar.xz
Homepage: none
"""
PATCH = """\
Description: say more
--- a/hello.c
+++ b/hello.c
@@ -1 +1 @@
-hello
+hello, world
"""


def test_the_files_are_those_of_the_version() -> None:
    assert aptsource.listed_files(SHOWSRC, "1.0-1") == (("tool_1.0-1.dsc", "a" * 64),)
    assert aptsource.listed_files(SHOWSRC, "1.0-1+deb1") == (
        ("tool_1.0-1+deb1.dsc", "b" * 64),
        ("tool_1.0.orig.tar.xz", "c" * 64),
    )
    with pytest.raises(InfrastructureError, match="no checksums"):
        aptsource.listed_files(SHOWSRC, "1.0")


def archive(path: Path, files: dict[str, str]) -> None:
    with tarfile.open(path, f"w:{path.suffix[1:]}") as out:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            out.addfile(member, BytesIO(text.encode()))


def package(folder: Path, *, series: str = "# why\nmore.patch -p1\n", **more: str) -> SourcePackage:
    folder.mkdir()
    upstream = {"tool-1.0/hello.c": "hello\n", "tool-1.0/debian/old": "", **more}
    archive(folder / "tool_1.0.orig.tar.bz2", upstream)
    debian = {"debian/control": "", "debian/patches/more.patch": PATCH}
    archive(folder / "tool_1.0-1.debian.tar.xz", {**debian, "debian/patches/series": series})
    names = (*(path.name for path in folder.iterdir()), "tool_1.0.orig.tar.bz2.asc", "tool.dsc")
    return SourcePackage("tool", "1.0-1", "bookworm", folder, tuple((n, "") for n in names))


def test_unpacking_applies_debians_patches(tmp_path: Path) -> None:
    source = package(tmp_path / "package")
    into = tmp_path / "out"
    into.mkdir()
    aptsource.unpack_source(source, into)
    assert (into / "hello.c").read_text() == "hello, world\n"
    assert not (into / "debian/old").exists()


def test_a_patch_that_does_not_apply(tmp_path: Path) -> None:
    source = package(tmp_path / "package", series="more.patch\nmore.patch\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(InfrastructureError, match=r"applying more\.patch"):
        aptsource.unpack_source(source, tmp_path / "out")


def test_other_formats_are_refused(tmp_path: Path) -> None:
    source = SourcePackage("tool", "1.0", "sid", tmp_path, (("tool_1.0.tar.xz", ""),))
    with pytest.raises(InfrastructureError, match="not of format"):
        aptsource.unpack_source(source, tmp_path)


def test_apt_does_not_take_sources_that_no_key_has_signed(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tmp_path / "repo/dists/testing"
    index = suite / "main/source/Sources"
    index.parent.mkdir(parents=True)
    index.write_text("Package: tool\nBinary: tool\nVersion: 1.0\nFormat: 3.0 (quilt)\n")
    text = index.read_bytes()
    (suite / "Release").write_text(
        "Suite: testing\nCodename: testing\nComponents: main\nArchitectures: amd64\n"
        "Date: Mon, 23 Nov 2026 00:00:00 UTC\nSHA256:\n"
        f" {hashlib.sha256(text).hexdigest()} {len(text)} main/source/Sources\n"
    )
    monkeypatch.setenv(apt.MIRROR_VARIABLE, f"file:{tmp_path}/repo")
    with pytest.raises(InfrastructureError, match="not signed"):
        aptsource.fetch_source("tool", "testing")


@pytest.mark.network
def test_a_source_package(own_cache: Path, tmp_path: Path) -> None:
    source = aptsource.fetch_source("dropbear", None)
    assert aptsource.fetch_source("dropbear", None, source.version) == source
    assert all((source.folder / name).is_file() for name, _ in source.files)
    with pytest.raises(UserError, match="it has: "):
        aptsource.fetch_source("dropbear", None, "0.1")
    with pytest.raises(UserError, match="no source package"):
        aptsource.fetch_source("no-such-package", None)
