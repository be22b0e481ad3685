# SPDX-License-Identifier: GPL-2.0-or-later
"""Build a collection of a tree's selftests by its own makefile, and install it into a folder.

Static where that works.  A program that does not build is said to be missing, with the compiler's
words; the others are there all the same.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pinrace import procs, store
from pinrace.arches import Abi
from pinrace.errors import InfrastructureError
from pinrace.host import sandbox
from pinrace.kbuild import sysroot, userspace
from pinrace.kbuild.elf import is_elf
from pinrace.kbuild.quirks import Quirk
from pinrace.trees.git import in_store, lookup
from pinrace.values import PatchedTree

_NOTE = "collection.json"
_LAYOUT = "1"  # of what the folder of a collection holds; part of its key

# The makefiles call rsync for a few plain copies, and hosts need not have it.  A link that leads
# out of its folder is followed, as --copy-unsafe-links does.
_RSYNC = """\
#!/bin/sh
parents=
for word; do
	shift
	case $word in
	--*) ;;
	-*R*) parents=--parents ;;
	-*) ;;
	*) set -- "$@" "$word" ;;
	esac
done
for place; do :; done
while [ $# -gt 1 ]; do
	follow=-a
	case $(readlink "$1") in
	/* | *../*) follow=-rpL ;;
	esac
	cp $follow $parents "$1" "$place" || status=23
	shift
done
exit ${status:-0}
"""


@dataclass(frozen=True)
class Collection:
    """A collection that was built and installed.

    tests: the names of its tests, in the order of the makefile's list.
    missing: the tests that are not there, each with the reason.
    """

    folder: Path  # holds all that is installed, at its place below the selftests
    name: str  # its folder below the selftests
    tests: tuple[str, ...]
    missing: dict[str, str]

    @property
    def place(self) -> Path:
        """The folder of its own files."""
        return self.folder / self.name


def sources(tree: PatchedTree) -> Path:
    """Return a folder with what a tree's selftests are built from.

    It is apart from the work tree, in which a kernel may be building meanwhile.
    """

    def fill(draft: Path) -> None:
        there = [p for p in _NEEDED if lookup(f"{tree.commit}:{p}")]
        archive = draft / "sources.tar"
        words = ("archive", "--format=tar", f"--output={archive}", tree.commit, "--", *there)
        in_store(*words, *_UNNEEDED, what="git archive")
        procs.run(["tar", "-xf", archive, "-C", draft], what="tar")
        archive.unlink()

    return store.make("selftest-sources", store.digest("1", tree.tree_id), fill)


# What makefiles and sources of selftests reach for.
_NEEDED = (
    *("Makefile", "tools", "scripts", "samples/check-exec", "mm/gup_test.h"),
    *("include/linux", "include/uapi", "include/vdso", "include/asm-generic"),
    *("arch/x86/include", "arch/x86/entry/vdso", "arch/arm64/include", "arch/arm64/kernel/vdso"),
    *("arch/arm/include", "drivers/iommu/iommufd/iommufd_test.h"),
)
_UNNEEDED = (":(exclude)tools/perf", ":(exclude)tools/testing/selftests/bpf/benchs")


def build(
    source: userspace.Source, tree: PatchedTree, abi: Abi, name: str, quirk: Quirk
) -> Collection:
    """Return a tree's collection, built for an ABI.

    source is as in userspace.headers().  Raises BuildError when the tree's headers do not build.
    """
    include = userspace.headers(source, tree.tree_id, abi.headers_arch)
    whole = sources(tree)
    root = sysroot.libraries(abi)
    key = store.digest(
        *(_LAYOUT, tree.tree_id, abi.name, name, userspace.compiler_identity(abi), root.name),
        quirk.model_dump_json(),
    )

    def fill(draft: Path) -> None:
        maker = _Maker(abi, name, quirk, include, draft)
        # Links, so that what makefiles generate beside sources stays with this build.
        place = draft / "src"
        procs.run(["cp", "-al", whole, place], what="cp")
        maker.install(place)
        listed = maker.listed(place)
        strip(maker.installed / name, abi)
        there = [test for test in listed if (maker.installed / name / test).exists()]
        said = {test: why_not(maker.output, test) for test in listed if test not in there}
        store.write_json(draft / _NOTE, {"tests": listed, "missing": said})
        for folder in (maker.output_folder, draft / "bin", place):
            shutil.rmtree(folder, ignore_errors=True)

    folder = store.make("collections", key, fill)
    note = json.loads((folder / _NOTE).read_text())
    return Collection(folder / "install", name, tuple(note["tests"]), note["missing"])


class _Maker:
    """Runs make for one collection and one ABI."""

    def __init__(self, abi: Abi, name: str, quirk: Quirk, include: Path, draft: Path) -> None:
        self.abi, self.name, self.quirk = abi, name, quirk
        self.output_folder, self.installed = draft / "build", draft / "install"
        self.output = ""  # what make printed
        root = sysroot.libraries(abi)
        self.shims = shims = draft / "bin"
        self.binds = (*sandbox.reads(include, root), *sandbox.writes(draft))
        for folder in (self.output_folder, self.installed / name, shims):
            folder.mkdir(parents=True)
        (shims / "rsync").write_text(_RSYNC)
        (shims / "rsync").chmod(0o755)
        libraries = root / "usr/lib" / abi.triple
        self.env = {
            "PKG_CONFIG_LIBDIR": f"{libraries}/pkgconfig:{root}/usr/share/pkgconfig",
            "PKG_CONFIG_SYSROOT_DIR": str(root),
        }
        self.words = [
            f"ARCH={quirk.arch.get(abi.name, abi.headers_arch)}",
            f"CROSS_COMPILE={abi.cross}",
            f"OUTPUT={self.output_folder}",
            f"KHDR_INCLUDES=-isystem {include}",
            f"USERCFLAGS=-idirafter {root / 'usr/include'} -L{libraries}",
            f"INSTALL_PATH={self.installed / name}",
            f"OBJ_PATH={self.installed}",
            f"COLLECTION={name}",
        ]
        self.log = userspace.log_path(f"collection-{name.replace('/', '-')}-{abi.name}")
        self.log.unlink(missing_ok=True)

    def install(self, tree: Path) -> None:
        """Build all that builds, what does not do so statically with libraries, and install it."""
        if self.quirk.linked == "static":
            self._make(tree, "-k", "-j2", "USERLDFLAGS=-static", "all")
        self.output = self._make(tree, "-k", "-j2", "all")
        self._make(tree, "-i", "-o", "all", "install")

    def listed(self, tree: Path) -> list[str]:
        """Return the names of the tests."""
        said = self._make(tree, "-s", "--no-print-directory", "emit_tests")
        line = re.compile(rf"^{re.escape(self.name)}:(\S+)$", re.MULTILINE)
        found = line.findall(said)
        for pattern in self.quirk.programs:
            place = self.installed / self.name
            for path in sorted(place.glob(pattern)):
                if path.is_file() and path.stat().st_mode & 0o100 and is_elf(path):
                    found.append(str(path.relative_to(place)))
        return [name for name in dict.fromkeys(found) if not name.endswith(".so")]

    def _make(self, tree: Path, *words: str) -> str:
        # A sandbox has a PATH of its own.
        shim = ("sh", "-c", 'PATH="$0:$PATH" exec "$@"', self.shims)
        argv: list[str | Path] = [
            *shim,
            "make",
            "-C",
            tree / userspace.SELFTESTS / self.name,
            *self.words,
            *words,
        ]
        argv.append(f"SRC_PATH={tree / userspace.SELFTESTS}")
        done = sandbox.run(
            argv, binds=self.binds, env=self.env, log_to=self.log, check=False, what="make"
        )
        if "No space left on device" in done.output:
            raise InfrastructureError(f"the disk is full: {self.name} was not built", log=self.log)
        return done.output


def why_not(output: str, test: str) -> str:
    """Return the first error that a build's output has about a program."""
    source = re.escape(Path(test).name.split(".")[0])
    about = re.compile(rf"^(?:\S*/)?{source}[\w.-]*\.[chS]:[\d:]* (?:fatal )?error: (.*)$", re.M)
    if match := about.search(output):
        return f"does not build: {match[1]}"
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if re.search(rf"\*\*\* .*/{re.escape(test)}\] Error", line):
            wrong = [x for x in lines[max(0, number - 12) : number] if "error:" in x or "ld: " in x]
            return f"does not build: {wrong[-1].split('error: ')[-1].strip()}" if wrong else _NO
    return _NO


_NO = "does not build"


def strip(folder: Path, abi: Abi) -> None:
    """Take the debug information out of programs, which a guest has no room for; symbols stay."""
    paths = [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and is_elf(p)]
    programs = [path for path in paths if path.stat().st_mode & 0o100]
    for first in range(0, len(programs), 100):
        argv: list[str | Path] = [f"{abi.cross}strip", "--strip-debug"]
        argv += programs[first : first + 100]
        sandbox.run(argv, binds=sandbox.writes(folder), check=False, what=str(argv[0]))
