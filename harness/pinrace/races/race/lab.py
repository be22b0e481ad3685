# SPDX-License-Identifier: GPL-2.0-or-later
"""Have what a race is looked for in: kernels with the fault and without, images, programs."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace import store, ui
from pinrace.arches import ABIS, Abi, get_abi
from pinrace.engine import build
from pinrace.engine.request import select
from pinrace.errors import UserError
from pinrace.kbuild import userspace
from pinrace.races.race import program
from pinrace.races.race.folder import Race
from pinrace.races.race.program import Built
from pinrace.races.race.ways import Bench
from pinrace.series import box, letters
from pinrace.series.load import apply, load, load_series
from pinrace.trees.fetch import is_published, resolve
from pinrace.trees.worktree import worktree
from pinrace.values import Image, Kernel, PatchedTree, Request, Series, Tree
from pinrace.visible import one_line

NONE = "none"  # as --fix: the tree without the race's plant
_DIFF = re.compile(rb"^\+\+\+ \S", re.M)
_MAIL = """\
From: pinrace <pinrace@localhost>
Date: Thu, 1 Jan 1970 00:00:00 +0000
Subject: [PATCH] {name}: plant

{about}
---
"""


@dataclass(frozen=True)
class Wanted:
    """What a command was asked for, beside the race."""

    arches: tuple[str, ...] = ()
    abis: tuple[str, ...] = ()
    tree: str = ""  # "" for the race's
    flavor: str = ""  # "" for the race's
    extra: tuple[str, ...] = ()  # more kernel options
    llvm: str = ""
    jobs: int = 0
    insecure: bool = False
    ltp: Path | None = None


@dataclass(frozen=True)
class Side:
    """One of the two kernels: its tree, and the kernel of each arch."""

    tree: PatchedTree
    kernels: dict[tuple[str, str], Kernel]


@dataclass(frozen=True)
class RaceLab:
    """All that the ways need.  Images are those of the bare tree, whatever the kernel."""

    race: Race
    asked: Request
    broken: Side
    fixed: Side | None
    images: dict[str, Image]
    programs: dict[str, Built]
    series: str | None = None  # what the broken kernel has in place of the plant

    def replay_line(self, token: object) -> str:
        """Return the command that replays a token."""
        words = ["pinrace", "repro", "--race", str(self.race.folder), str(token)]
        words += ["--series", self.series] if self.series is not None else []
        own = [option for option in self.asked.extra if option not in self.race.need]
        words += [word for option in own for word in ("--config", option)]
        words += [f"--llvm={self.asked.llvm}"] if self.asked.llvm else []
        return shlex.join(words)

    def bench(self, abi: str, folder: Path, *, fixed: bool = False) -> Bench:
        """Return what the ways run on, on one ABI."""
        side = self.fixed if fixed and self.fixed else self.broken
        kernel = side.kernels[get_abi(abi).arch, self.asked.flavors[0]]
        return Bench(
            self.race,
            kernel,
            self.images[abi],
            self.programs[abi],
            folder,
            side.tree.base.spec,
            side.tree.tree_id,
        )


def request(race: Race, wanted: Wanted) -> Request:
    """Return which kernels and images to have.

    Raises UserError when the race exists on none of the ABIs that were asked for.
    """
    arches, abis = select(list(wanted.arches), list(wanted.abis))
    mine = tuple(abi for abi in abis if abi in race.abis)
    if not mine:
        raise UserError(
            f"{race.name} exists on {', '.join(race.abis)}, not on {', '.join(abis)}",
            hint=f"--abi {race.abis[0]}",
        )
    arches = tuple(arch for arch in arches if any(get_abi(abi).arch == arch for abi in mine))
    flavor = wanted.flavor or race.flavor
    extra = tuple(dict.fromkeys((*race.need, *wanted.extra)))
    return Request(arches, mine, (flavor,), None, extra, wanted.llvm, wanted.jobs)


def abis_of(wanted: Wanted) -> tuple[str, ...]:
    """Return the ABIs that were asked for."""
    _, abis = select(list(wanted.arches), list(wanted.abis))
    return tuple(abis)


def skipped(race: Race, wanted: Wanted) -> tuple[str, ...]:
    """Return the ABIs that were asked for and that the race does not exist on."""
    return tuple(abi for abi in abis_of(wanted) if abi not in race.abis)


def plant_of(race: Race) -> Series | None:
    """Return the race's plant as a series of its own; None when the tree itself is broken.

    A diff that is no mail, as `git diff` writes it, is made one.
    """
    if race.plant is None:
        return None
    path = race.plant
    if path.is_file() and _is_bare(text := box.read(path)):
        path = _mailed(race, text)
    return replace(load_series(path), name=race.name)


def _is_bare(text: bytes) -> bool:
    """Whether a patch has no mail around it."""
    return bool(_DIFF.search(text)) and not any(one.is_mail for one in letters.read(text))


def _mailed(race: Race, diff: bytes) -> Path:
    """Return a file in the store with a diff as a mail; the same bytes for the same race."""
    head = _MAIL.format(name=race.name, about=" ".join(race.about.split())).encode()

    def fill(draft: Path) -> None:
        (draft / "plant.patch").write_bytes(head + diff.replace(b"\r\n", b"\n"))

    return store.make("plants", store.digest(head, diff), fill) / "plant.patch"


def fixed_series(race: Race, fix: str) -> Series | None:
    """Return what the kernel with the fix is the tree with.

    fix: a series for the broken kernel, or "none" for the tree without the plant.  Raises UserError
    for "none" when there is no plant.
    """
    plant = plant_of(race)
    if fix == NONE:
        if plant is None:
            raise UserError(
                f"{race.name} has no plant, so that the tree itself is what is broken",
                hint="--fix SERIES",
            )
        return None
    series = load(fix, say=ui.say)
    if series is None:
        raise UserError("--fix takes a series, or none", hint="--fix none")
    if plant is None:
        return series
    patches = (*plant.patches, *series.patches)
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in patches)).hexdigest()
    return Series(f"{plant.name}+{series.name}", digest, patches)


def prepare(
    race: Race, wanted: Wanted, *, fix: str | None = None, series: str | None = None
) -> RaceLab:
    """Apply, configure, build and compile what is missing; say a line for each kernel.

    series: what the kernel is the tree with, in place of the race's plant.  What is wrong with the
    race's program is said before any kernel is built.
    """
    asked = request(race, wanted)
    fixed = fixed_series(race, fix) if fix is not None else None
    tree = tree_of(race, wanted)
    programs = programs_of(race, tree, asked.abis, wanted.ltp)
    on_top = plant_of(race) if series is None else load(series, say=ui.say)
    broken_tree = apply(tree, on_top, say=ui.say)
    ui.say(f"race    {race.name}: {race.about}")
    bare = PatchedTree(tree, None, tree.tree_id, tree.commit)
    good = None
    if fix is not None:
        good_tree = apply(tree, fixed, say=ui.say)
        if good_tree.tree_id == broken_tree.tree_id:
            raise UserError("with the fix the tree is the same as without it")
        good = Side(good_tree, build.kernels_of(good_tree, asked))
    broken = Side(broken_tree, build.kernels_of(broken_tree, asked))
    images = build.images_of(bare, asked.abis)
    return RaceLab(race, asked, broken, good, images, programs, series)


def prepare_tree(race: Race, wanted: Wanted, series: Series | None) -> RaceLab:
    """Have one tree with a series, or without one: never with the race's plant."""
    asked = request(race, wanted)
    tree = tree_of(race, wanted)
    programs = programs_of(race, tree, asked.abis, wanted.ltp)
    patched = apply(tree, series, say=ui.say, leave_conflict=False)
    bare = PatchedTree(tree, None, tree.tree_id, tree.commit)
    side = Side(patched, build.kernels_of(patched, asked))
    return RaceLab(race, asked, side, None, build.images_of(bare, asked.abis), programs)


def tree_of(race: Race, wanted: Wanted) -> Tree:
    """Return the tree to build: the one that was asked for, or the race's own.

    Raises UserError when the race names an address or a path, which building would run code of.
    """
    if not wanted.tree and not is_published(race.tree):
        raise UserError(
            f"the race's tree is {one_line(race.tree)}: building it runs its code on this host",
            hint=f"if you know whose it is, add --tree {shlex.quote(one_line(race.tree))}",
        )
    return resolve(wanted.tree or race.tree, say=ui.say, insecure=wanted.insecure)


def programs_of(
    race: Race, tree: Tree, abis: tuple[str, ...], ltp: Path | None
) -> dict[str, Built]:
    """Compile the race's program for these ABIs."""

    @contextmanager
    def source() -> Iterator[Path]:
        with worktree(tree, say=ui.say) as place:
            place.checkout(tree.commit)
            yield place.path

    def one(abi: Abi) -> Built:
        include = userspace.headers(source, tree.tree_id, abi.headers_arch)
        return program.build(race, abi, include, ltp_tree=ltp)

    return {name: one(ABIS[name]) for name in abis}
