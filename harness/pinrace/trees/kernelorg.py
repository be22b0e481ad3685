# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases from kernel.org: what a name stands for today, and its tree, verified.

A release comes as a tarball: the signature on sha256sums.asc, then the checksum, then the
developer's signature on the unpacked tar, and only then is it read.  A release candidate, a
linux-next and a release that the server no longer has come from git by their signed tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from pinrace import net, store
from pinrace.errors import InfrastructureError, NotVerifiedError, UserError
from pinrace.paths import cache_dir
from pinrace.trees import keys, objects, pins, remote
from pinrace.trees.fastimport import Imported
from pinrace.trees.git import lookup
from pinrace.trees.pins import RELEASES, Role, Signer
from pinrace.values import Tree

Say = Callable[[str], None]

SPECS = "mainline, stable, longterm:6.12, next, v7.3, 7.1.3, 7.4-rc2"
_NAMES = re.compile(r"(mainline|stable|longterm|next)(?::(\d+\.\d+))?")
# A number of two parts needs the v: without it, it is Debian's package.
_VERSIONS = re.compile(r"v?(\d+\.\d+(?:\.\d+|-rc\d+))|v(\d+\.\d+)|(next-\d{8})")
_MONIKERS = {"next": "linux-next"}


class Release(BaseModel):
    """One row of releases.json."""

    moniker: str
    version: str
    iseol: bool = False


@dataclass(frozen=True)
class _Record:
    """How a version came into the object store; kept, so that it needs no network again."""

    version: str
    tree_id: str
    commit: str  # in the object store
    origin: str
    verified: str
    signers: tuple[str, ...]  # fingerprints; it counts as long as all of them are pinned


def named(spec: str) -> bool:
    """Whether a spec is one of kernel.org's."""
    return bool(_NAMES.fullmatch(spec) or _VERSIONS.fullmatch(spec))


def resolve(spec: str, *, say: Say, insecure: bool) -> Tree:
    """Return the tree that a name or a version stands for.

    A name is looked up each time, and the result has the exact version.  A version that was
    verified once needs no network.  Raises UserError for what kernel.org does not have,
    NotVerifiedError for a download without a verified signature, unless `insecure`, and
    InfrastructureError.
    """
    match = _VERSIONS.fullmatch(spec)
    version = (match[1] or match[2] or match[3]) if match else _today(spec, say)
    record = _recall(version)
    if record is None:
        with store.locked(f"kernelorg-{version}", say=say):
            record = _recall(version) or _obtain(version, say, insecure=insecure)
    return Tree(
        version if version.startswith("next") else f"v{version}",
        version,
        record.tree_id,
        record.commit,
        origin=record.origin,
        verified=record.verified,
        insecure=not record.verified,
    )


def releases() -> list[Release]:
    """Return what kernel.org calls current; InfrastructureError when it does not say."""
    url = pins.read().releases
    content = net.document(url)
    try:
        return TypeAdapter(list[Release]).validate_python(json.loads(content)["releases"])
    except (ValueError, KeyError, TypeError, ValidationError) as exc:
        raise InfrastructureError(
            f"{url} is not the list of releases that it was: {str(exc)[:200]}",
            hint=f"name a version: {SPECS}",
        ) from exc


def _today(spec: str, say: Say) -> str:
    """Return the version that a name stands for now; nothing vouches for that but HTTPS."""
    match = _NAMES.fullmatch(spec)
    assert match  # noqa: S101
    listed = releases()
    for row in listed:
        line = re.match(r"\d+\.\d+", row.version)
        if row.moniker != _MONIKERS.get(match[1], match[1]):
            continue
        if match[2] is None or (line and line[0] == match[2]):
            if not _VERSIONS.fullmatch(row.version) and not _VERSIONS.fullmatch(f"v{row.version}"):
                raise InfrastructureError(f"kernel.org calls '{row.version}' {spec}, which is odd")
            say(f"{spec} is {row.version}{', which gets no more fixes' if row.iseol else ''}")
            return row.version
    there = ", ".join(f"{row.moniker} {row.version}" for row in listed)
    raise UserError(f"kernel.org has no {spec} now", hint=f"it has: {there}")


def _place(version: str) -> Path:
    """Return the file of a version's record."""
    return cache_dir() / "kernelorg" / f"{version}.json"


def _recall(version: str) -> _Record | None:
    """Return how a version came before, if its tree is there and its signers are still pinned."""
    try:
        known = TypeAdapter(_Record).validate_json(_place(version).read_bytes())
    except (OSError, ValidationError):
        return None
    pinned = {key.fingerprint for key in pins.read().keys}
    if not known.signers or not set(known.signers) <= pinned:
        return None
    return known if lookup(f"{known.commit}^{{tree}}") == known.tree_id else None


