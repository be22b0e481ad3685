# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.org in small, on 127.0.0.1, with keys made for the test."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pysequoia import Cert, SignatureMode, Tsk, sign
from trees_common import expected_tree, git, kernel_folder, no_say
from web_site import Site, serve

from pinrace import net, paths
from pinrace.errors import NotVerifiedError
from pinrace.trees import keys, pins, remote
from pinrace.trees.fetch import resolve
from pinrace.trees.git import in_store, repository
from pinrace.values import Tree

ROLES = ("sums", "mainline", "stable", "next")
REPOSITORIES = {
    "mainline": "torvalds/linux.git",
    "stable": "stable/linux.git",
    "next": "next/linux-next.git",
}


def make_key(name: str) -> Tsk:
    """A new key."""
    return Tsk.generate(user_id=f"{name} <{name}@kernel.example>")


def kernel(folder: Path, version: str) -> Path:
    """A made-up kernel that calls itself by a version."""
    kernel_folder(folder)
    number, _, extra = version.partition("-")
    major, minor, patch = [*number.split("."), "0"][:3]
    (folder / "Makefile").write_text(
        f"VERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = {patch}\n"
        f"EXTRAVERSION ={f' -{extra}' if extra else ''}\n"
    )
    return folder


@dataclass
class KernelOrg:
    """The server with what it publishes, and the secret keys."""

    site: Site
    folder: Path
    config: Path
    secret: dict[str, Tsk] = field(default_factory=dict)
    sums: dict[str, dict[str, str]] = field(default_factory=dict)  # by folder, then by file

    def pin(self, role: str, secret: Tsk, *, publish: bool = True) -> None:
        """Pin a key for a role, in the configuration and in the Web Key Directory."""
        self.secret[role] = secret
        cert = secret.extract_certificate()
        if publish:
            self.publish_key(role, cert)
        text = self.config.read_text()
        text = re.sub(rf"\[\[keys\]\]\nname = \"{role}\"\n(.+\n)*", "", text)
        self.config.write_text(
            text + f'[[keys]]\nname = "{role}"\nmail = "{role}@kernel.example"\n'
            f'fingerprint = "{cert.fingerprint.upper()}"\nvouches = ["{role}"]\n'
        )

    def publish_key(self, role: str, cert: Cert) -> None:
        """Put a certificate into the directory."""
        self.site.files[f"/wkd/{keys.wkd_hash(role)}"] = bytes(cert)

    def release(self, version: str, *, role: str = "stable") -> str:
        """Publish a release with its sums and signature; return its tree id."""
        source = kernel(self.folder / f"linux-{version}", version)
        packed = self.folder / f"linux-{version}.tar"
        with tarfile.open(packed, "w") as archive:
            archive.add(source, source.name)
        plain = packed.read_bytes()
        place = self.place(version)
        name = f"linux-{version}.tar"
        self.site.files[f"{place}/{name}.xz"] = lzma.compress(plain, preset=0)
        self.site.files[f"{place}/{name}.sign"] = sign(
            self.secret[role].signer(), plain, mode=SignatureMode.DETACHED
        )
        self.write_sums(version)
        return expected_tree(source)

    def write_sums(self, version: str, digest: str = "", *, by: Tsk | None = None) -> None:
        """Sign the list of checksums, with a release's digest in it."""
        place, name = self.place(version), f"linux-{version}.tar.xz"
        digest = digest or hashlib.sha256(self.site.files[f"{place}/{name}"]).hexdigest()
        listed = self.sums.setdefault(place, {})
        listed[name] = digest
        text = "".join(f"{one}  {file}\n" for file, one in sorted(listed.items()))
        signer = (by or self.secret["sums"]).signer()
        self.site.files[f"{place}/sha256sums.asc"] = sign(
            signer, text.encode(), mode=SignatureMode.CLEAR
        )

    def place(self, version: str) -> str:
        """The folder of a release."""
        return f"/pub/linux/kernel/v{version.split('.', maxsplit=1)[0]}.x"

    def tarball(self, version: str) -> str:
        """The path of a release's tarball."""
        return f"{self.place(version)}/linux-{version}.tar.xz"

    def current(self, *rows: tuple[str, str]) -> None:
        """Write releases.json of (moniker, version)."""
        listed = [{"moniker": m, "version": v, "iseol": False, "source": None} for m, v in rows]
        whole = {"latest_stable": {"version": "7.3.4"}, "releases": listed}
        self.site.files["/releases.json"] = json.dumps(whole).encode()

    def repository(self, role: str) -> Path:
        """One of the repositories, made when it is missing."""
        assert self.site.repositories
        path = self.site.repositories / REPOSITORIES[role]
        if not path.exists():
            path.mkdir(parents=True)
            git(path, "init", "-q", "--bare", "-b", "master")
            (path / "info").mkdir(exist_ok=True)
            (path / "info/attributes").write_text("* -text\n")
        return path

    def tag(self, role: str, name: str, version: str, *, by: Tsk | None = None) -> str:
        """Publish a signed tag; return the tree id."""
        repo = self.repository(role)
        source = kernel(self.folder / f"git-{role}-{name}", version)
        at = (f"--git-dir={repo}", f"--work-tree={source}")
        git(source, *at, "add", "-A", "-f", ".")
        tree = git(source, *at, "write-tree")
        parent = git(repo, "for-each-ref", "--format=%(objectname)", "refs/heads/master")
        line = ("-p", parent) if parent else ()
        commit = git(repo, "commit-tree", *line, "-m", f"Linux {version}", tree)
        git(repo, "update-ref", "refs/heads/master", commit)
        self.write_tag(role, name, commit, by or self.secret[role])
        return tree

    def write_tag(self, role: str, name: str, commit: str, by: Tsk, *, ref: str = "") -> None:
        """Sign a tag of a commit, and put it at a ref of that name or of another."""
        payload = (
            f"object {commit}\ntype commit\ntag {name}\n"
            f"tagger Linus Torvalds <t@kernel.example> 1790000000 -0700\n\nLinux, Café\n"
        ).encode()
        signature = sign(by.signer(), payload, mode=SignatureMode.DETACHED)
        file = self.folder / "tag"
        file.write_bytes(payload + signature)
        repo = self.repository(role)
        oid = git(repo, "hash-object", "-t", "tag", "-w", str(file))
        git(repo, "update-ref", f"refs/tags/{ref or name}", oid)


