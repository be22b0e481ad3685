# SPDX-License-Identifier: GPL-2.0-or-later
"""git as a tool, the same on every host: no configuration but the object store's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pinrace import store
from pinrace.errors import InfrastructureError
from pinrace.paths import cache_dir
from pinrace.procs import Completed, run

# Commits of ours are the same on every host and day.
IDENT_NAME, IDENT_EMAIL, IDENT_DATE = "pinrace", "pinrace@localhost", "1000000000 +0000"
COMMITTER = {
    "GIT_COMMITTER_NAME": IDENT_NAME,
    "GIT_COMMITTER_EMAIL": IDENT_EMAIL,
    "GIT_COMMITTER_DATE": IDENT_DATE,
}
AUTHOR = {key.replace("COMMITTER", "AUTHOR"): value for key, value in COMMITTER.items()}
NO_CONFIG = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
# What `git rev-parse --local-env-vars` names: set when a hook or `git bisect run` starts us.
LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
SETTINGS = {
    "gc.auto": "0",  # the refs below refs/pinrace/ are all there is to keep, and packs are big
    "maintenance.auto": "false",
    "core.abbrev": "12",  # as kernel patches have it
    "core.logAllRefUpdates": "true",  # a person edits there, and may want to go back
    "checkout.workers": "0",  # one per CPU
    "extensions.worktreeConfig": "false",
    "advice.detachedHead": "false",
}


def git(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    what: str = "",
    users_config: bool = False,
) -> Completed:
    """Run git; without users_config, no configuration of the user or the host counts.

    Raises InfrastructureError when it fails and check is set.
    """
    unset = [word for name in LOCAL_VARIABLES if name in os.environ for word in ("-u", name)]
    prefix = ["env", *unset] if unset else []
    settled = {} if users_config else NO_CONFIG
    return run(
        [*prefix, "git", *argv],
        cwd=cwd,
        env={**settled, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(env or {})},
        stdin=stdin,
        check=check,
        what=what or f"git {argv[0]}",
        hint="pinrace doctor",
    )


def plain_environment() -> dict[str, str]:
    """Return this process's environment without what would lead git elsewhere."""
    kept = {key: value for key, value in os.environ.items() if key not in LOCAL_VARIABLES}
    return {**kept, **NO_CONFIG, "LC_ALL": "C"}


def repository() -> Path:
    """Return the object store, one bare repository for all trees; made when it is missing."""
    path = cache_dir() / "trees" / "objects.git"
    if (path / "pinrace-ready").exists():
        return path
    with store.locked("trees-repository"):
        if not (path / "pinrace-ready").exists():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            git("init", "--quiet", "--bare", "--object-format=sha1", "--template=", path)
            for key, value in SETTINGS.items():
                in_store("config", key, value)
            (path / "info").mkdir(exist_ok=True)
            # Bytes in, bytes out: a tree's own attributes convert nothing.
            (path / "info" / "attributes").write_text("* -text -ident -filter\n")
            (path / "pinrace-ready").touch()
    return path


def in_store(*argv: str | Path, **options: object) -> Completed:
    """Run git on the object store; options as of git()."""
    path = cache_dir() / "trees" / "objects.git"
    return git(f"--git-dir={path}", *argv, **options)  # type: ignore[arg-type]


def object_id(text: str) -> str:
    """Return the object id that git printed; InfrastructureError when it is none."""
    words = text.split()
    if not words or not re.fullmatch(r"[0-9a-f]{40}", words[-1]):
        raise InfrastructureError(f"git printed no object id but: {text.strip()!r}")
    return words[-1]


def lookup(name: str) -> str | None:
    """Return the id of the object that a ref or expression names in the store, or None."""
    repository()
    done = in_store("rev-parse", "--verify", "--quiet", name, check=False)
    return object_id(done.output) if done.status == 0 else None


def show_file(commit: str, path: str) -> str:
    """Return a text file of a commit in the store."""
    return in_store("cat-file", "blob", f"{commit}:{path}").output


def read_object(repo: Path, kind: str, name: str) -> bytes:
    """Return the bytes of an object of a repository; InfrastructureError without it."""
    argv = ["git", f"--git-dir={repo}", "cat-file", kind, name]
    done = subprocess.run(argv, env=plain_environment(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise InfrastructureError(f"git cannot read {kind} {name}: {said}")
    return done.stdout


def set_ref(name: str, commit: str) -> None:
    """Point a ref of the store at a commit."""
    in_store("update-ref", name, commit)
