# SPDX-License-Identifier: GPL-2.0-or-later
"""Have a race's run or hold again, from its token and its folder."""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pinrace import ui
from pinrace.arches import ABIS, get_abi
from pinrace.errors import Exit, UserError
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt import token as hold_tokens
from pinrace.races.race import lab as labs
from pinrace.races.race import loss, tokens, ways
from pinrace.races.race.folder import Race, opened
from pinrace.races.race.lab import Wanted
from pinrace.races.race.tokens import RaceHoldToken, RaceToken
from pinrace.races.race.ways import Bench
from pinrace.races.replay import outcome, words
from pinrace.races.replay import run as replays
from pinrace.races.replay import stop as stops
from pinrace.races.replay import token as run_tokens
from pinrace.races.replay.words import DIGITS
from pinrace.runs import summary
from pinrace.runs.journal import Run
from pinrace.series import manifest
from pinrace.values import Cell, CellResult


def repro(args: argparse.Namespace) -> int:
    """Replay a token of a race; `pinrace repro` calls this.

    Raises UserError without --race, and for options that do not go with the token.
    """
    token = tokens.parse(args.token)
    if not args.race:
        raise UserError(
            "this token is of a race of its own", hint="--race FOLDER, or the .tar it came in"
        )
    debug = args.gdb or args.at is not None
    if isinstance(token, RaceHoldToken) and (debug or args.shell):
        raise UserError("--shell, --gdb and --at are for tokens that begin with pr2:")
    with opened(args.race) as race:
        tokens.refuse(token, race)
        bench = _bench(race, token, args)
        cell = Cell(ABIS[token.abi].arch, token.abi, token.flavor, f"{outcome.SUITE}-{race.name}")
        with Run.create(["pinrace", *args.words], race=race.name) as record:
            bench = replace(bench, folder=record.cell_start(cell))
            if isinstance(token, RaceHoldToken):
                result = _holds(cell, bench, token, args.times)
            else:
                result = _runs(cell, bench, token, args.times)
            record.cell_end(result)
            each = result.seconds / args.times
            ui.say(f"{result.reason} · {each:.1f} s each, boot included")
            ui.say(f"  {about(result)}\n  console  {bench.folder / '1' / 'console.log'}")
            code = summary.exit_code([result])
            if code == Exit.OK and debug and isinstance(token, RaceToken):
                _debug(bench, token, args.at)
            return record.end(code)


def about(result: CellResult) -> str:
    """Say what the last replay was."""
    last = result.cases[-1]
    return last.lines[0] if last.lines else last.reason


def _bench(race: Race, token: RaceToken | RaceHoldToken, args: argparse.Namespace) -> Bench:
    """Build what the token was made of.

    Raises UserError when the tree with the plant, or with the series that was named, is another
    than the token's.
    """
    abi = get_abi(token.abi)
    wanted = Wanted(
        (abi.arch,),
        (abi.name,),
        args.tree or token.tree,
        token.flavor,
        tuple(args.config),
        args.llvm,
        insecure=args.insecure,
        ltp=args.ltp,
    )
    named = None if args.series == str(manifest.default_folder()) else args.series
    lab = labs.prepare(race, wanted, series=named)
    have = lab.broken.tree.tree_id
    if not have.startswith(token.patched):
        raise UserError(
            f"{lab.broken.tree.label} is tree {have[:DIGITS]}, and the token's is {token.patched}",
            hint="name the tree and the series that it ran on: --tree, --series",
        )
    return lab.bench(abi.name, Path())


def _runs(cell: Cell, bench: Bench, token: RaceToken, times: int) -> CellResult:
    """Have a deterministic run again, and compare fingerprints."""
    made = ways.made_of(bench, token.job, token.replay.seed, token.replay.shift)
    have = tokens.of_run(
        bench.race, made, token.fingerprint, tree=token.tree, patched=token.patched, abi=token.abi
    )
    words.refuse(token, have, run_tokens.MADE_OF)
    ran = [replays.run_once(made, bench.place(str(n))) for n in range(1, times + 1)]
    replayed = []
    for number, once in enumerate(ran, 1):
        came = loss.judge(bench.race, once.run)
        said = f"lost: {came.lost}" if came else came.missing or f"kept in {came.rounds:,} rounds"
        replayed.append(outcome.Replay(f"replay {number}", once.fingerprint, said))
    seconds = sum(once.run.seconds for once in ran)
    return outcome.result(
        cell, replayed, bench.folder, wanted=token.fingerprint, what="fingerprint", seconds=seconds
    )


def _holds(cell: Cell, bench: Bench, token: RaceHoldToken, times: int) -> CellResult:
    """Play a hold again, and compare verdicts."""
    lab = ways.lab_of(bench)
    have = tokens.of_hold(
        bench.race, lab, token.spec, token.verdict, tree=token.tree, patched=token.patched
    )
    words.refuse(token, have, hold_tokens.MADE_OF)
    if have.qemu != token.qemu:
        ui.say(f"QEMU is {have.qemu} here and was {token.qemu}; a hold should not mind")
    began = time.monotonic()
    verdicts = hunts.replay(lab, bench.race.name, token.spec, bench.folder, times=times)
    said = str(token.spec)
    came = [outcome.Replay(f"replay {n}", verdict, said) for n, verdict in enumerate(verdicts, 1)]
    seconds = time.monotonic() - began
    return outcome.result(cell, came, bench.folder, wanted=token.verdict, seconds=seconds)


def _debug(bench: Bench, token: RaceToken, at: int | None) -> None:
    """Replay the run in gdb, stopped before the round that was lost."""
    made = ways.made_of(bench, token.job, token.replay.seed, token.replay.shift)
    once = replays.run_once(made, bench.place("before"))
    where = stops.place(once, at)
    with tempfile.TemporaryDirectory(prefix="pinrace-") as place:
        stops.in_gdb(
            made,
            bench.place("gdb"),
            Path(place) / "gdb",
            where,
            programs=(bench.built.debug,),
            say=ui.say,
        )
