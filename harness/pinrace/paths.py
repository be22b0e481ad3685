# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are: the project's folders, the cache, the runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

PROJECT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT / "configs"
KERNEL = PROJECT / "kernel"
MUTANTS = KERNEL / "mutants"
ROOTFS = PROJECT / "rootfs"
LOCK_FILE = CONFIGS / "trees.lock.toml"
KERNEL_ORG_FILE = CONFIGS / "kernel-org.toml"


def cache_dir() -> Path:
    """Return the cache folder, made if need be ($PINRACE_CACHE overrides it)."""
    named = os.environ.get("PINRACE_CACHE")
    folder = Path(named) if named else Path(platformdirs.user_cache_dir("pinrace"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def runs_dir() -> Path:
    """Return the folder that holds the runs ($PINRACE_RUNS overrides it)."""
    named = os.environ.get("PINRACE_RUNS")
    folder = Path(named) if named else PROJECT / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
