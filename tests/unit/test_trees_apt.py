# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's apt sources, and the private apt root against a real mirror."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pinrace.errors import InfrastructureError, UserError
from pinrace.trees import apt, debs

DEB822 = """\
# a comment
Types: deb deb-src
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
# a comment inside
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: https://off.example/debian
Suites: trixie
Components: main

Types: deb
URIs: https://security.example/debian-security
Suites:
 bookworm-security
 trixie-security
Components: main

Types: deb-src
URIs: https://source.example/debian
Suites: trixie
Components: main
"""
ONE_LINE = """\
# deb http://off.example/debian trixie main
deb [arch=amd64 signed-by=/a/b.gpg] http://one.example/debian bookworm main non-free # why
deb-src http://one.example/debian bookworm main
deb http://other.example/repo stable extra
"""


def test_deb822_stanzas() -> None:
    first, second = apt.parse_sources(DEB822)
    assert first.uris == ("https://mirror.example/debian",)
    assert first.suites == ("bookworm", "bookworm-updates")
    assert first.components == ("main", "contrib")
    assert second.suites == ("bookworm-security", "trixie-security")


def test_one_line_stanzas() -> None:
    first, second = apt.parse_list(ONE_LINE)
    assert first == apt.Source(("http://one.example/debian",), ("bookworm",), ("main", "non-free"))
    assert second.uris == ("http://other.example/repo",)


def test_all_source_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/x.list.disabled").write_text("deb http://no.example x main\n")
    assert len(apt.host_sources(tmp_path)) == 4


def test_a_suites_mirror_is_the_hosts() -> None:
    sources = apt.parse_sources(DEB822)
    assert (
        apt.mirror_for("trixie-backports", sources, "bookworm") == "https://mirror.example/debian"
    )
    for suite in ("bookworm-security", "sarge-security"):
        found = apt.mirror_for(suite, sources, "bookworm")
        assert found == "https://security.example/debian-security"


def test_a_foreign_repository_is_no_debian_mirror() -> None:
    sources = apt.parse_list("deb http://other.example/repo stable main\n")
    with pytest.raises(InfrastructureError, match="no Debian mirror"):
        apt.mirror_for("trixie", sources, "bookworm")


def test_a_host_that_is_not_debian(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    assert apt.host_suite(release) == "bookworm"
    release.write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    with pytest.raises(UserError, match="does not name a Debian suite"):
        apt.host_suite(release)


def test_a_suites_name_cannot_inject(own_cache: Path) -> None:
    with pytest.raises(UserError, match="no name of a Debian suite"):
        apt.AptRoot("trixie main\ndeb http://evil", "amd64")


@pytest.mark.parametrize("stale", [False, True])
def test_apt_does_not_take_what_no_key_has_signed(
    stale: bool, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository on disk that anyone could have made, through the real apt."""
    suite = tmp_path / "repo/dists/testing"
    packages = suite / "main/binary-amd64/Packages"
    packages.parent.mkdir(parents=True)
    packages.write_text("Package: linux-source-7.3\nVersion: 7.3.4\nArchitecture: all\n")
    text = packages.read_bytes()
    (suite / "Release").write_text(
        "Suite: testing\nCodename: testing\nComponents: main\nArchitectures: amd64\n"
        "Date: Mon, 23 Nov 2026 00:00:00 UTC\nSHA256:\n"
        f" {hashlib.sha256(text).hexdigest()} {len(text)} main/binary-amd64/Packages\n"
    )
    monkeypatch.setenv(apt.MIRROR_VARIABLE, f"file:{tmp_path}/repo")
    root = apt.AptRoot("testing", "amd64", stale=stale)
    with pytest.raises(InfrastructureError, match="not signed"):
        root.versions("linux-source-7.3")
    with pytest.raises(InfrastructureError):  # and not on a second try either
        root.versions("linux-source-7.3")


@pytest.mark.network
def test_a_package_of_another_arch(own_cache: Path, tmp_path: Path) -> None:
    deb = apt.fetch_deb("libcap-dev", None, "armhf")
    assert hashlib.sha256(deb.path.read_bytes()).hexdigest() == deb.sha256
    debs.unpack_deb(deb, tmp_path / "out")
    assert (tmp_path / "out/usr/lib/arm-linux-gnueabihf/libcap.a").is_file()
    assert apt.fetch_deb("libcap-dev", None, "armhf", deb.version) == deb
    with pytest.raises(UserError, match="it has: "):
        apt.fetch_deb("libcap-dev", None, "armhf", "0.1")
    with pytest.raises(UserError, match="has no package"):
        apt.fetch_deb("no-such-package", None, "armhf")


@pytest.mark.network
def test_a_suite_that_is_not_there(own_cache: Path) -> None:
    with pytest.raises(InfrastructureError, match="Release"):
        apt.AptRoot("nosuchsuite", "amd64").versions("bash")
