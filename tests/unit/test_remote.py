# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees by git: releases by their signed tag, and any repository by its URL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernelorg_site import KernelOrg, kernel_org, make_key, refused
from trees_common import git, no_say

from pinrace.errors import InfrastructureError, NotVerifiedError, UserError
from pinrace.trees.fetch import resolve
from pinrace.trees.git import in_store

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def org(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelOrg]:
    with kernel_org(tmp_path / "org", monkeypatch) as org:
        yield org


def test_a_tarball_and_a_tag_of_the_same_content_are_the_same_tree(org: KernelOrg) -> None:
    org.release("7.1.3")
    org.tag("stable", "v7.1.3", "7.1.3")
    first = resolve("7.1.3", say=no_say)
    tagged = resolve(f"{org.site.url}/git/stable/linux.git#v7.1.3", say=no_say)
    assert (tagged.tree_id, tagged.commit) == (first.tree_id, first.commit)


def test_candidates_and_next_come_by_their_tags(org: KernelOrg, own_cache: Path) -> None:
    first = org.tag("mainline", "v7.4-rc1", "7.4-rc1")
    second = org.tag("mainline", "v7.4-rc2", "7.4-rc2")
    following = org.tag("next", "next-20261120", "7.4-rc2-next")
    org.current(("mainline", "7.4-rc2"), ("linux-next", "next-20261120"))
    for spec, version, tree_id, who in (
        ("7.4-rc1", "7.4-rc1", first, "mainline"),
        ("mainline", "7.4-rc2", second, "mainline"),
        ("next", "next-20261120", following, "next"),
        ("next-20261120", "next-20261120", following, "next"),
    ):
        tree = resolve(spec, say=no_say)
        assert (tree.version, tree.tree_id) == (version, tree_id)
        assert tree.verified == f"signature ok: {who}"
    mirror = next((own_cache / "mirrors").glob("*.git"))
    history = git(mirror, "rev-list", "--all", "--count")
    assert int(history) <= 4  # two commits and two roots: no history came
    assert in_store("fsck", "--strict").status == 0
    assert not (own_cache / "trees/objects.git/shallow").exists()
    org.site.seen.clear()
    resolve("7.4-rc2", say=no_say)
    assert org.site.seen == []


@pytest.mark.parametrize("how", ["stranger", "other role", "unsigned", "renamed", "changed"])
def test_a_tag_that_does_not_count(org: KernelOrg, how: str) -> None:
    signers = {"stranger": make_key("stranger"), "other role": org.secret["next"]}
    org.tag("mainline", "v7.4-rc1", "7.4-rc1", by=signers.get(how))
    repo = org.repository("mainline")
    commit = git(repo, "rev-parse", "master")
    if how == "unsigned":
        git(repo, "tag", "-f", "-a", "-m", "x", "v7.4-rc1", commit)
    if how == "renamed":
        org.write_tag("mainline", "v7.4-rc0", commit, org.secret["mainline"], ref="v7.4-rc1")
    if how == "changed":
        content = subprocess.run(
            ["git", "cat-file", "tag", "v7.4-rc1"], cwd=repo, capture_output=True, check=True
        ).stdout
        (org.folder / "tag").write_bytes(content.replace(b"Linux, ", b"Linus, "))
        oid = git(repo, "hash-object", "-t", "tag", "-w", str(org.folder / "tag"))
        git(repo, "update-ref", "refs/tags/v7.4-rc1", oid)
    why = {
        "unsigned": "it is not signed",
        "renamed": r"signed is the commit 'v7\.4-rc0'",
        "changed": "signed something else",
    }
    refused("7.4-rc1", why.get(how, "where a key of"))


def test_any_repository_by_url(org: KernelOrg) -> None:
    expected = org.tag("mainline", "v7.3", "7.3")
    url = f"{org.site.url}/git/torvalds/linux.git"
    tree = resolve(f"{url}#v7.3", say=no_say)
    assert (tree.tree_id, tree.version) == (expected, "7.3")
    assert (tree.verified, tree.origin) == ("signature ok: mainline", f"git {url}")
    commit = git(org.repository("mainline"), "rev-parse", "master")
    exact = resolve(f"{url}#{commit}", say=no_say)
    assert exact.verified == "is the commit that was asked for"
    assert exact.version == f"7.3-g{commit[:12]}"
    with pytest.raises(NotVerifiedError, match="a branch carries no signature"):
        resolve(f"{url}#master", say=no_say)
    branch = resolve(f"{url}#master", say=no_say, insecure=True)
    assert branch.label == f"linux 7.3-g{commit[:12]} (NOT VERIFIED)"
    git(org.repository("mainline"), "tag", "mine", commit)
    with pytest.raises(NotVerifiedError, match="a mere name"):
        resolve(f"{url}#mine", say=no_say)
    local = resolve(f"file://{org.repository('mainline')}#v7.3", say=no_say)
    assert local.commit == tree.commit


def test_a_url_that_is_not_well_made(org: KernelOrg) -> None:
    org.tag("mainline", "v7.3", "7.3")
    url = f"{org.site.url}/git/torvalds/linux.git"
    with pytest.raises(UserError, match="which tag"):
        resolve(url, say=no_say)
    with pytest.raises(UserError, match=r"no tag or branch 'v7\.9'"):
        resolve(f"{url}#v7.9", say=no_say)
    with pytest.raises(UserError, match="no name of a tag"):
        resolve(f"{url}#refs/tags/*", say=no_say)
    with pytest.raises(UserError, match="password in the address"):
        resolve("https://me:secret@git.example/linux.git#v7.3", say=no_say)
    with pytest.raises(InfrastructureError, match="cannot get it from"):
        resolve(f"{org.site.url}/git/none.git#v7.3", say=no_say)
    with pytest.raises(InfrastructureError, match="cannot get it from"):
        resolve(f"{url}#{'1' * 40}", say=no_say)


def test_a_repository_that_is_no_kernel(org: KernelOrg, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q")
    git(work, "commit", "-q", "--allow-empty", "-m", "x")
    with pytest.raises(UserError, match="no kernel tree"):
        resolve(f"file://{work}#{git(work, 'rev-parse', 'HEAD')}", say=no_say)


def test_an_old_release_comes_by_its_tag(org: KernelOrg) -> None:
    org.release("7.1.3")
    expected = org.tag("stable", "v7.1.1", "7.1.1")
    said: list[str] = []
    tree = resolve("7.1.1", say=said.append)
    assert (tree.tree_id, tree.version) == (expected, "7.1.1")
    assert (tree.origin, tree.verified) == ("kernel.org tag v7.1.1", "signature ok: stable")
    assert any("does not list linux-7.1.1" in line and "tag" in line for line in said)
    # Listed, and gone all the same.
    org.release("7.1.2")
    del org.site.files[org.tarball("7.1.2")]
    expected = org.tag("stable", "v7.1.2", "7.1.2")
    assert resolve("7.1.2", say=no_say).tree_id == expected
    with pytest.raises(UserError, match=r"no linux 7\.1\.99"):
        resolve("7.1.99", say=no_say)
