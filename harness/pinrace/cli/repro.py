# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace repro TOKEN`: replay a run from its token."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.cli import hunt, options
from pinrace.engine import build, executor
from pinrace.errors import Exit, InfrastructureError, PinraceError, UserError
from pinrace.guest.outcome import Ending
from pinrace.guest.process import Guest
from pinrace.kbuild import userspace
from pinrace.races import followup, rebuild
from pinrace.races.preempt import token as hold_tokens
from pinrace.races.race import replaying
from pinrace.races.race import tokens as race_tokens
from pinrace.races.replay import outcome, words
from pinrace.races.replay import run as replays
from pinrace.races.replay import stop as stops
from pinrace.races.replay import token as tokens
from pinrace.races.replay.run import Made, Once
from pinrace.races.replay.token import Token
from pinrace.races.torture import token as torture_tokens
from pinrace.runs import summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, CellResult, Verdict

_PROMISE = {
    hold_tokens.VERSION: "promise is the same verdict",
    torture_tokens.VERSION: "trials are the same, and what comes of them is chance",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.fleet_options(parser)
    parser.add_argument(
        "token", help="a token that a run printed: pr1:…, ph1:…, pt1:…, pr2:… or ph2:…"
    )
    parser.add_argument("--times", type=int, default=1, help="number of replays (default: 1)")
    parser.add_argument(
        "--shell", action="store_true", help="then replay once more, and open a shell at the end"
    )
    parser.add_argument(
        "--gdb",
        action="store_true",
        help="then replay once more under gdb, stopped at the failure",
    )
    parser.add_argument(
        "--at",
        type=int,
        metavar="ROUND",
        help="as --gdb, but stop before this round or trial, counted from 0",
    )
    parser.add_argument("--race", metavar="DIR|TAR", help="the race of a pr2: or ph2: token")
    parser.add_argument(
        "--ltp", type=Path, metavar="DIR", help="the LTP tree that the race was built with"
    )
    rebuild.add_options(parser, str(options.DEFAULT_SERIES))


def run(args: argparse.Namespace) -> int:
    """Fetch and build what is missing, refuse what is not the same, and compare fingerprints."""
    if args.times < 1:
        raise UserError("--times takes 1 or more")
    if race_tokens.is_token(args.token):
        return replaying.repro(args)
    options.refuse(args, "on a token that is of no race folder", "--race", "--ltp")
    debug = args.gdb or args.at is not None
    if hold_tokens.is_token(args.token) or torture_tokens.is_token(args.token):
        if args.shell or debug:
            raise UserError(
                "--shell, --gdb and --at are for runs that come back to the byte, whose tokens"
                f" begin with {tokens.VERSION}:; this one's {_PROMISE[args.token.strip()[:3]]}",
                hint="pinrace gdb has a guest's kernel in gdb, pinrace shell a shell",
            )
        is_hold = hold_tokens.is_token(args.token)
        return hunt.repro(args) if is_hold else followup.repro(args)
    token = tokens.parse(args.token)
    if args.shell and debug:
        raise UserError("--shell is at the end of a run, --gdb and --at within it: take one")
    made, lab = _make(token, args)
    have = replays.make_token(
        made, token.fingerprint, tree=token.tree, patched=token.patched, abi=token.abi
    )
    words.refuse(token, have, tokens.MADE_OF)
    cell = Cell(get_abi(token.abi).arch, token.abi, token.flavor, outcome.SUITE)
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        folder = record.cell_start(cell)
        ran: list[Once] = []
        try:
            for number in range(1, args.times + 1):
                ran.append(executor.call(replays.run_once, made, folder / str(number)))
        finally:
            result = _result(cell, token, ran, folder)
            record.cell_end(result)
        code = summary.exit_code([result])
        ui.say(f"{result.reason} · {result.seconds / args.times:.1f} s a run")
        ui.say(f"  {_about(ran[-1])}\n  console  {folder / '1' / 'console.log'}")
        if code == Exit.OK and debug:
            symbols = _symbols(made, lab.patched.tree.tree_id)
            where = stops.place(ran[-1], args.at)
            code = _debug(made, token, where, folder / "gdb", symbols)
        elif code == Exit.OK and args.shell:
            code = _shell(made, folder)
        return record.end(code)


def _result(cell: Cell, token: Token, ran: list[Once], folder: Path) -> CellResult:
    """Judge the replays: each has to leave the token's fingerprint."""
    came = [
        outcome.Replay(f"replay {number}", once.fingerprint, _about(once))
        for number, once in enumerate(ran, 1)
    ]
    seconds = sum(once.run.seconds for once in ran)
    judged = outcome.result(
        cell, came, folder, wanted=token.fingerprint, what="fingerprint", seconds=seconds
    )
    if judged.verdict is not Verdict.PASS:
        return judged
    kind = "failure" if ran[-1].failure else "run"
    said = f"same {kind}, same fingerprint ({len(ran)}/{len(ran)})"
    return replace(judged, reason=said)


def _debug(
    made: Made, token: Token, where: stops.Place, folder: Path, symbols: tuple[Path, ...]
) -> Exit:
    """Replay the run in gdb, and say whether it is still the same at its end."""
    with tempfile.TemporaryDirectory(prefix="pinrace-") as place:
        once = stops.in_gdb(made, folder, Path(place) / "gdb", where, programs=symbols, say=ui.say)
    if once is None:
        ui.say("gdb ended it")
        return Exit.OK
    left = once.fingerprint == token.fingerprint
    ui.say("it went on as the token says" if left else "from its stop on it was another run")
    return Exit.OK


def _symbols(made: Made, tree_id: str) -> tuple[Path, ...]:
    """Return the guest program with its symbols, if it is one of ours."""
    program = Path(made.job.argv[0])
    abi = get_abi(made.image.abi)

    def none() -> NoReturn:
        raise InfrastructureError("the kernel's headers are not in the cache any more")

    try:
        include = userspace.headers(none, tree_id, abi.headers_arch)
        return (userspace.debug_program(program.name, abi, include),)
    except PinraceError as error:
        ui.say(f"without the symbols of {program.name}: {error}")
        return ()


def _shell(made: Made, folder: Path) -> Exit:
    """Replay the run, with a shell at its end."""
    ui.say("the run once more; then `exit` or Ctrl-] leaves its shell")

    def talk(guest: Guest) -> None:
        same = stops.same_until_done(folder / "1", folder / "shell")
        ui.say(f"{'the same' if same else 'NOT THE SAME'} up to here; from here on it is yours")
        guest.talk()

    once = stops.with_shell(made, folder / "shell", talk)
    if once.run.ending is not Ending.DONE:
        ui.say(f"there is no shell in it: {once.run.reason}")
    return Exit.OK if stops.same_until_done(folder / "1", folder / "shell") else Exit.INFRA


def _about(once: Once) -> str:
    """Say what the run was."""
    if once.failure:
        return once.failure
    if once.race:
        return " ".join(f"{name} {count}" for name, count in once.race.items())
    return "nothing failed"


def _make(token: Token, args: argparse.Namespace) -> tuple[Made, build.Lab]:
    """Have the kernel, the image and the machine of the token."""
    abi = get_abi(token.abi)
    jobs = replays.get_jobs(token.job, token.replay.seed)
    machine = replays.get_replay_machine(abi.arch, token.replay, token.smp)
    here = tokens.machine_of(machine)  # nothing is built for a QEMU that cannot be the right one
    words.refuse(token, replace(token, **here), {name: tokens.MADE_OF[name] for name in here})
    lab = rebuild.rebuild(token, args)
    kernel = lab.patched.kernels[abi.arch, token.flavor]
    return Made(kernel, lab.patched.images[abi.name], machine, jobs), lab
