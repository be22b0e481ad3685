# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the program of a race for an ABI, and the jobs that run it.

kind = "sides"    race.c on rootfs/lib/race, which has main(): rounds, all ways
kind = "ltp"      a test of the Linux Test Project that uses tst_fuzzy_sync.h: so too, see ltp.py
kind = "program"  any C file with a main(): runs for `seconds`, or to its end
kind = "syz"      a reproducer of syzbot as it is; as a program

The files of others are compiled as they are: without our options and without warnings.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pinrace import store
from pinrace.arches import Abi
from pinrace.errors import InfrastructureError, UserError
from pinrace.host import sandbox
from pinrace.image.cpio import Entry
from pinrace.kbuild import userspace
from pinrace.kbuild.elf import check_program
from pinrace.paths import ROOTFS
from pinrace.races.preempt.session import Program
from pinrace.races.race import ltp
from pinrace.races.race.folder import FILE, Race
from pinrace.values import Job

PLACE = "/pinrace/race"  # in the guest
NAME = "race"
DEBUG = "race.debug"  # the same with symbols and lines, for gdb
LIBRARY = ("lib/race/meet.c", "lib/race/tell.c", "lib/marks.c", "lib/pinrace.c")
WAYS = ("naive", "spin", "timer", "gate", "control")
# System calls that a reproducer names and its ABI lacks.
SYZ_HEADER = "lib/race/syz/calls.h"
SYZ_LIBRARY = ("lib/race/syz/calls.c",)
PLAIN_CFLAGS = ("-O2", "-static", "-pthread", "-Wl,--build-id=none")
# Of a race on our library: as the guest's own programs, with warnings that are no errors.
SIDES_CFLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-Wall", "-Wextra")
SLACK = 60.0  # native seconds for what a job does beside its rounds
MANY = 100_000_000  # rounds: the time ends it before
_NAMES = ("RACE_MODE", "RACE_SEED", "RACE_ROUNDS", "RACE_SECONDS", "RACE_SKIP")  # for LTP's tests
_JOB = re.compile(rf"({'|'.join(WAYS)})-(\d+)(?:\+(\d+))?(?:-(\d+)s)?|run")


@dataclass(frozen=True)
class Built:
    """A program of a race for one ABI."""

    race: Race
    abi: Abi
    folder: Path

    @property
    def files(self) -> tuple[Entry, ...]:
        """What lies over the image."""
        return (Entry(f"{PLACE}/{NAME}", 0o755, data=self.folder / NAME),)

    @property
    def debug(self) -> Path:
        """The program with its symbols; its code is the same."""
        return self.folder / DEBUG

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        """What the program is told beside its words."""
        theirs = ltp.ENV if self.race.kind == "ltp" else ()
        return theirs if self.race.lost.reports else (*theirs, ("RACE_REPORTS", "0"))

    def held(self) -> Program:
        """Return it as what holds are played in; UserError for a program without rounds."""
        if not self.race.by_rounds:
            raise UserError(
                f"{self.race.name} is a {self.race.kind}: it has no rounds to hold in",
                hint='kind = "sides" has them',
            )
        return Program(
            (f"{PLACE}/{NAME}",),
            self.files,
            self.race.side_names,
            self.race.waits,
            self.env,
            spoils=not self.race.lost.check or self.race.flavor != "plain",
        )

    def job(self, name: str, seed: int, scale: float) -> Job:
        """Return the job of a name: `spin-1000`, `timer-1+523`, `spin-100000000-60s`, or `run`.

        A mode and rounds; behind a plus, rounds that are only drawn; and seconds of the guest's.
        scale: how much slower the machine is than a native one, by which time limits grow.
        """
        match = _JOB.fullmatch(name)
        if not match or (name == "run") == self.race.by_rounds:
            raise UserError(f"{self.race.name} has no job '{name}'", hint=self._example())
        if name == "run":
            argv = (f"{PLACE}/{NAME}", *self.race.args)
            return Job(name, argv, timeout=self.race.seconds / scale, env=self.env)
        mode, rounds, skip, seconds = match.groups()
        argv = (f"{PLACE}/{NAME}", mode, str(seed), rounds, seconds or "0", skip or "0")
        return Job(
            name, argv, timeout=float(seconds or 60) / (scale if seconds else 1) + 60, env=self.env
        )

    def _example(self) -> str:
        return "spin-1000, timer-1000, gate-10" if self.race.by_rounds else "run"


