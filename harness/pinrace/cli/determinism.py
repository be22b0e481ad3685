# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace determinism`: prove that runs repeat themselves on this host."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.arches import ABIS
from pinrace.cli import options
from pinrace.engine import build
from pinrace.errors import Exit, UserError
from pinrace.guest.machine import INGREDIENTS, Replay
from pinrace.guest.outcome import Ending
from pinrace.races.race import single
from pinrace.races.replay import run as replays
from pinrace.races.replay import why
from pinrace.races.replay.run import Made, Once
from pinrace.runs.journal import Run, tree_facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--boots", type=int, default=3, help="of each ABI (default: 3)")
    parser.add_argument("--job", default="race", help="race, race-pinned, torture-300 or a suite")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--without", choices=INGREDIENTS, default="", help="leave this out, to see what it is for"
    )
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")
    single.option(parser)


def run(args: argparse.Namespace) -> int:
    """Boot each ABI several times; exit 4 when two runs of the same differ."""
    asked = options.one_flavor(args)
    if args.boots < 2 or args.seed < 0 or args.smp < 1:
        raise UserError("two boots at the least, and no negative seed", hint="--boots 3 --seed 7")
    if args.race:
        on = single.wanted(args, options.DEFAULT_TREE)
        named = single.series_of(args, str(options.DEFAULT_SERIES))
        return single.determinism(args, on, boots=args.boots, series=named)
    jobs = replays.get_jobs(args.job, args.seed)  # a job that there is not, costs no build
    tree, series = options.request_tree(args)
    lab = build.prepare(asked, tree, series, with_base=False)
    record = Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree))
    worst = Exit.OK
    for abi in asked.abis:
        replay = Replay(args.seed, without=args.without)
        machine = replays.get_replay_machine(ABIS[abi].arch, replay, args.smp)
        kernel = lab.patched.kernels[ABIS[abi].arch, asked.flavors[0]]
        made = Made(kernel, lab.patched.images[abi], machine, jobs)
        folders = [record.folder / abi / str(number) for number in range(1, args.boots + 1)]
        ran = [replays.run_once(made, folder) for folder in folders]
        same = replays.agreeing([once.fingerprint for once in ran])
        ui.say(f"{abi:<7} {same}/{args.boots} fingerprints equal  {_about(args.job, ran[0])}")
        equal = same == args.boots and all(once.run.ending is Ending.DONE for once in ran)
        if equal and not _says_enough(args.job, ran[0]):
            worst = Exit.INFRA
            ui.say("        that proves nothing: a race has to go both ways, and to leave a record")
        elif equal:
            tree_id = lab.patched.tree.tree_id
            token = replays.make_token(
                made, ran[0].fingerprint, tree=tree.spec, patched=tree_id, abi=abi
            )
            # No token says what was left out.
            ui.say(
                f"        equal without '{args.without}' too"
                if args.without
                else f"        {token}"
            )
        else:
            worst = Exit.INFRA
            said = why.explain(made, ran, folders, record.folder / abi)
            ui.say(f"        see {record.folder / abi}{said}")
    record.finish([], exit_code=worst)
    return worst


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
