# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that several commands share, and the request that they add up to."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import replace
from pathlib import Path

from pinrace import ui
from pinrace.access import crash
from pinrace.arches import ABIS, ARCHES, get_abi
from pinrace.engine.baseline import DAYS
from pinrace.engine.request import select
from pinrace.errors import UserError
from pinrace.guest import dump
from pinrace.guest.extras import Extras, share
from pinrace.guest.machine import Machine
from pinrace.image import land
from pinrace.kbuild import kconfig
from pinrace.series import manifest
from pinrace.series.load import find_series
from pinrace.suites import ltp, registry
from pinrace.suites.registry import get_suite
from pinrace.suites.shipped import SUITES
from pinrace.values import EMULATED, NATIVE, Cell, Request, Series, Tree

DEFAULT_TREE = manifest.default_tree()
DEFAULT_SERIES = manifest.default_folder()


def tree_options(parser: argparse.ArgumentParser) -> None:
    """--tree and --series."""
    group = parser.add_argument_group("what to test")
    group.add_argument(
        "--tree",
        default=DEFAULT_TREE,
        help="debian:7.3, stable, v7.3, URL#TAG, a folder, …: see `pinrace help trees`"
        " (default: %(default)s)",
    )
    insecure_option(group)
    group.add_argument(
        "--series",
        default=str(DEFAULT_SERIES),
        help="a folder of patches, an mbox, a message id or its URL at lore.kernel.org, and"
        " +NAME for one of its mutants or +FILE for any on top; 'none' for the tree as it is"
        f" (default: {DEFAULT_SERIES.name})",
    )


def insecure_option(parser: argparse._ActionsContainer) -> None:
    """--insecure."""
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="accept downloads without a verified signature; results are marked NOT VERIFIED",
    )


def build_options(parser: argparse.ArgumentParser) -> None:
    """What decides which kernels and images there are."""
    tree_options(parser)
    kernel_options(parser)


def kernel_options(parser: argparse.ArgumentParser) -> None:
    """What decides which kernels are built of a tree."""
    group = parser.add_argument_group("kernels")
    group.add_argument(
        "--arch", action="append", help=f"{', '.join(ARCHES)}; may be repeated (default: all)"
    )
    group.add_argument(
        "--abi", action="append", help=f"{', '.join(ABIS)}; may be repeated (default: all)"
    )
    group.add_argument(
        "--flavor",
        action="append",
        help=f"{', '.join(kconfig.flavors())}; may be repeated (default: plain)",
    )
    group.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="X=y",
        help="set a kernel option; may be repeated",
    )
    group.add_argument("--kernel", type=Path, help="use this built kernel (needs one --arch)")
    group.add_argument(
        "--llvm",
        nargs="?",
        const="1",
        default=os.environ.get("LLVM", ""),
        metavar="SUFFIX",
        help="build with clang, as make's LLVM=1; --llvm=-16 for clang-16 (default: $LLVM)",
    )
    group.add_argument(
        "-j", "--jobs", type=int, default=0, help="compilers at once (default: one a CPU)"
    )


def cell_options(parser: argparse.ArgumentParser) -> None:
    """What decides which cells run, and where."""
    fleet_options(parser)
    group = parser.add_argument_group("cells")
    on_option(group)
    group.add_argument(
        "--suite",
        action="append",
        help=f"{', '.join(SUITES)}, or of the tree's own selftests kselftest:COLLECTION,"
        " kselftest:COLLECTION/TEST, kselftest:auto for those about what the series touches;"
        " of KUnit kunit:NAME, kunit:all; of LTP ltp:syscalls/futex (with --ltp);"
        " of your own FILE.toml, or `series` for those in the series' series.toml;"
        f" may be repeated (default: those of the series, {', '.join(SUITES)})",
    )
    group.add_argument(
        "--ltp",
        type=Path,
        metavar="FOLDER",
        default=os.environ.get(ltp.VARIABLE) or None,
        help="an installed LTP, or its sources (default: $PINRACE_LTP)",
    )
    group.add_argument(
        "--land",
        action="store_true",
        default=land.wanted(),
        help="give guests bash, iproute2, python and their like (configs/land.toml), for tests"
        " that are scripts",
    )
    group.add_argument(
        "-k",
        dest="only",
        default="",
        help="only cases whose name holds this (a grep pattern)",
    )
    group.add_argument("--repeat", type=int, default=1, help="run each cell this many times")
    group.add_argument(
        "--guests", type=int, default=0, help="guests at once (default: as many as fit)"
    )
    group.add_argument("--smp", type=int, default=2, help="CPUs of a guest (default: 2)")
    group.add_argument(
        "--no-baseline",
        action="store_true",
        help="do not run the unpatched tree: every failure counts as new",
    )
    group.add_argument(
        "--baseline-days",
        type=float,
        default=DAYS,
        metavar="N",
        help="run the unpatched tree again when what is known of it is older; 0: now"
        " (default: %(default)g)",
    )
    group.add_argument(
        "--accept-uncovered",
        action="store_true",
        help="exit 0 although no suite that ran looks at some file that the series changes",
    )


