# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace search`: look over many seeds for a run that fails, and name the smallest by a token."""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import replace

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine import executor as where
from pinrace.engine.pool import tasks
from pinrace.errors import UserError
from pinrace.guest.machine import SEQUENTIAL, Replay
from pinrace.host.budget import Budget
from pinrace.races import followup
from pinrace.races.race import prove, single
from pinrace.races.replay import run as replays
from pinrace.races.seeds import outcome
from pinrace.races.seeds.bench import Bench
from pinrace.races.seeds.search import Found, Search, Trial, hunt, minimise
from pinrace.races.torture import outcome as outcomes
from pinrace.races.torture import report
from pinrace.races.trials.jobs import MOST_SECONDS
from pinrace.races.trials.values import TorturePlan
from pinrace.runs import commands, summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, CellResult, Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.fleet_options(parser)
    options.build_options(parser)
    parser.add_argument(
        "--plain",
        action="store_true",
        help="without the series' protection, which must lose the race",
    )
    parser.add_argument(
        "--torture",
        action="store_true",
        help="race every system call that the torture program knows, not just one",
    )
    parser.add_argument("--boots", type=int, default=20, help="boots at most (default: 20)")
    parser.add_argument(
        "--tries",
        type=int,
        default=12,
        help="boots at most to make a failure smaller (default: 12)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the search (default: 1)")
    parser.add_argument("--guests", type=int, default=0, help="guests at once")
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")
    single.option(parser)


def run(args: argparse.Namespace) -> int:
    """Search on each ABI; exit 1 when a pinned run fails, 4 when the search proves to be blind."""
    asked = options.one_flavor(args)
    if args.plain and args.torture:
        raise UserError("--plain is about the one race, --torture about all: take one")
    if args.race:
        more = ("--plain", "--torture", "--tries", "--seed", "--guests", "--smp")
        options.refuse(args, "with --race", *more)
    if args.torture:
        options.refuse(args, "with --torture", "--tries")
    if min(args.boots, args.tries, args.smp) < 1 or min(args.seed, args.guests) < 0:
        raise UserError("--boots, --tries and --smp take 1 or more", hint="--boots 20 --tries 12")
    if args.race:
        on = single.wanted(args, options.DEFAULT_TREE)
        return single.run(
            args,
            on,
            prove.Budget(seeds=args.boots, ways=("seeds",)),
            series=single.series_of(args, str(options.DEFAULT_SERIES)),
        )
    tree, series = options.request_tree(args)
    lab = build.prepare(asked, tree, series, with_base=False)
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        one = _torture if args.torture else _seek
        return record.end(summary.exit_code([one(lab, abi, args, record) for abi in asked.abis]))


def _seek(lab: build.Lab, abi: str, args: argparse.Namespace, record: Run) -> CellResult:
    """Search for a run of the one race on one ABI, say what was found, and keep that as a cell."""
    asked = options.one_flavor(args)
    cell = Cell(get_abi(abi).arch, abi, asked.flavors[0], outcome.SUITE)
    mode = "plain" if args.plain else "pinned"
    bench = Bench(lab, abi, cell.flavor, mode, args.smp, record.cell_start(cell))
    ran: list[Found] = []
    notes: list[str] = []
    began, blind = time.monotonic(), ""
    try:
        if mode == "pinned" and (blind := _control(bench, args.seed)):
            ui.say(f"{abi:<7} INCONCLUSIVE: {blind}")
        else:
            notes += _look(bench, args, asked, ran)
    finally:
        result = outcome.result(
            cell, ran, bench.folder, mode=mode, blind=blind, notes=notes,
            seconds=time.monotonic() - began,
        )  # fmt: skip
        record.cell_end(result)
    return result


def _look(bench: Bench, args: argparse.Namespace, asked: Request, ran: list[Found]) -> list[str]:
    """Search, adding each run to those that ran; return the notes on what was found."""
    # One host thread runs all vCPUs of a machine that repeats itself.
    fits = args.guests or Budget.of_host().guests_at_once(1, 512)
    width = where.current().width(fits)
    search = Search(random.Random(args.seed))  # noqa: S311 (no secret)
    with where.threads(fits) as executor:

        def one(trial: Trial) -> Found:
            found = bench.run(trial)
            ran.append(found)
            return found

        found = hunt(search, lambda trials: list(executor.map(one, trials)), args.boots, width)
    seen = f"{search.covered.bit_count()} pairs of steps seen"
    if not found:
        _nothing(bench, search, seen)
        return [seen, SEQUENTIAL]
    ui.say(f"{bench.abi:<7} {found.fails} in run {search.ran}, {seen}: {found.trial}")
    return [seen, _smallest(bench, found, args.tries, asked)]


def _smallest(bench: Bench, found: Found, tries: int, asked: Request) -> str:
    """Make a failure smaller and run that once more; return the note that repeats it."""
    least, used = minimise(found, bench.run, tries)
    ui.say(f"        smallest of {used} more: {least.trial}")
    again = where.call(replays.run_once, bench.made(least.trial), bench.folder / "again")
    built = bench.lab.patched.tree
    token = replays.make_token(
        bench.made(least.trial),
        again.fingerprint,
        tree=built.base.spec,
        patched=built.tree_id,
        abi=bench.abi,
    )
    line = commands.replay(str(token), built, asked)
    same = again.fingerprint == replays.fingerprint(bench.place(least.trial))
    ui.say(f"        {'comes back' if same else 'does NOT come back'}: {line}")
    return f"{commands.REPLAY}{line}" if same else f"does not come back: {line}"


def _nothing(bench: Bench, search: Search, seen: str) -> None:
    """Say that nothing failed, and what that is worth."""
    good = search.ran - len(search.missing)
    ui.say(
        f"{bench.abi:<7} nothing failed in {good} {bench.mode} runs, {search.rounds:,} rounds that"
        f" went on, {seen}\n        {SEQUENTIAL}"
    )
    for why in dict.fromkeys(search.missing):
        ui.say(f"        could not be run: {why}")


def _torture(lab: build.Lab, abi: str, args: argparse.Namespace, record: Run) -> CellResult:
    """Search with the torture program on one ABI; its runs have controls of their own."""
    asked, arch = options.one_flavor(args), get_abi(abi).arch
    cell = Cell(arch, abi, asked.flavors[0], report.SUITE)
    machine = replays.get_replay_machine(arch, Replay(args.seed), args.smp)
    (task,) = tasks(lab, [cell], {arch: machine})
    ask = followup.Ask(asked, TorturePlan(args.seed, MOST_SECONDS), record)
    ui.say(f"search  {cell.name}: {args.boots} deterministic runs at most")
    folder = record.cell_start(cell)
    looked = followup.look(task, None, ask, runs=args.boots, width=args.guests)
    notes = [f"{commands.REPLAY}{looked.line}"] if looked.line else []
    result = outcomes.searched(cell, looked.ran, looked.verdict, folder, notes=notes)
    record.cell_end(result)
    return result


def _control(bench: Bench, seed: int) -> str:
    """Return why the search would be blind: the same actors do not lose the race unprotected."""
    found = replace(bench, mode="plain").run(Trial(seed + 1))
    if found.fails == outcome.LOST:
        return ""
    why = found.missing or found.fails or "nothing failed"
    return f"the unprotected control did not lose the race ({why})"
