# SPDX-License-Identifier: GPL-2.0-or-later
"""The options of `pinrace torture`, and the plan that they add up to."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence

from pinrace.cli import options, torture_bench, torture_shapes
from pinrace.errors import UserError
from pinrace.races.race import single
from pinrace.races.trials.jobs import MOST_SECONDS
from pinrace.races.trials.values import BREAKAGES, FAMILIES, MOST_LANES, MUTATORS, TorturePlan

DURATION = "1m"
# As many as it took to expose and to lose each family once: 1,500 do, 300 do not.
DETERMINISTIC_TRIALS = 1500
SEED = 7  # of a deterministic run, as of `pinrace test`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.fleet_options(parser)
    options.build_options(parser)
    parser.add_argument("--for", dest="duration", help=f"30s, 10m, 2h (default: {DURATION})")
    parser.add_argument(
        "--trials",
        type=int,
        default=0,
        help="stop after N trials, counted over all lanes",
        metavar="N",
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="run deterministically (QEMU -icount) for a number of trials"
        f" (default: {DETERMINISTIC_TRIALS}); a failure prints its replay token",
    )
    parser.add_argument(
        "--seed",
        type=int,
        help=f"seed of every random choice (default: a new one; with --deterministic {SEED})",
    )
    parser.add_argument(
        "--search-for",
        default="2m",
        metavar="TIME",
        help="after a failure, search this long for a deterministic run that fails (default: 2m)",
    )
    parser.add_argument(
        "--no-search", action="store_true", help="skip the replay search after a failure"
    )
    _what(parser)
    torture_shapes.add_arguments(parser)
    _how(parser)
    single.option(parser)


def _what(parser: argparse.ArgumentParser) -> None:
    """Add the options on what is raced."""
    parser.add_argument(
        "--families", default="", metavar="A,B", help="system calls to race (default: all)"
    )
    parser.add_argument(
        "--mutators",
        default="",
        metavar="A,B",
        help="ways to change the arguments meanwhile (default: all)",
    )
    parser.add_argument(
        "--repeat", type=int, default=1, help="run each cell this many times (default: 1)"
    )


def _how(parser: argparse.ArgumentParser) -> None:
    """Add the options on how it is raced, and measured."""
    parser.add_argument(
        "--lanes", type=int, default=0, help="races at once in a guest (default: two a CPU)"
    )
    parser.add_argument(
        "--no-chaos",
        action="store_true",
        help="no signals, freezes, CPU hotplug or memory pressure",
    )
    parser.add_argument(
        "--bench",
        action="store_true",
        help="measure how soon a broken kernel is found, against the naive loop",
    )
    torture_bench.add_arguments(parser)
    parser.add_argument(
        "--stop-at-first", action="store_true", help="end each guest at its first violation"
    )
    parser.add_argument(
        "--break",
        dest="broken",
        choices=BREAKAGES,
        default="",
        help="inject a fault; the run must FAIL (checks the checker)",
    )


def make_plan(args: argparse.Namespace) -> TorturePlan:
    """Return what was asked for; UserError for numbers that make no sense."""
    if args.repeat < 1 or args.smp < 0 or args.guests < 0 or args.lanes < 0:
        raise UserError("--repeat, --smp, --guests and --lanes take numbers of 1 or more")
    if args.lanes > MOST_LANES:
        raise UserError(f"--lanes takes {MOST_LANES} at most")
    if (args.deterministic or args.trials) and args.duration:
        raise UserError(
            "--trials and --deterministic end after trials, not by a clock",
            hint="--trials 500, or --for 10m",
        )
    if (args.mutants or args.write) and not (args.bench and args.mutants):
        raise UserError(
            "--mutants and --write are about the comparison with the naive loop",
            hint="--bench --mutants",
        )
    if not 0 <= args.trials < 10**9:
        raise UserError("--trials takes a number of 1 or more")
    if args.seed is not None and not 0 <= args.seed < 2**63:
        raise UserError("--seed takes no negative number, and none beyond 63 bits")
    seconds = options.duration(args.duration or DURATION, "--for")
    trials, seed = args.trials, secrets.randbits(32)
    if args.deterministic:
        trials, seed = trials or DETERMINISTIC_TRIALS, SEED
    if trials:
        seconds = MOST_SECONDS
    return TorturePlan(
        seed=seed if args.seed is None else args.seed,
        seconds=seconds,
        trials=trials,
        families=_names(args.families, FAMILIES),
        mutators=_names(args.mutators, MUTATORS),
        stop_at_first=args.stop_at_first,
        chaos=not args.no_chaos,
        lanes=args.lanes,
        broken=args.broken,
    )


def _names(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a list; UserError for one that is not among those known."""
    names = tuple(name for name in text.split(",") if name)
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"nothing is called '{unknown[0]}'", hint=f"one of {', '.join(known)}")
    return names


def refuse(args: argparse.Namespace) -> None:
    """Raise UserError for options about a search that is not made."""
    for no_search, why in (
        (args.no_search, "with --no-search"),
        (args.deterministic, "with --deterministic"),
        (args.bench or args.measure, "with --bench and --measure"),
    ):
        if no_search:
            options.refuse(args, why, "--search-for")