def fleet_options(parser: argparse.ArgumentParser) -> None:
    """--hosts, --scheduler, --tls: where guests run; without them here, and nothing is imported."""
    group = parser.add_argument_group("hosts")
    group.add_argument(
        "--hosts", type=Path, metavar="FILE", help="bring a fleet of these hosts up and down again"
    )
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="join a running dask cluster: tls://10.0.0.1:8786"
    )
    group.add_argument(
        "--tls",
        type=Path,
        metavar="FOLDER",
        help="with ca.pem, cert.pem and key.pem of that cluster",
    )


def on_option(parser: argparse._ActionsContainer) -> None:
    """--on: native and emulated hosts, each with cells of their own."""
    parser.add_argument(
        "--on",
        action="append",
        choices=(NATIVE, EMULATED),
        help="cells for native or emulated hosts of a fleet alone; both: a column each",
    )


def machine_options(parser: argparse.ArgumentParser) -> None:
    """What decides which machine a guest has."""
    parser.add_argument("--smp", type=int, default=2, help="CPUs of a guest (default: 2)")
    guest_options(parser)


def guest_options(parser: argparse.ArgumentParser) -> None:
    """What a guest has beside its CPUs."""
    parser.add_argument(
        "--mem", type=int, default=0, metavar="MIB", help="memory of a guest (default: 512)"
    )
    parser.add_argument(
        "--append",
        action="append",
        default=[],
        metavar="WORD",
        help="a boot parameter of the kernel; may be repeated",
    )
    parser.add_argument(
        "--sysctl",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set before anything runs, e.g. vm.nr_hugepages=16; may be repeated",
    )
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="FOLDER[:PLACE[:rw]]",
        help="a folder of this host that guests see (default: read-only, in /mnt); may be repeated",
    )


def extras(args: argparse.Namespace) -> Extras:
    """Return what guest_options() ask for; UserError for what cannot be."""
    shares = tuple(share(word) for word in args.share)
    return Extras(args.mem, tuple(args.append), tuple(args.sysctl), shares)


def dump_option(parser: argparse.ArgumentParser) -> None:
    """--dump."""
    parser.add_argument(
        "--dump",
        type=int,
        nargs="?",
        const=dump.LIMIT,
        default=0,
        metavar="MIB",
        help="keep the memory of a guest that dies or hangs, at most so many MiB of it"
        f" (default: {dump.LIMIT}), for `pinrace debug`; on kernels with whole debug information",
    )


def with_dump(args: argparse.Namespace) -> None:
    """Ask for kernels whose memory can be read, where --dump is given; UserError for a bad one."""
    if args.dump < 0 or (args.dump and getattr(args, "deterministic", False)):
        raise UserError(
            "--dump takes MiB, and not together with --deterministic",
            hint="replay a token under a debugger: pinrace repro TOKEN --gdb",
        )
    if args.dump:
        args.config += [option for option in crash.CONFIG if option not in args.config]


def machine(args: argparse.Namespace, usual: Machine) -> Machine:
    """Return the machine that these options ask for; UserError for what cannot be one."""
    if args.smp < 1:
        raise UserError("--smp takes 1 or more")
    return extras(args).apply(replace(usual, smp=args.smp))


