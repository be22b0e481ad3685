# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees from somebody's git: one commit of it, by a signed tag, a branch or a commit id.

For each URL there is a bare mirror without history in the cache, so that the next tag brings only
what differs.  From it a tree goes into the object store as it would come from a tarball: the same
content has the same commit there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

from pinrace import store
from pinrace.errors import InfrastructureError, NotVerifiedError, UserError
from pinrace.paths import cache_dir
from pinrace.procs import Completed
from pinrace.trees import keys, objects
from pinrace.trees.fastimport import KERNEL_FILES, MESSAGE, Imported, not_a_kernel
from pinrace.trees.git import (
    AUTHOR,
    COMMITTER,
    git,
    in_store,
    lookup,
    object_id,
    read_object,
    repository,
)
from pinrace.trees.pins import TAGS, Role, Signer
from pinrace.values import Tree

Say = Callable[[str], None]

URL = re.compile(r"(https?|git|ssh|file)://\S+")
TRIES = 3
PAUSE = 1.0  # seconds before a second try, doubled each time
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WANTED = "refs/pinrace/wanted/"  # in a mirror: what came, so that the next fetch builds on it
_SIGNATURE = b"\n-----BEGIN PGP SIGNATURE-----"
# A server that sends less than this many bytes a second for that many seconds is given up.
_PATIENCE = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")


class NoSuchRefError(UserError):
    """The repository answers, and does not have that ref."""


@dataclass(frozen=True)
class Found:
    """What a ref of a remote repository came to."""

    imported: Imported
    ref: str  # as in refs/tags/v7.3, or a commit id
    commit: str  # the remote's own
    signed_by: str  # whose signature of the tag counts; "" when nobody's does
    signers: tuple[str, ...] = ()  # fingerprints


def resolve(spec: str, *, say: Say, insecure: bool) -> Tree:
    """Return the tree that URL#REF stands for; REF is a tag, a branch or a whole commit id.

    A tag counts when one of the pinned keys signed it, a commit id because git checks the content
    against it.  The rest raises NotVerifiedError unless `insecure`.  UserError for a ref that is
    not there.
    """
    url, ref = urldefrag(spec)
    parts = urlsplit(url)
    if parts.password:
        raise UserError(
            f"there is a password in the address of {parts.hostname}, and results would show it",
            hint="leave it to git: git help credentials",
        )
    if not ref:
        raise UserError(f"which tag, branch or commit of {url}?", hint=f"--tree '{url}#v7.3'")
    found = fetch(url, ref, TAGS, say=say, insecure=insecure)
    verified = ""
    if found.signed_by:
        verified = f"signature ok: {found.signed_by}"
    elif _COMMIT.fullmatch(ref):
        verified = "is the commit that was asked for"
    version = objects.plain_version(objects.make_version(found.imported.commit))
    name = found.ref.removeprefix("refs/tags/")
    if name == found.ref:
        version += f"-g{found.commit[:12]}"
    elif objects.plain_version(name) != version:
        version += f" {name}"
    return Tree(
        spec,
        version,
        found.imported.tree_id,
        found.imported.commit,
        origin=f"git {url}",
        verified=verified,
        insecure=not verified,
    )


def fetch(
    url: str, ref: str, roles: tuple[Role, ...], *, say: Say, insecure: bool, what: str = ""
) -> Found:
    """Bring what a ref of a repository holds into the object store, once it is verified.

    A tag must be signed by a key that is pinned for one of these roles.  Raises UserError for a
    ref that is not there and for what is no kernel, NotVerifiedError, and InfrastructureError
    when git fails; the store is then as before.
    """
    what = what or f"{ref} of {url}"
    mirror = cache_dir() / "mirrors" / f"{store.digest(url)}.git"
    with store.locked(f"mirror-{mirror.stem}", say=say):
        _make_mirror(mirror)
        full, wanted = (ref, ref) if _COMMIT.fullmatch(ref) else _look_up(url, ref)
        if not _has(mirror, wanted):
            say(f"fetching {what}")
            _fetch(mirror, url, full, wanted)
        signed_by, signers = _verify(mirror, full, wanted, roles, what, say=say, insecure=insecure)
        imported, commit = _bring(mirror, wanted, what, say)
    return Found(imported, full, commit, signed_by, signers)


def _make_mirror(mirror: Path) -> None:
    """Make the mirror when it is missing; its lock is held."""
    if not (mirror / "HEAD").exists():
        mirror.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", "--object-format=sha1", "--template=", mirror)
        for key, value in (("gc.auto", "0"), ("maintenance.auto", "false")):
            git(f"--git-dir={mirror}", "config", key, value)
    for killed in (mirror / "objects" / "pack").glob("tmp_*"):
        killed.unlink()
    for lock in ("shallow.lock", "packed-refs.lock"):
        (mirror / lock).unlink(missing_ok=True)


def _ask(*argv: str | Path) -> Completed:
    """Run a git command that talks to a server, with the user's proxies and credentials.

    It is tried again, but not when the server answered that it does not have or give it.
    """
    for attempt in range(1, TRIES + 1):
        done = git(*_PATIENCE, *argv, check=False, users_config=True)
        final = re.search(
            r"couldn't find remote ref|not our ref|not found|does not (appear to be a git|exist)",
            done.output,
        )
        if done.status == 0 or final or attempt == TRIES:
            break
        time.sleep(PAUSE * 2 ** (attempt - 1))
    return done


