# SPDX-License-Identifier: GPL-2.0-or-later
"""From a tree spec, as people type it, to a tree in the object store."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pinrace import store
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import given
from pinrace.trees import kernelorg, lock, objects, remote
from pinrace.trees.apt import AptRoot
from pinrace.trees.debs import Deb
from pinrace.values import Tree

DEFAULT_TREE = "debian:7.3"
DEB_ARCH = "amd64"  # linux-source is for all; this index always lists it
# Where linux-source packages are looked for when the lock file does not say, in this order.
SUITES = ("trixie-backports", "trixie", "bookworm", "bookworm-security", "sid", "experimental")
TARBALLS = (".tar", ".tar.xz", ".tar.gz", ".tgz")

Say = Callable[[str], None]

_DEBIAN = re.compile(r"(?:debian:)?(\d+\.\d+)(?:(@newest)|/([a-z][a-z-]*))?")
_SCP = re.compile(r"([\w.-]+@[\w.-]+):(?!//)(\S+)")


def resolve(spec: str, *, say: Say, insecure: bool = False) -> Tree:
    """Return the tree that a spec stands for, fetched and imported when need be.

    Specs: "debian:7.3" or "7.3" (Debian's linux-source-7.3, pinned by the lock file; with @newest
    whatever the archive has now, with /SUITE what that suite has now), a release of kernel.org by
    name or version (kernelorg.SPECS), URL#REF of a git repository, a path to a kernel's folder, a
    path to a tarball.  `say` gets a line for each step that takes time.  What is pinned and in the
    store needs no network.
    `insecure` accepts downloads without a verified signature.  Raises UserError for a spec that
    stands for nothing, NotVerifiedError, and InfrastructureError when the archive cannot be used.
    """
    match = _DEBIAN.fullmatch(spec)
    if match and match[3]:
        return _of_suite(match[1], match[3], say, insecure)
    if match:
        return _newest_debian(match[1], say) if match[2] else _debian(match[1], say)
    if kernelorg.named(spec):
        return kernelorg.resolve(spec, say=say, insecure=insecure)
    if remote.URL.match(spec):
        return remote.resolve(spec, say=say, insecure=insecure)
    path = given(spec)
    if (scp := _SCP.fullmatch(spec)) and not path.exists():
        raise UserError(
            f"'{spec}' is an address in the short form of ssh",
            hint=f"write ssh://{scp[1]}/{scp[2].lstrip('/')}",
        )
    if path.is_dir():
        return _folder(path.resolve(), say)
    if path.is_file() and path.name.endswith(TARBALLS):
        return _tarball(path.resolve(), say)
    if path.is_file():
        raise UserError(
            f"{path} is no tarball whose name ends in {', '.join(TARBALLS)}", hint=_specs()
        )
    raise UserError(f"there is no tree '{spec}'", hint=_specs())


def is_published(spec: str) -> bool:
    """Whether a spec names a tree of Debian or kernel.org, not an address or a path."""
    return bool(_DEBIAN.fullmatch(spec)) or kernelorg.named(spec)


def _specs() -> str:
    """Return what may be asked for."""
    pinned = ", ".join(lock.read()) or DEFAULT_TREE
    return (
        f"use one of {pinned}, debian:MAJOR.MINOR, {kernelorg.SPECS}, URL#TAG, a kernel's folder,"
        " or a tarball"
    )


def _debian(series: str, say: Say) -> Tree:
    """Resolve a series that Debian packages."""
    spec = f"debian:{series}"
    pin = lock.read().get(spec)
    imported = pin and objects.known_source(pin.sha256)
    if not pin or not imported:
        with store.locked("trees-lock", say=say):
            pin = lock.read().get(spec)
            deb = _pinned_deb(series, pin, say) if pin else None
            deb = deb or _newest_deb(series, pin, say)
            imported = objects.import_file(deb.path, deb.sha256, say=say)
            if not pin or pin.sha256 != deb.sha256 or not pin.tree_id:
                pin = lock.Pin(deb.suite, deb.version, deb.sha256, imported.tree_id)
                lock.write(spec, pin)
    if pin.tree_id and pin.tree_id != imported.tree_id:
        raise InfrastructureError(
            f"{spec} {pin.version} became tree {imported.tree_id}, where {lock.path()} has"
            f" {pin.tree_id}",
            hint=f"restore the file: git checkout -- {lock.path()}",
        )
    return Tree(
        spec,
        pin.version,
        imported.tree_id,
        imported.commit,
        origin=f"debian {pin.suite}",
        verified="signature ok",
    )


def _newest_debian(series: str, say: Say) -> Tree:
    """Resolve what the archive has now of a series, whatever is pinned."""
    spec = f"debian:{series}"
    with store.locked("trees-lock", say=say):
        deb = _newest_deb(series, lock.read().get(spec), say)
        imported = objects.import_file(deb.path, deb.sha256, say=say)
    return Tree(
        f"{spec}@newest",
        deb.version,
        imported.tree_id,
        imported.commit,
        origin=f"debian {deb.suite}",
        verified="signature ok",
    )


def _of_suite(series: str, suite: str, say: Say, insecure: bool) -> Tree:
    """Resolve what a suite has now; `insecure` takes one whose lists have expired."""
    package = f"linux-source-{series}"
    root, stale = AptRoot(suite, DEB_ARCH, say=say), False
    try:
        known = root.versions(package)
    except InfrastructureError as exc:
        if not insecure:
            hint = "--insecure takes lists that are signed and have expired"
            raise InfrastructureError(exc.what, hint=hint) from exc
        root, stale = AptRoot(suite, DEB_ARCH, say=say, stale=True), True
        known = root.versions(package)
    if not known:
        raise UserError(f"Debian's {suite} has no {package}", hint=_specs())
    deb = root.deb(package, known[0])
    imported = objects.import_file(deb.path, deb.sha256, say=say)
    return Tree(
        f"debian:{series}/{suite}",
        deb.version,
        imported.tree_id,
        imported.commit,
        origin=f"debian {suite}",
        verified="signature ok" + ", of lists that have expired" * stale,
        insecure=stale,
    )


def _pinned_deb(series: str, pin: lock.Pin, say: Say) -> Deb | None:
    """Return the pinned package; None, said plainly, when the archive no longer has it."""
    package = f"linux-source-{series}"
    root = AptRoot(pin.suite, DEB_ARCH, say=say)
    try:
        deb = root.deb(package, pin.version)
    except UserError:
        say(f"{package} {pin.version}, which is pinned, is no longer in {pin.suite}")
        return None
    if deb.sha256 != pin.sha256:
        raise InfrastructureError(
            f"{package} {pin.version} from {pin.suite} has the digest {deb.sha256}, but"
            f" {pin.sha256} is pinned",
            hint=f'if you trust the archive, remove ["debian:{series}"] from {lock.path()}',
        )
    return deb


def _newest_deb(series: str, pin: lock.Pin | None, say: Say) -> Deb:
    """Return the newest package of a series, from the pinned suite or the first that has it."""
    package = f"linux-source-{series}"
    suites = (pin.suite, *(s for s in SUITES if s != pin.suite)) if pin else SUITES
    unusable: list[str] = []
    for suite in suites:
        root = AptRoot(suite, DEB_ARCH, say=say)
        try:
            known = root.versions(package)
        except InfrastructureError as exc:
            unusable.append(exc.what)
            continue
        if known:
            say(f"taking {package} {known[0]} from {suite}")
            return root.deb(package, known[0])
    if len(unusable) == len(suites):
        raise InfrastructureError(
            f"no suite of Debian can be used:\n{unusable[0]}", hint="is there a network?"
        )
    trouble = "".join(f"\n{what}" for what in unusable)
    raise UserError(f"Debian has no {package} that can be had now{trouble}", hint=_specs())


def _folder(folder: Path, say: Say) -> Tree:
    """Resolve a folder: what is in it now."""
    imported, dirty = objects.snapshot(folder, say=say)
    return Tree(
        str(folder),
        objects.plain_version(objects.make_version(imported.commit)),
        imported.tree_id,
        imported.commit,
        origin=f"folder {folder}",
        verified="",
        dirty=dirty,
    )


def _tarball(path: Path, say: Say) -> Tree:
    """Resolve a tarball."""
    say(f"{path.name}: no signature is checked")
    imported = objects.import_file(path, store.digest_file(path), say=say)
    version = objects.plain_version(objects.make_version(imported.commit))
    return Tree(
        str(path),
        version,
        imported.tree_id,
        imported.commit,
        origin=f"tarball {path.name}",
        verified="",
    )
