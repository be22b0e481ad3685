# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace determinism`: check that runs repeat exactly on this host."""

from __future__ import annotations

import argparse
import time

from pinrace import ui
from pinrace.arches import ABIS
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine import executor as where
from pinrace.errors import UserError
from pinrace.guest.machine import INGREDIENTS, Replay
from pinrace.guest.outcome import Ending
from pinrace.races.race import litmus, single
from pinrace.races.replay import outcome, why
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made, Once
from pinrace.runs import summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, CellResult, Job, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.fleet_options(parser)
    options.build_options(parser)
    parser.add_argument("--boots", type=int, default=3, help="boots of each ABI (default: 3)")
    parser.add_argument(
        "--job", default="race", help="race, race-pinned, torture-300 or a suite (default: race)"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the job (default: 7)")
    parser.add_argument(
        "--without",
        choices=INGREDIENTS,
        default="",
        help="leave out one ingredient of determinism, to see what it is for",
    )
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")
    parser.add_argument(
        "--litmus",
        action="store_true",
        help="instead: which reorderings of memory accesses free-running guests show here",
    )
    single.option(parser)


def run(args: argparse.Namespace) -> int:
    """Boot each ABI several times; exit 4 when two runs of the same differ."""
    asked = options.one_flavor(args)
    if args.boots < 2 or args.seed < 0 or args.smp < 1:
        raise UserError("two boots at the least, and no negative seed", hint="--boots 3 --seed 7")
    if args.litmus:
        more = ("--boots", "--job", "--seed", "--without", "--smp", "--race", "--series")
        options.refuse(args, "with --litmus", *more)
        return litmus.run(args, single.wanted(args, options.DEFAULT_TREE))
    if args.race:
        options.refuse(args, "with --race", "--without", "--smp")
        on = single.wanted(args, options.DEFAULT_TREE)
        named = single.series_of(args, str(options.DEFAULT_SERIES))
        return single.determinism(args, on, series=named)
    jobs = replays.get_jobs(args.job, args.seed)  # a job that there is not, costs no build
    tree, series = options.request_tree(args)
    lab = build.prepare(asked, tree, series, with_base=False)
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        results = [_abi(lab, abi, args, jobs, record) for abi in asked.abis]
        return record.end(summary.exit_code(results))


def _abi(
    lab: build.Lab, abi: str, args: argparse.Namespace, jobs: tuple[Job, ...], record: Run
) -> CellResult:
    """Boot one ABI's run several times, say whether all are the same, and keep that as a cell."""
    arch, flavor = ABIS[abi].arch, options.one_flavor(args).flavors[0]
    machine = replays.get_replay_machine(arch, Replay(args.seed, without=args.without), args.smp)
    made = Made(lab.patched.kernels[arch, flavor], lab.patched.images[abi], machine, jobs)
    cell = Cell(arch, abi, flavor, outcome.DETERMINISM)
    place = record.cell_start(cell)
    folders = [place / str(number) for number in range(1, args.boots + 1)]
    ran: list[Once] = []
    weak, began = "", time.monotonic()
    try:
        for folder in folders:
            ran.append(where.call(replays.run_once, made, folder))
        done = all(once.run.ending is Ending.DONE for once in ran)
        weak = "" if done else "not all of them came to their end"
        if done and not _says_enough(args.job, ran[0]):
            weak = "not conclusive: both outcomes of the race must occur"
    finally:
        took = time.monotonic() - began
        came = [_replay(n, args.job, once) for n, once in enumerate(ran, 1)]
        result = outcome.repeated(cell, came, place, weak=weak, seconds=took)
        record.cell_end(result)
    ui.say(f"{abi:<7} {result.reason}  {_about(args.job, ran[0])}")
    if result.verdict is Verdict.PASS:
        ui.say(f"        {_again(lab, made, ran[0], abi, args.without)}")
    elif result.verdict is Verdict.MISS or not done:
        ui.say(f"        see {place}{why.explain(made, ran, folders, place)}")
    return result


def _again(lab: build.Lab, made: Made, once: Once, abi: str, without: str) -> str:
    """Return the token of runs that repeat; none says what was left out."""
    if without:
        return f"equal without '{without}' too"
    tree = lab.patched.tree
    token = replays.make_token(
        made, once.fingerprint, tree=tree.base.spec, patched=tree.tree_id, abi=abi
    )
    return str(token)


def _replay(number: int, job: str, once: Once) -> outcome.Replay:
    return outcome.Replay(f"boot {number}", once.fingerprint, _about(job, once))


def _says_enough(job: str, once: Once) -> bool:
    """Whether equal fingerprints of such runs prove something: a race has to go both ways."""
    if not job.startswith("race"):
        return True
    return bool(once.race) if job == "race-pinned" else once.mixed


def _about(job: str, once: Once) -> str:
    """Say what a run was."""
    went = f"{once.run.ending}, {once.run.seconds:.1f} s"
    if not once.race:
        return went
    race = once.race
    blind = "" if once.mixed or job != "race" else ", only one outcome"
    return f"{race['lost']} of {race['rounds']} lost, {race['denied']} denied{blind}; {went}"
