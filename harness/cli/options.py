# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that several commands share, and the request that they add up to."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from harness.arches import ABIS, ARCHES, get_abi, get_arch
from harness.errors import UserError
from harness.paths import KERNEL
from harness.suites.suite import SUITES, get_suite
from harness.values import Cell

DEFAULT_TREE = "debian:7.3"
DEFAULT_SERIES = KERNEL / "pin-args"


@dataclass(frozen=True)
class Request:
    """What the user asked for, checked: which tree, series, kernels and cells."""

    tree: str
    series: Path | None
    arches: tuple[str, ...]
    abis: tuple[str, ...]
    flavors: tuple[str, ...]
    kernel: Path | None
    extra: tuple[str, ...]
    llvm: bool
    jobs: int


def tree_options(parser: argparse.ArgumentParser) -> None:
    """--tree and --series."""
    parser.add_argument(
        "--tree",
        default=DEFAULT_TREE,
        help="debian:7.3, debian:6.12, …, a folder or a tarball (default: %(default)s)",
    )
    parser.add_argument(
        "--series",
        default=str(DEFAULT_SERIES),
        help="a folder of patches or an mbox; 'none' for the tree as it is (default: pin-args)",
    )


def build_options(parser: argparse.ArgumentParser) -> None:
    """What decides which kernels and images there are."""
    tree_options(parser)
    parser.add_argument(
        "--arch", action="append", help=f"{', '.join(ARCHES)}; may be repeated (default: all)"
    )
    parser.add_argument(
        "--abi", action="append", help=f"{', '.join(ABIS)}; may be repeated (default: all)"
    )
    parser.add_argument(
        "--flavor", action="append", help="plain, kcsan, debug; may be repeated (default: plain)"
    )
    parser.add_argument(
        "--config", action="append", default=[], metavar="X=y", help="one more kernel option"
    )
    parser.add_argument("--kernel", type=Path, help="take this built kernel (needs one --arch)")
    parser.add_argument("--llvm", action="store_true", help="build with clang (LLVM=1)")
    parser.add_argument("-j", "--jobs", type=int, default=0, help="compilers at once")


def cell_options(parser: argparse.ArgumentParser) -> None:
    """What decides which cells run."""
    parser.add_argument(
        "--suite", action="append", help=f"{', '.join(SUITES)}; may be repeated (default: all)"
    )
    parser.add_argument("-k", dest="only", default="", help="only cases whose name holds this")
    parser.add_argument("--repeat", type=int, default=1, help="run each cell this many times")
    parser.add_argument("--guests", type=int, default=0, help="guests at once")
    parser.add_argument("--smp", type=int, default=2, help="CPUs of a guest (default: 2)")
    parser.add_argument(
        "--no-baseline",
        action="store_true",
        help="do not run the unpatched tree: every failure counts as new",
    )


def _series(text: str) -> Path | None:
    if text in ("none", ""):
        return None
    path = Path(text)
    if not path.exists() and (KERNEL / text).is_dir():
        return KERNEL / text
    return path


def request(args: argparse.Namespace) -> Request:
    """Check the shared options; UserError names what is unknown or contradicts itself."""
    arches = [get_arch(name) for name in args.arch or []]
    abis = [get_abi(name) for name in args.abi or []]
    for abi in abis:
        if arches and abi.arch not in {a.name for a in arches}:
            raise UserError(
                f"ABI {abi.name} runs on {abi.arch}, which --arch leaves out",
                hint=f"pinrace … --arch {abi.arch} --abi {abi.name}",
            )
    names = [a.name for a in arches] or list(dict.fromkeys(a.arch for a in abis)) or list(ARCHES)
    every = [abi.name for name in names for abi in ARCHES[name].abis]
    if args.kernel and len(names) != 1:
        raise UserError("--kernel takes the kernel of one arch", hint="add --arch NAME")
    if args.jobs < 0:
        raise UserError("--jobs takes a number of compilers", hint="for example -j 4")
    return Request(
        tree=args.tree,
        series=_series(args.series),
        arches=tuple(dict.fromkeys(names)),
        abis=tuple(dict.fromkeys(abi.name for abi in abis)) or tuple(every),
        flavors=tuple(dict.fromkeys(args.flavor or ["plain"])),
        kernel=args.kernel,
        extra=tuple(args.config),
        llvm=args.llvm,
        jobs=args.jobs,
    )


def cells(asked: Request, args: argparse.Namespace) -> tuple[Cell, ...]:
    """Return the cells, in the order of the table that reports them."""
    if args.repeat < 1 or args.smp < 1 or args.guests < 0:
        raise UserError("--repeat, --smp and --guests take numbers of 1 or more")
    suites = [get_suite(name).name for name in args.suite or SUITES]
    return tuple(
        Cell(get_abi(abi).arch, abi, flavor, suite, repeat)
        for flavor in asked.flavors
        for abi in asked.abis
        for suite in dict.fromkeys(suites)
        for repeat in range(1, args.repeat + 1)
    )
