# SPDX-License-Identifier: GPL-2.0-or-later
"""KUnit's suites: built into the kernel, run while it boots, `kunit:NAME` or `kunit:all`.

A job reads what they said from debugfs, where each suite's KTAP lies whole; a kernel without that
has it in its log.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath

from pinrace import store
from pinrace.errors import UserError
from pinrace.guest.machine import Machine
from pinrace.kbuild import kconfig
from pinrace.suites.brought import Brought
from pinrace.suites.suite import Suite
from pinrace.trees.git import in_store, show_file
from pinrace.values import Job, PatchedTree

PREFIX = "kunit:"
ALL = "all"
BOOT_SECONDS = 120.0  # that the suites may take, at native speed: they run before init
_READ_SECONDS = 30.0
_LINES = (
    "CONFIG_KUNIT=y",
    "CONFIG_KUNIT_ALL_TESTS=y",
    "CONFIG_DEBUG_FS=y",
    "CONFIG_KUNIT_DEBUGFS=y",
)
# What only User Mode Linux has, or what a .kunitconfig says of KUnit itself.
_NOT_OURS = re.compile(r"CONFIG_(KUNIT|UML\w*|VIRTIO_UML|GCOV|DEBUG_INFO\w*)$")
_NAME = re.compile(r"\.name\s*=\s*\"([^\"]+)\"")
_READ = """\
cd /sys/kernel/debug/kunit 2>/dev/null && set -- */results
if [ -e "$1" ]; then cat "$@"; exit 0; fi
dmesg | sed -n '/KTAP version/,$p' | grep . && exit 0
echo 'TAP version 13'; echo '1..0 # SKIP no suite of KUnit ran'; exit 4
"""


@dataclass(frozen=True)
class Kunit(Suite):
    """The suites whose name matches a glob."""

    glob: str = ""

    def soft(self, tree: PatchedTree) -> tuple[str, tuple[str, ...]]:
        """Return what builds KUnit's suites, and what the folder of a named one asks for."""
        own = _folder_config(tree.commit, self._folders(tree)) if self.glob != ALL else {}
        lines = (*_LINES, *(f"{name}={value}" for name, value in sorted(own.items())))
        return (f"kunit-{store.digest(*lines)[:6]}" if own else "kunit"), lines

    def _folders(self, tree: PatchedTree) -> list[str]:
        """Return the folders of the named suite; UserError when the tree has none like it."""
        known = suites(tree.commit)
        if any(c in self.glob for c in "*?[."):
            pattern = re.compile(_translate(self.glob.split(".")[0]))
            return sorted({known[name] for name in known if pattern.fullmatch(name)})
        if self.glob not in known:
            near = difflib.get_close_matches(self.glob, known, 5, 0.5)
            near += [name for name in known if self.glob in name and name not in near]
            hint = f"did you mean {', '.join(near[:5])}?" if near else "kunit:all runs all of them"
            raise UserError(f"{tree.label} has no KUnit suite '{self.glob}'", hint=hint)
        return [known[self.glob]]

    def jobs(self, brought: Brought, only: str = "") -> tuple[Job, ...]:
        """Return the job that reads the results."""
        words = ("/bin/sh", "-c", _READ)
        return (Job(self.name, words, _READ_SECONDS, direct=False),)

    def about_series(self, tree: PatchedTree) -> Suite:
        """Return it with the folders of its suites: KUnit's sources lie beside what they test."""
        known = suites(tree.commit)
        folders = known.values() if self.glob == ALL else self._folders(tree)
        above = {str(PurePosixPath(f).parent) if f.endswith("/tests") else f for f in folders}
        return replace(self, about_files=tuple(f"{folder}/*" for folder in sorted(above)))

    def machine(self, usual: Machine) -> Machine:
        """Return a machine whose kernel runs these suites alone."""
        picks = () if self.glob == ALL else (f"kunit.filter_glob={self.glob}",)
        return replace(usual, cmdline=(*usual.cmdline, "kunit.enable=1", *picks))


def _translate(glob: str) -> str:
    return re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".")


@cache
def suites(commit: str) -> dict[str, str]:
    """Return the names of a tree's KUnit suites, each with the folder of its source."""
    files = in_store("ls-tree", "-r", "--name-only", commit).output.splitlines()
    likely = [f for f in files if f.endswith(".c") and re.search(r"test|kunit", f)]
    likely = [f for f in likely if not f.startswith(("tools/", "samples/", "Documentation/"))]
    argv = (
        "grep",
        "-h",
        "--heading",
        "--name-only",
        "-e",
        "kunit_test_suite",
        commit,
        "--",
        *likely,
    )
    found = in_store(*argv, check=False).output.splitlines()
    paths = [line.split(":", 1)[1] for line in found if ":" in line]
    names = {}
    for line in in_store("grep", "-e", r"\.name *= *\"", commit, "--", *paths).output.splitlines():
        _, path, text = line.split(":", 2)
        if match := _NAME.search(text):
            names[match[1]] = str(PurePosixPath(path).parent)
    return names


def _folder_config(commit: str, folders: Sequence[str]) -> dict[str, str]:
    """Return what the nearest .kunitconfig of these folders asks for."""
    asked: dict[str, str] = {}
    for folder in folders:
        for place in (folder, *(str(p) for p in PurePosixPath(folder).parents)):
            path = f"{place}/.kunitconfig"
            if in_store("cat-file", "-e", f"{commit}:{path}", check=False).status == 0:
                said = kconfig.parse(show_file(commit, path))
                asked |= {k: v for k, v in said.items() if not _NOT_OURS.match(k)}
                break
    return asked


def suite(name: str) -> Kunit:
    """Return the suites of a name that begins with the prefix; UserError for one that is none."""
    glob = name.removeprefix(PREFIX)
    if not re.fullmatch(r"[\w.*?-]+", glob):
        raise UserError(f"'{name}' names no suites of KUnit", hint="kunit:all, kunit:list_sort")
    about = "KUnit's suites" if glob == ALL else f"KUnit's suites {glob}"
    return Kunit(name, "", _READ_SECONDS, about, native=True, slow_boot=BOOT_SECONDS, glob=glob)