def _obtain(version: str, say: Say, *, insecure: bool) -> _Record:
    """Fetch a version by the way that it takes; remember it when it was verified."""
    record = None
    if not re.search(r"-rc|next", version):
        try:
            record = _by_tarball(version, say, insecure=insecure)
        except net.NotThereError as exc:
            say(f"{exc.what}: taking the tag")
    record = record or _by_tag(version, say, insecure=insecure)
    made = objects.make_version(record.commit)
    if not version.startswith("next") and objects.plain_version(made) != version:
        raise InfrastructureError(
            f"what kernel.org has as {version} calls itself {made}", hint="name another mirror"
        )
    if record.signers:
        _place(version).parent.mkdir(exist_ok=True)
        store.write_json(_place(version), asdict(record))
    return record


def _by_tag(version: str, say: Say, *, insecure: bool) -> _Record:
    """Fetch a version by its tag."""
    base = pins.read().git
    roles: tuple[Role, ...]
    if version.startswith("next"):
        url, ref, roles = f"{base}/next/linux-next.git", version, ("next",)
    elif version.count(".") > 1:
        url, ref, roles = f"{base}/stable/linux.git", f"v{version}", ("stable",)
    else:
        url, ref, roles = f"{base}/torvalds/linux.git", f"v{version}", ("mainline",)
    try:
        found = remote.fetch(url, ref, roles, say=say, insecure=insecure, what=f"tag {ref}")
    except remote.NoSuchRefError as exc:
        raise UserError(
            f"kernel.org has no linux {version}: {exc.what}", hint=f"for example {SPECS}"
        ) from exc
    verified = f"signature ok: {found.signed_by}" if found.signed_by else ""
    tree, commit = found.imported.tree_id, found.imported.commit
    return _Record(version, tree, commit, f"kernel.org tag {ref}", verified, found.signers)


def _by_tarball(version: str, say: Say, *, insecure: bool) -> _Record:
    """Fetch a release; NotThereError when the server does not have it any more."""
    major = version.split(".", 1)[0]
    folder = f"{pins.read().pub}/linux/kernel/v{major}.x"
    name = f"linux-{version}.tar.xz"
    signers: list[Signer] = []
    doubts: list[str] = []

    def doubt(exc: NotVerifiedError) -> None:
        if not insecure:
            raise exc
        say(f"NOT VERIFIED: {exc.what}")
        doubts.append(exc.what)

    want = ""
    try:
        want, signer = _signed_sum(folder, name)
        signers.append(signer)
    except NotVerifiedError as exc:
        doubt(exc)
    place = cache_dir() / "tarballs" / name
    try:
        digest = _tarball(f"{folder}/{name}", place, want, say)
        try:
            signers.append(_signed_tar(folder, place))
        except NotVerifiedError as exc:
            doubt(exc)
        imported: Imported = objects.import_file(place, digest, say=say)
    except UserError:
        net.discard(place)  # damaged
        raise
    net.discard(place)
    verified = "" if doubts else f"signature ok: {signers[-1].name}"
    who = () if doubts else tuple(signer.fingerprint for signer in signers)
    return _Record(version, imported.tree_id, imported.commit, "kernel.org tarball", verified, who)


def _signed_sum(folder: str, name: str) -> tuple[str, Signer]:
    """Return the sha256 that the signed list has of a file.

    NotThereError when the list lacks the file, NotVerifiedError without a good list.
    """
    url = f"{folder}/sha256sums.asc"
    try:
        signed = net.document(url)
    except net.NotThereError as exc:
        raise NotVerifiedError(
            f"{exc.what}, so no checksum can be checked",
            hint="name a complete mirror; --insecure goes without, and every result says so",
        ) from exc
    text, signer = keys.verify_clear(signed, url, "sums")
    found = re.search(rf"^([0-9a-f]{{64}})  {re.escape(name)}$", text.decode(), re.M)
    if not found:
        raise net.NotThereError(f"{url} does not list {name}")
    return found[1], signer


def _tarball(url: str, place: Path, want: str, say: Say) -> str:
    """Have a tarball at its place, of the digest `want` if that is known; return its digest.

    One that does not fit is fetched once more from the start: a resume may have mixed two files.
    """
    for attempt in (1, 2):
        if not place.exists():
            resumed = place.with_name(f"{place.name}.part").exists()
            say(f"downloading {url}")
            net.download(url, place, say=say)
        else:
            resumed = True
        digest = store.digest_file(place)
        if want in ("", digest):
            return digest
        net.discard(place)
        if not resumed or attempt == 2:
            break
        say(f"{place.name} is not what the list of checksums has: fetching it anew")
    raise InfrastructureError(
        f"{url} has the digest {digest}, where the signed list has {want}",
        hint="try again, or name another mirror: this file is damaged or somebody's own",
    )


def _signed_tar(folder: str, place: Path) -> Signer:
    """Return the developer who signed the unpacked tarball; NotVerifiedError without one."""
    url = f"{folder}/{place.name.removesuffix('.xz')}.sign"
    try:
        signature = net.document(url)
    except net.NotThereError as exc:
        raise NotVerifiedError(
            f"{exc.what}, so {place.name} cannot be verified",
            hint="name a complete mirror; --insecure goes without, and every result says so",
        ) from exc
    return keys.verify_unpacked(place, signature, url, *RELEASES)
