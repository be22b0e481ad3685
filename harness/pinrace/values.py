# SPDX-License-Identifier: GPL-2.0-or-later
"""The values that flow from stage to stage.  None of them changes once made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True)
class Tree:
    """A pristine kernel tree in the object store.

    Its identity is `tree_id`, git's id of its content; the rest says where it
    came from and how far that can be trusted.
    """

    spec: str  # what to ask for to get it again, e.g. "debian:7.3", "v7.3.4" or a path
    version: str  # exact, e.g. "7.3.4-1~bpo13+1", or a folder's `make kernelversion`
    tree_id: str
    commit: str  # a commit in the object store whose tree is tree_id
    origin: str  # for people, e.g. "debian trixie-backports"
    verified: str  # how, e.g. "signature ok"; "" when nothing was checked
    dirty: bool = False  # a local folder with uncommitted changes
    insecure: bool = False  # came over a network, without a verified signature

    @property
    def label(self) -> str:
        """How results name it."""
        marks = {"dirty": self.dirty, "NOT VERIFIED": self.insecure}
        said = ", ".join(mark for mark, true in marks.items() if true)
        return f"linux {self.version}{f' ({said})' if said else ''}"

    @property
    def trust(self) -> str:
        """How far it was verified, in words."""
        return self.verified or "NOT VERIFIED"


@dataclass(frozen=True)
class Series:
    """A patch series as files on disk, in order."""

    name: str
    digest: str  # sha256 over the patches' contents, in order
    patches: tuple[Path, ...]
    origin: str = ""  # where it came from, when its patches were files nowhere: a URL, a mailbox
    attestation: str = ""  # what is known of the signatures on its messages
    spec: str = ""  # what --series takes to get it again; "" when that is not known
    folder: Path | None = None  # what belongs to it lies there; None: beside its first patch

    @property
    def count(self) -> str:
        """How many patches it has, in words; each file holds one."""
        return f"{len(self.patches)} {'patch' if len(self.patches) == 1 else 'patches'}"


@dataclass(frozen=True)
class Feature:
    """What a series brings to a kernel."""

    name: str  # for people
    defines: str  # a macro that its patches define
    record: str  # guest programs say `feature RECORD=0` where the kernel lacks it

    def defined_in(self, patches: bytes) -> bool:
        """Whether these patches add the macro."""
        pattern = rb"^\+#\s*define\s+%s\b" % re.escape(self.defines).encode()
        return bool(re.search(pattern, patches, re.MULTILINE))


@dataclass(frozen=True)
class PatchedTree:
    """A tree with a series applied, or without one."""

    base: Tree
    series: Series | None
    tree_id: str
    commit: str

    @property
    def label(self) -> str:
        """How results name it."""
        return f"{self.base.label} + {self.series.name}" if self.series else self.base.label


@dataclass(frozen=True)
class Request:
    """Which kernels and images to have."""

    arches: tuple[str, ...]
    abis: tuple[str, ...]
    flavors: tuple[str, ...] = ("plain",)
    kernel: Path | None = None  # a prebuilt one
    extra: tuple[str, ...] = ()  # more kernel options
    llvm: str = ""  # what make gets as LLVM=; "" for gcc
    jobs: int = 0  # compilers at once; 0: one a CPU


@dataclass(frozen=True)
class Kernel:
    """A built kernel; `folder` holds its artefacts under fixed names."""

    digest: str
    arch: str
    flavor: str
    tree_id: str
    release: str  # uname -r
    folder: Path

    @property
    def vmlinux(self) -> Path:
        """The ELF file with symbols and lines."""
        return self.folder / "vmlinux"

    @property
    def boot(self) -> Path:
        """What QEMU starts."""
        return self.folder / "boot"

    @property
    def config(self) -> Path:
        """Its .config."""
        return self.folder / "config"


@dataclass(frozen=True)
class Image:
    """An initramfs for one ABI (its init and shell are the arch's native ones)."""

    digest: str
    arch: str
    abi: str
    path: Path


@dataclass(frozen=True)
class Job:
    """One program to run in a guest.

    timeout: seconds on a machine of native speed; scaled by the accelerator.
    cwd: where it starts ("": /tmp); a relative program is looked up there.
    direct: its ELF header must be that of the cell's ABI; it is no script.
    records: it gets a descriptor for records, which a program that counts its own may not expect.
    """

    name: str
    argv: tuple[str, ...]
    timeout: float
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    direct: bool = True
    records: bool = True


NATIVE = "native"  # on a host whose CPUs run the arch, under KVM
EMULATED = "emulated"  # under TCG


@dataclass(frozen=True)
class Cell:
    """One square of the matrix: what runs where."""

    arch: str
    abi: str
    flavor: str
    suite: str
    repeat: int = 1  # which repetition, from 1
    on: str = ""  # NATIVE or EMULATED hosts of a fleet alone; "": whichever there is

    @property
    def name(self) -> str:
        """Also the name of its folder."""
        suite = re.sub(r"[^A-Za-z0-9_.+-]+", "-", self.suite).strip("-")
        parts = [self.arch, self.abi, self.flavor, suite, *([self.on] if self.on else [])]
        return "-".join(parts) + (f"-r{self.repeat}" if self.repeat > 1 else "")


class Ending(StrEnum):
    """How a guest ended.  What that says of its kernel is judged by pinrace.judge.ending."""

    DONE = "done"  # it said so, and left by itself
    PANIC = "panic"  # the kernel said so on the console
    HANG = "hang"  # it booted, then something took too long
    EARLY_EXIT = "early_exit"  # it reset or powered off before it was done
    FLOOD = "flood"  # it printed more than anyone will read
    KILLED = "killed"  # QEMU itself was ended from outside, or broke
    NO_BOOT = "no_boot"  # init did not report within the time for booting


class CaseStatus(StrEnum):
    """How one case of a suite ended."""

    PASS = "PASS"
    FAIL = "FAIL"
    SKIP = "SKIP"
    XFAIL = "XFAIL"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"  # planned and not seen, or a malformed result

    @property
    def bad(self) -> bool:
        """Whether it counts against the cell."""
        return self in (CaseStatus.FAIL, CaseStatus.TIMEOUT, CaseStatus.ERROR)


class Mark(StrEnum):
    """What a case stands for besides a result that was printed, for those who judge it."""

    NONE = ""
    MISSING = "missing"  # due by a plan or by the numbers, and not seen; or given up
    UNCLEAR = "unclear"  # the output leaves open whether anything is missing
    SILENT = "silent"  # the program prints no KTAP: its exit status is its result
    UNMATCHED = "unmatched"  # no case was asked for: `-k` picked none
    TODO = "todo"  # a failure behind TAP's TODO, which TAP counts as good


@dataclass(frozen=True)
class CaseResult:
    """One case of a suite; `name` is its path, levels joined by '/'."""

    name: str
    status: CaseStatus
    reason: str = ""  # the text after SKIP/TODO/…, or why it is an ERROR
    lines: tuple[str, ...] = ()  # its diagnostics
    mark: Mark = Mark.NONE


@dataclass(frozen=True)
class Splat:
    """A report that the kernel printed about itself."""

    rule: str  # id of the rule that found it
    title: str  # one line, e.g. "BUG: KASAN: slab-use-after-free in foo"
    line: int  # where in the console log, from 1
    text: str  # the whole report
    fingerprint: str  # the same for the same bug at other addresses and times
    elsewhere: bool = False  # a race of code that the series does not touch
    deafens: str = (
        ""  # the detector that is off from here on, e.g. "lockdep"; "console": lost lines
    )
    panicked: bool = False  # the kernel panicked over it
    # Of a WARN or BUG: "fs/foo.c:58 foo+0x5e/0x90", which the next build may have elsewhere
    place: str = ""


class Verdict(StrEnum):
    """What a cell's run says.  Never PASS by default."""

    PASS = "PASS"
    FAIL = "FAIL"  # the kernel under test did wrong
    INCONCLUSIVE = "INCONCLUSIVE"  # it ran, and nothing can be said
    MISS = "MISS"  # it could not be run: the harness's or the host's trouble
    SKIP = "SKIP"  # does not apply to this tree, arch or ABI

    @property
    def case_status(self) -> CaseStatus:
        """How a case ended that is judged like a cell: what was not seen is no FAIL."""
        return {
            Verdict.PASS: CaseStatus.PASS,
            Verdict.FAIL: CaseStatus.FAIL,
            Verdict.MISS: CaseStatus.ERROR,
        }.get(self, CaseStatus.SKIP)


# A SKIP beside a PASS leaves it a PASS.
GRAVEST = (Verdict.FAIL, Verdict.MISS, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.SKIP)


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that decides; MISS when there is none."""
    return min(verdicts, key=GRAVEST.index, default=Verdict.MISS)


@dataclass(frozen=True)
class CellResult:
    """The judged outcome of one cell."""

    cell: Cell
    verdict: Verdict
    reason: str  # a sentence
    cases: tuple[CaseResult, ...] = ()
    splats: tuple[Splat, ...] = ()
    new: tuple[str, ...] = ()  # names of bad cases that the unpatched tree does not have
    known: tuple[str, ...] = ()  # names of bad cases that it has too
    fixed: tuple[str, ...] = ()  # bad there and good here
    seconds: float = 0.0
    folder: Path | None = None  # console.log, ktap, …
    notes: tuple[str, ...] = field(default=())
