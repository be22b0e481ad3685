# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are: the project's data, the cache, the runs, what the user's own settings are.

In a checkout the data are the folders beside `harness/`.  A wheel carries them in `pinrace/data`.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[1]
INSTALLED = not (_CHECKOUT / "pyproject.toml").is_file()
PROJECT = _PACKAGE / "data" if INSTALLED else _CHECKOUT
CONFIGS = PROJECT / "configs"
KERNEL = PROJECT / "kernel"
MUTANTS = KERNEL / "mutants"
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
    """Return the cache folder, made if need be ($PINRACE_CACHE overrides it)."""
    named = os.environ.get("PINRACE_CACHE")
    folder = Path(named) if named else Path(platformdirs.user_cache_dir("pinrace"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def runs_dir() -> Path:
    """Return the folder that holds the runs, made if need be.

    That is `runs` in the checkout, or in the current folder when pinrace is installed; `--runs`
    and $PINRACE_RUNS override it.
    """
    named = os.environ.get("PINRACE_RUNS")
    folder = Path(named) if named else (Path.cwd() if INSTALLED else PROJECT) / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