def build(race: Race, abi: Abi, include: Path, *, ltp_tree: Path | None = None) -> Built:
    """Return the program of a race, compiled when the store lacks it.

    include: the kernel headers of the ABI.  Raises UserError, with the log, when a file of the race
    does not compile, and InfrastructureError when one of ours does not.
    """
    tree = ltp.find(ltp_tree) if race.kind == "ltp" else None
    key = store.digest(
        "race-1",
        race.digest,
        abi.name,
        userspace.compiler_identity(abi),
        userspace.digest_folder(include),
        userspace.digest_folder(ROOTFS / "lib", "*.[ch]"),
        ltp.identity(tree) if tree else "",
    )

    def fill(draft: Path) -> None:
        theirs = ltp.library(tree, abi) if tree else None
        objects = _objects(race, abi, include, draft, theirs)
        link: list[str | Path] = [f"{abi.cross}gcc", *PLAIN_CFLAGS, *objects, "-o", draft / DEBUG]
        link += ["-Wl,--wrap=syscall"] if race.kind == "syz" else []
        if theirs:
            shutil.copyfile(theirs / "libltp.a", draft / "libltp.a")
            link += [draft / "libltp.a", "-lrt"]
        _run(link, race, abi, draft)
        _run([f"{abi.cross}strip", "-s", "-o", draft / NAME, draft / DEBUG], race, abi, draft)
        check_program(draft / NAME, abi)
        for path in (*draft.glob("*.a"), *objects):
            path.unlink()

    return Built(race, abi, store.make("races", key, fill))


def _objects(race: Race, abi: Abi, include: Path, draft: Path, tree: Path | None) -> list[Path]:
    """Compile everything to objects; return them."""
    mine = [p.name for p in sorted(race.folder.glob("*.c"))] if race.kind == "sides" else []
    sources = mine or [race.source]
    gcc: list[str | Path] = [f"{abi.cross}gcc", "-g", *PLAIN_CFLAGS, "-isystem", include]
    ours: list[str | Path] = ["-I", ROOTFS / "lib/race", "-I", ROOTFS / "lib"]
    objects = []
    for source in sources:
        out = draft / f"{Path(source).stem}.o"
        flags: list[str | Path] = ["-w"]
        if race.kind == "sides":
            flags = [*SIDES_CFLAGS, *ours]
        elif tree:
            flags = ["-w", *ltp.flags(tree)]
        elif race.kind == "syz":
            flags = ["-w", "-include", ROOTFS / SYZ_HEADER]
        line: list[str | Path] = [
            *gcc,
            *flags,
            f"-ffile-prefix-map={race.folder}=.",
            "-c",
            source,
            "-o",
            out,
        ]
        _run(line, race, abi, draft, cwd=race.folder)
        objects.append(out)
    for source in _library(race):
        out = draft / f"lib-{Path(source).stem}.o"
        flags = [*userspace.CFLAGS, "-g", *ours, f"-ffile-prefix-map={ROOTFS}=rootfs"]
        flags = [flag for flag in flags if flag not in ("-s", "-g0")]
        line = [f"{abi.cross}gcc", *flags, "-isystem", include, "-c", source, "-o", out]
        _run(line, race, abi, draft, cwd=ROOTFS)
        objects.append(out)
    return objects


def _library(race: Race) -> tuple[str, ...]:
    """Return the sources of ours that a race's program is linked with."""
    more = {
        "sides": (*LIBRARY, "lib/race/race.c", "lib/race/main.c"),
        "ltp": (*LIBRARY, *ltp.LIBRARY),
        "syz": SYZ_LIBRARY,
    }
    return more.get(race.kind, ())


def _run(
    line: list[str | Path], race: Race, abi: Abi, draft: Path, *, cwd: Path | None = None
) -> None:
    """Run a compiler; UserError with its first error when it fails."""
    log = userspace.log_path(f"race-{race.name}-{abi.name}")
    # The headers are the tree's, and the race may be a stranger's.
    seen = [Path(word) for word in map(str, line) if word.startswith("/") and Path(word).is_dir()]
    binds = (*sandbox.reads(race.folder, ROOTFS, *seen), *sandbox.writes(draft))
    done = sandbox.run(
        line, binds=binds, cwd=cwd or draft, log_to=log, check=False, what=str(line[0])
    )
    if done.status:
        errors = (text for text in done.output.splitlines() if "error" in text)
        what = f"{race.name} does not compile for {abi.name}: {next(errors, 'see the log')}"
        if cwd == ROOTFS:
            raise InfrastructureError(what, log=log)
        hint = f"correct it in {race.folder}"
        if race.kind != "sides":
            others = [f'"{name}"' for name in race.abis if name != abi.name]
            hint = f"or leave {abi.name} out, in {race.folder / FILE}: abis = [{', '.join(others)}]"
        raise UserError(what, log=log, hint=hint)
