# SPDX-License-Identifier: GPL-2.0-or-later
"""What an object folder was configured for: a patch that leaves that alone needs no new .config.

To have the tree's scripts make one takes as long as to compile what a small patch touches.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ValidationError

from pinrace import store
from pinrace.host import sandbox
from pinrace.kbuild.objects import Objects
from pinrace.kbuild.toolchain import Toolchain
from pinrace.trees.git import git, object_id

NAME = "pinrace.configured"
# What Kconfig reads: its files, the scripts that they run, and the makefiles that say with what.
_READ = re.compile(r"(^|/)(Kconfig[^/]*|Kbuild|Makefile[^/]*)$|^scripts/|/configs/|\.sh$")


class Configured(BaseModel):
    """What a .config was made of, and which one it was."""

    commit: str
    wanted: str  # a digest of what was asked for, and of whom
    config: str  # of the .config


def asked(text: str, chain: Toolchain) -> str:
    """Return a digest of a configuration as it is asked for, and of the compiler."""
    return store.digest("configured-1", text, chain.identity, *chain.make_vars)


def holds(obj: Objects, wanted: str) -> bool:
    """Whether the folder's .config is what its work tree would be configured to."""
    src = obj.src
    try:
        last = Configured.model_validate_json((obj.state / NAME).read_bytes())
        same = last.config == store.digest_file(sandbox.output(obj.path, ".config"))
    except (FileNotFoundError, ValidationError):
        return False
    if not same or last.wanted != wanted:
        return False
    changed = git("diff", "--name-only", "--no-renames", last.commit, "HEAD", cwd=src, check=False)
    return not changed.status and not any(map(_READ.search, changed.output.splitlines()))


def note(obj: Objects, wanted: str) -> None:
    """Note that the folder's .config is that of its work tree."""
    commit = object_id(git("rev-parse", "HEAD", cwd=obj.src).output)
    config = store.digest_file(sandbox.output(obj.path, ".config"))
    made = Configured(commit=commit, wanted=wanted, config=config)
    store.write_json(obj.state / NAME, made.model_dump())