def _trouble(url: str, done: Completed) -> InfrastructureError:
    """Return the error for a git command that a server did not serve."""
    said = [line for line in done.output.splitlines() if line.startswith(("fatal:", "error:"))]
    return InfrastructureError(
        f"git cannot get it from {url}: {'; '.join(said[-3:]) or f'status {done.status}'}",
        hint=f"is there a network?  look: git ls-remote {url}",
    )


def _look_up(url: str, ref: str) -> tuple[str, str]:
    """Return the full name of a ref of a repository, and the object it points to; tags first."""
    names = [ref] if ref.startswith("refs/") else [f"refs/tags/{ref}", f"refs/heads/{ref}"]
    if any(git("check-ref-format", name, check=False).status for name in names):
        raise UserError(f"'{ref}' is no name of a tag or branch", hint=f"git ls-remote {url}")
    done = _ask("ls-remote", "--quiet", "--", url, *names)
    if done.status:
        raise _trouble(url, done)
    there = {}
    for line in done.output.splitlines():
        oid, _, name = line.partition("\t")
        if _COMMIT.fullmatch(oid):
            there[name] = oid
    for name in names:
        if name in there:
            return name, there[name]
    raise NoSuchRefError(f"{url} has no tag or branch '{ref}'", hint=f"git ls-remote {url}")


def _has(mirror: Path, oid: str) -> bool:
    """Whether a fetch brought an object with all the files it holds."""
    name = f"{_WANTED}{oid}"
    done = git(f"--git-dir={mirror}", "rev-parse", "--quiet", "--verify", name, check=False)
    return done.status == 0


def _fetch(mirror: Path, url: str, full: str, wanted: str) -> None:
    """Fetch one ref without its history; InfrastructureError when it does not come."""
    target = f"{_WANTED}{wanted}"
    done = _ask(
        f"--git-dir={mirror}",
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-fetch-head",
        "--depth=1",
        url,
        f"+{full}:{target}",
    )
    if done.status:
        raise _trouble(url, done)
    got = object_id(git(f"--git-dir={mirror}", "rev-parse", target).output)
    if got != wanted:
        raise InfrastructureError(f"{full} of {url} changed while it was fetched", hint="try again")


def _verify(
    mirror: Path,
    full: str,
    wanted: str,
    roles: tuple[Role, ...],
    what: str,
    *,
    say: Say,
    insecure: bool,
) -> tuple[str, tuple[str, ...]]:
    """Return whose signature of the tag counts; ("", ()) for what needs none or is let pass."""
    if _COMMIT.fullmatch(full):
        return "", ()
    try:
        if not full.startswith("refs/tags/"):
            raise NotVerifiedError(
                f"{what}: a branch carries no signature",
                hint="name a signed tag or a whole commit id, or say --insecure",
            )
        signer = _tag_signer(mirror, full.removeprefix("refs/tags/"), wanted, roles, what)
    except NotVerifiedError as exc:
        if not insecure:
            raise
        say(f"NOT VERIFIED: {exc.what}")
        return "", ()
    return signer.name, (signer.fingerprint,)


def _tag_signer(mirror: Path, name: str, wanted: str, roles: tuple[Role, ...], what: str) -> Signer:
    """Return who signed a tag object, which must be of that name and of a commit."""
    if git(f"--git-dir={mirror}", "cat-file", "-t", wanted).output.strip() != "tag":
        raise NotVerifiedError(
            f"{what}: the tag is a mere name for a commit, it carries no signature",
            hint="name a signed tag or a whole commit id, or say --insecure",
        )
    content = read_object(mirror, "tag", wanted)
    payload, mark, armor = content.rpartition(_SIGNATURE)
    signer = keys.verify_bytes(payload + b"\n", mark[1:] + armor, what, *roles)
    # The name is in what is signed, so that an old tag cannot stand in for a new one.
    head = [line.partition(b" ") for line in payload.split(b"\n\n", 1)[0].split(b"\n")]
    said = {key: value.decode(errors="replace") for key, _, value in head}
    if (said.get(b"tag"), said.get(b"type")) != (name, "commit"):
        raise NotVerifiedError(
            f"{what}: what {signer.name} signed is the {said.get(b'type')} '{said.get(b'tag')}'",
            hint="somebody moved it: name another repository; --insecure takes it as it is",
        )
    return signer


def _bring(mirror: Path, wanted: str, what: str, say: Say) -> tuple[Imported, str]:
    """Put the tree of a mirror's object into the object store; return it and the commit there."""
    at = f"--git-dir={mirror}"
    commit = object_id(git(at, "rev-parse", "--verify", f"{wanted}^{{commit}}").output)
    tree_id = object_id(git(at, "rev-parse", "--verify", f"{wanted}^{{tree}}").output)
    listed = git(at, "ls-tree", "-z", "--name-only", tree_id, "--", *KERNEL_FILES).output
    if missing := set(KERNEL_FILES) - set(listed.split("\0")):
        raise not_a_kernel(what, missing)
    known = lookup(f"refs/pinrace/base/{tree_id}")
    if known:
        return Imported(tree_id, known), commit
    base = f"refs/pinrace/base/{tree_id}"
    root = object_id(
        git(at, "commit-tree", tree_id, env={**AUTHOR, **COMMITTER}, stdin=MESSAGE.encode()).output
    )
    git(at, "update-ref", base, root)
    with store.locked(objects.LOCK, say=say):
        say(f"importing {what}")
        repository()
        in_store("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", mirror, f"{base}:{base}")
    return Imported(tree_id, root), commit
