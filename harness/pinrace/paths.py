# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are: the project's data, the cache, the runs, what the user's own settings are.

In a checkout the data are the folders beside `harness/`.  A wheel carries them in `pinrace/data`.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from pathlib import Path

import platformdirs

from pinrace.errors import InfrastructureError, UserError

_PACKAGE = Path(__file__).resolve().parent
PACKAGE = _PACKAGE.parent  # the folder to import pinrace from
_CHECKOUT = _PACKAGE.parents[1]
INSTALLED = not (_CHECKOUT / "pyproject.toml").is_file()
PROJECT = _PACKAGE / "data" if INSTALLED else _CHECKOUT
CONFIGS = PROJECT / "configs"
KERNEL = PROJECT / "kernel"
ROOTFS = PROJECT / "rootfs"
SHIPPED_LOCK_FILE = CONFIGS / "trees.lock.toml"
# An installed package's own files are not the user's to change.
LOCK_FILE = (
    Path(platformdirs.user_config_dir("pinrace")) / "trees.lock.toml"
    if INSTALLED
    else SHIPPED_LOCK_FILE
)
KERNEL_ORG_FILE = CONFIGS / "kernel-org.toml"


def cache_dir() -> Path:
    """Return the cache folder, made if need be ($PINRACE_CACHE overrides it).

    Raises InfrastructureError as own_folder() does.
    """
    named = os.environ.get("PINRACE_CACHE")
    folder = Path(named) if named else Path(platformdirs.user_cache_dir("pinrace"))
    return own_folder(folder, "cache", "PINRACE_CACHE")


def runs_dir() -> Path:
    """Return the folder that holds the runs, made if need be.

    That is `runs` in the checkout, or in the current folder when pinrace is installed; `--runs`
    and $PINRACE_RUNS override it.  Raises InfrastructureError as own_folder() does.
    """
    named = os.environ.get("PINRACE_RUNS")
    folder = Path(named) if named else (Path.cwd() if INSTALLED else PROJECT) / "runs"
    return own_folder(folder, "folder of runs", "PINRACE_RUNS")


def own_folder(folder: Path, what: str, variable: str) -> Path:
    """Return a folder, made if need be, whose content nobody else decides.

    Kernels, programs and git hooks are taken from it without another look.  Raises
    InfrastructureError when it cannot be made, belongs to another user, or may be written by
    others.
    """
    hint = f"set {variable} to a folder of your own"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        found = folder.stat()
        folder = folder.resolve()
    except OSError as exc:
        said = exc.strerror or str(exc)
        raise InfrastructureError(f"the {what} {folder} cannot be used: {said}", hint=hint) from exc
    if found.st_uid != os.geteuid():
        owner = f"belongs to {_user(found.st_uid)}, and pinrace runs as {_user(os.geteuid())}"
        raise InfrastructureError(f"the {what} {folder} {owner}", hint=hint)
    if found.st_mode & stat.S_IWOTH or (
        found.st_mode & stat.S_IWGRP and not _private_group(found.st_gid)
    ):
        raise InfrastructureError(
            f"the {what} {folder} can be written by other users", hint=f"chmod go-w {folder}"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InfrastructureError(f"the {what} {folder} cannot be written", hint=hint)
    return folder


def given(text: str | Path) -> Path:
    """Return the path that a user names, with ~ for a home.

    Raises UserError for a home that nobody has, and for what no file can be called or may not be
    looked at.
    """
    try:
        path = Path(text).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (OSError, RuntimeError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise UserError(f"'{str(text)[:200]}' cannot be used as a path: {why}") from exc
    return path


def inside(folder: Path, name: str) -> Path:
    """Return a file that a description names, which has to be in the description's own folder.

    A stranger's suite or race goes to a guest, and what the guest prints may be published.  Raises
    UserError for a path or a link that leads elsewhere.
    """
    path = given(folder / name)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"'{name}' leads out of {folder}", hint=f"copy the file into {folder}")
    return path


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _private_group(gid: int) -> bool:
    """Whether a group is this user's alone, as Debian gives one to each user."""
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == _user(os.geteuid()) and not set(group.gr_mem) - {group.gr_name}