@contextmanager
def kernel_org(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelOrg]:
    """Serve it, with the harness pointed at it."""
    monkeypatch.setattr(net, "BACKOFF", 0)
    monkeypatch.setattr(remote, "PAUSE", 0)
    monkeypatch.setattr(paths, "KERNEL_ORG_FILE", folder / "kernel-org.toml")
    for name in (*pins.VARIABLES.values(), pins.KEYS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    folder.mkdir()
    with serve() as site:
        site.repositories = folder / "git"
        here = KernelOrg(site, folder, folder / "kernel-org.toml")
        here.config.write_text(
            f'pub = "{site.url}/pub"\nreleases = "{site.url}/releases.json"\n'
            f'git = "{site.url}/git"\nwkd = ["{site.url}/wkd/{{hash}}?l={{local}}"]\n'
        )
        for role in ROLES:
            here.pin(role, make_key(role))
        yield here


def refs() -> str:
    repository()
    return in_store("for-each-ref", "--format=%(refname)").output


def refused(spec: str, why: str) -> Tree:
    """Refused without --insecure and with nothing kept; taken with it, marked as such."""
    with pytest.raises(NotVerifiedError, match=why) as caught:
        resolve(spec, say=no_say)
    assert "--insecure" in caught.value.hint
    assert "refs/pinrace/" not in refs()
    said: list[str] = []
    tree = resolve(spec, say=said.append, insecure=True)
    assert any(re.search(rf"NOT VERIFIED: .*({why})", line) for line in said), said
    assert (tree.verified, tree.insecure, tree.trust) == ("", True, "NOT VERIFIED")
    assert "NOT VERIFIED" in tree.label
    with pytest.raises(NotVerifiedError):  # what was let pass once is not trusted after
        resolve(spec, say=no_say)
    return tree
