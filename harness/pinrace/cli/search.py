# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace search`: look over many seeds for a run that fails, and name the smallest by a token."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine.pool import tasks
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.guest.machine import SEQUENTIAL, Replay
from pinrace.guest.outcome import Ending, GuestRun
from pinrace.host.budget import Budget
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.races import followup
from pinrace.races.race import prove, single
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made, Once
from pinrace.races.seeds.search import Found, Search, Trial, hunt, minimise
from pinrace.races.torture import report
from pinrace.races.torture.jobs import MOST_SECONDS
from pinrace.races.torture.values import TorturePlan
from pinrace.runs import commands
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, Request, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--plain", action="store_true", help="the race without PIN_ARGS")
    parser.add_argument(
        "--torture", action="store_true", help="not one race, but every call that can be pinned"
    )
    parser.add_argument("--boots", type=int, default=20, help="boots at most (default: 20)")
    parser.add_argument("--tries", type=int, default=12, help="boots to make a failure smaller")
    parser.add_argument("--seed", type=int, default=1, help="of the search (default: 1)")
    parser.add_argument("--guests", type=int, default=0, help="guests at once")
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")
    single.option(parser)


@dataclass(frozen=True)
class _Bench:
    """What trials of one ABI run on."""

    lab: build.Lab
    abi: str
    flavor: str
    mode: str
    smp: int
    folder: Path

    def made(self, trial: Trial) -> Made:
        """Return what the run of a trial is made of."""
        arch = get_abi(self.abi).arch
        machine = replays.get_replay_machine(arch, Replay(trial.seed, trial.shift), self.smp)
        jobs = replays.get_jobs(trial.job(self.mode), trial.seed)
        built = self.lab.patched
        return Made(built.kernels[arch, self.flavor], built.images[self.abi], machine, jobs)

    def place(self, trial: Trial) -> Path:
        """Return the folder of a trial's run."""
        return self.folder / f"{trial.job(self.mode)}-s{trial.seed}.{trial.shift}"

    def run(self, trial: Trial) -> Found:
        """Run a trial."""
        try:
            once = replays.run_once(self.made(trial), self.place(trial))
            return _found(trial, once)
        except InfrastructureError as error:
            return Found(trial, missing=str(error))


def _found(trial: Trial, once: Once) -> Found:
    """Return what came of a trial.  InfrastructureError when its console cannot be judged."""
    run, race = once.run, once.race
    if run.boot_seconds is None:
        return Found(trial, missing=run.reason)
    reading = ending.of(run, splats.against(run.console))
    if reading.end is End.INFRA:
        return Found(trial, missing=reading.sentence)
    if run.ending is not Ending.DONE:
        return Found(trial, run.ending.value)
    reports = reading.reports
    if not race and not reports:
        return Found(trial, missing=_last_words(run))
    bad = next((name for name in ("lost", "broken") if race.get(name, "0") != "0"), "")
    return Found(
        trial,
        reports[0].rule if reports else bad,
        pairs=int(race.get("pairs", "0"), 16),
        first=int(race.get("first_lost", "-1")),
        kept=int(race.get("kept", "0")),
    )


def _last_words(run: GuestRun) -> str:
    """Return what the program said before it gave up: a refusal that it did not expect, mostly."""
    said = run.jobs[-1].output.decode(errors="replace").split("\n") if run.jobs else []
    return next((line.strip() for line in reversed(said) if line.strip()), "no record")


def run(args: argparse.Namespace) -> int:
    """Search on each ABI; exit 1 when a pinned run fails, 4 when the search proves to be blind."""
    asked = options.one_flavor(args)
    if args.plain and args.torture:
        raise UserError("--plain is about the one race, --torture about all: take one")
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
    record = Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree))
    codes = []
    for abi in asked.abis if args.torture else ():
        codes.append(_torture(lab, abi, args, record, asked))
    for abi in () if args.torture else asked.abis:
        mode = "plain" if args.plain else "pinned"
        bench = _Bench(lab, abi, asked.flavors[0], mode, args.smp, record.folder / abi)
        codes.append(_abi(bench, args, asked))
    code = next((c for c in (Exit.KERNEL, Exit.INFRA) if c in codes), Exit.OK)
    record.finish([], exit_code=code)
    return code


def _abi(bench: _Bench, args: argparse.Namespace, asked: Request) -> Exit:
    """Search on one ABI and say what was found."""
    if bench.mode == "pinned" and not _control(bench, args.seed):
        return Exit.INFRA
    # One host thread runs all vCPUs of a machine that repeats itself.
    width = args.guests or Budget.of_host().guests_at_once(1, 512)
    search = Search(random.Random(args.seed))  # noqa: S311 (no secret)
    with ThreadPoolExecutor(width, thread_name_prefix="guest") as executor:

        def several(trials: Sequence[Trial]) -> list[Found]:
            return list(executor.map(bench.run, trials))

        found = hunt(search, several, args.boots, width)
    seen = f"{search.covered.bit_count()} pairs of steps seen"
    if not found:
        return _nothing(bench, search, seen)
    ui.say(f"{bench.abi:<7} {found.fails} in run {search.ran}, {seen}: {found.trial}")
    least, used = minimise(found, bench.run, args.tries)
    ui.say(f"        smallest of {used} more: {least.trial}")
    again = replays.run_once(bench.made(least.trial), bench.folder / "again")
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
    return Exit.OK if bench.mode == "plain" and found.fails == "lost" else Exit.KERNEL


def _nothing(bench: _Bench, search: Search, seen: str) -> Exit:
    """Say that nothing failed, and what that is worth."""
    good = search.ran - len(search.missing)
    ui.say(
        f"{bench.abi:<7} nothing failed in {good} {bench.mode} runs, {search.rounds:,} rounds that"
        f" went on, {seen}\n        {SEQUENTIAL}"
    )
    for why in dict.fromkeys(search.missing):
        ui.say(f"        could not be run: {why}")
    proves = bench.mode == "pinned" and search.rounds and not search.missing
    return Exit.OK if proves else Exit.INFRA


def _torture(
    lab: build.Lab, abi: str, args: argparse.Namespace, record: Run, asked: Request
) -> Exit:
    """Search with the torture program on one ABI; its runs have controls of their own."""
    arch = get_abi(abi).arch
    cell = Cell(arch, abi, asked.flavors[0], report.SUITE)
    machine = replays.get_replay_machine(arch, Replay(args.seed), args.smp)
    (task,) = tasks(lab, [cell], {arch: machine})
    ask = followup.Ask(asked, TorturePlan(args.seed, MOST_SECONDS), record)
    ui.say(f"search  {cell.name}: {args.boots} deterministic runs at most")
    found = followup.look(task, None, ask, runs=args.boots, width=args.guests).verdict
    return {Verdict.FAIL: Exit.KERNEL, Verdict.PASS: Exit.OK}.get(found, Exit.INFRA)


def _control(bench: _Bench, seed: int) -> bool:
    """Whether the same actors lose the race without PIN_ARGS, as they must."""
    plain = _Bench(bench.lab, bench.abi, bench.flavor, "plain", bench.smp, bench.folder)
    found = plain.run(Trial(seed + 1))
    if found.fails != "lost":
        why = found.missing or found.fails or "nothing failed"
        ui.say(f"{bench.abi:<7} INCONCLUSIVE: the race was not lost unpinned ({why})")
    return found.fails == "lost"