def refuse(args: argparse.Namespace, why: str, *names: str) -> None:
    """Raise UserError for the first of these options that was given: it has no effect.

    why: completes the sentence, e.g. "without --window".
    """
    for word in getattr(args, "words", ()):  # none where no command line was parsed
        name = word.partition("=")[0]
        if name in names:
            raise UserError(f"{name} has no effect {why}", hint=f"leave out {name}")


def request_tree(args: argparse.Namespace) -> tuple[Tree, Series | None]:
    """Resolve --tree and --series; say what they are."""
    from pinrace.series.load import load
    from pinrace.trees.fetch import resolve

    series = load(args.series, say=ui.say)  # what is wrong with it is said before any download
    return resolve(args.tree, say=ui.say, insecure=args.insecure), series


def request(args: argparse.Namespace) -> Request:
    """Check the shared options; UserError names what is unknown or contradicts itself."""
    arches, abis = select(args.arch or [], args.abi or [])
    if args.kernel and len(arches) != 1:
        raise UserError("--kernel takes the kernel of one arch", hint="add --arch NAME")
    if not re.fullmatch(r"|1|-\d+", args.llvm):
        name = "$LLVM" if args.llvm == os.environ.get("LLVM") else "--llvm"
        raise UserError(
            f"{name} takes no '{args.llvm}' here",
            hint="--llvm, or --llvm=-16 for clang-16: clang is looked for in PATH",
        )
    if args.jobs < 0:
        raise UserError("--jobs takes a number of compilers", hint="for example -j 4")
    wanted = tuple(dict.fromkeys(args.flavor or ["plain"]))
    for flavor in wanted:  # before anything is downloaded for it
        kconfig.wanted(ARCHES[arches[0]], flavor, args.config)
    return Request(arches, abis, wanted, args.kernel, tuple(args.config), args.llvm, args.jobs)


def one_guest(args: argparse.Namespace) -> Request:
    """As request(), for the command of a single guest: of the first arch, with its first ABI.

    Raises UserError for several flavors.
    """
    asked = request(args)
    args.arch, args.abi = [asked.arches[0]], [asked.abis[0]]
    return one_flavor(args)


def one_flavor(args: argparse.Namespace) -> Request:
    """As request(); UserError for several flavors."""
    asked = request(args)
    if len(asked.flavors) > 1:
        raise UserError("one flavor at a time", hint=f"pinrace {args.command} --flavor plain")
    return asked


def cells(asked: Request, args: argparse.Namespace) -> tuple[Cell, ...]:
    """Return the cells, in the order of the table that reports them."""
    if args.repeat < 1 or args.smp < 1 or args.guests < 0:
        raise UserError("--repeat, --smp and --guests take numbers of 1 or more")
    if args.ltp:
        os.environ[ltp.VARIABLE] = str(args.ltp)
    if args.land:
        os.environ[land.VARIABLE] = "1"
    wanted = args.suite or registry.defaults(_folder(args.series))
    suites = [get_suite(name) for name in registry.names(wanted)]
    places = tuple(dict.fromkeys(args.on or [""]))
    if args.on and not (args.hosts or args.scheduler):
        raise UserError("--on chooses among hosts of a fleet", hint="add --hosts or --scheduler")
    return tuple(
        Cell(get_abi(abi).arch, abi, flavor, suite.name, repeat, on)
        for flavor in asked.flavors
        for abi in asked.abis
        for suite in suites
        if not suite.native or abi == _first(asked, abi)
        for on in places
        for repeat in range(1, args.repeat + 1)
    )


def _folder(series: object) -> Path | None:
    """Return the folder of a series by what --series says, without a patch on top of it.

    None for what is no folder, and where several series are named.
    """
    if not isinstance(series, str):
        return None
    for text in (series, series.partition("+")[0]):
        path = find_series(text)
        if path and path.is_dir():
            return path.resolve()
    return None


def _first(asked: Request, abi: str) -> str:
    """Return the first ABI of those asked for that has the arch of this one."""
    return next(each for each in asked.abis if get_abi(each).arch == get_abi(abi).arch)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
_UNITS = {"s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str, option: str) -> float:
    """Return the seconds that a duration like 90, 30s, 10m or 2h means; UserError for others."""
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds < 1:
        raise UserError(f"{option} takes no '{text}'", hint=f"{option} 30s, {option} 10m")
    return seconds
