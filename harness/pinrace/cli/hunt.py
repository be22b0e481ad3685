# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace hunt`: hold one CPU at each instruction of a window while another one runs."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from pinrace import ui
from pinrace.arches import ABIS, get_abi
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine import executor as where
from pinrace.errors import Exit, UserError
from pinrace.guest.machine import SEQUENTIAL
from pinrace.races import rebuild
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt import outcome, spec, table
from pinrace.races.preempt import token as tokens
from pinrace.races.preempt import windows as lists
from pinrace.races.preempt.hunt import CONFIRM, Found, Hunt
from pinrace.races.preempt.session import Lab, get_lab
from pinrace.races.preempt.windows import Window
from pinrace.races.race import single
from pinrace.races.race.prove import Budget
from pinrace.races.replay import outcome as repeats
from pinrace.races.replay import words
from pinrace.runs import commands, summary, tables
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, PatchedTree, Request

HOURS = 1  # for one window where --for says nothing

_RANGE = re.compile(r"(?P<function>[^+]+)(?:\+(?P<first>\d+)(?:\.\.(?P<last>\d+))?)?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.fleet_options(parser)
    options.build_options(parser)
    parser.add_argument(
        "--window",
        metavar="FUNC[+N[..M]]",
        help="hold at each instruction of this kernel function, or at those from N to M"
        " (default: every window of the list)",
    )
    parser.add_argument(
        "--scenario",
        help="with --window: what the two sides do; `guest/hold` of the series lists them",
    )
    parser.add_argument(
        "--side",
        choices=list(spec.SIDES),
        default="a",
        help="with --window: the side that is held (default: a)",
    )
    parser.add_argument(
        "--until",
        default=spec.DONE,
        help="with --window: run the other side up to this function (default: to the end)",
    )
    parser.add_argument(
        "--against",
        default="",
        metavar="FUNC",
        help="with --window: also hold the other side in this function; implies --pairs",
    )
    parser.add_argument(
        "--pairs", action="store_true", help="also try pairs of holds, one on each side"
    )
    parser.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="windows to sweep (default: those that the series' series.toml names)",
    )
    parser.add_argument("-k", dest="only", default="", help="only windows whose name contains this")
    parser.add_argument(
        "--for",
        dest="duration",
        help=f"time for all windows: 90, 30s, 25m, 2h (default: {HOURS} h each)",
    )
    parser.add_argument(
        "--icount", action="store_true", help="run deterministically (QEMU -icount)"
    )
    parser.add_argument(
        "--every", action="store_true", help="also stop before register-only instructions"
    )
    parser.add_argument("--keep-going", action="store_true", help="go on after a violation")
    single.option(parser)
    tables.option(parser)


def run(args: argparse.Namespace) -> int:
    """Sweep the windows and print a line for each; exit 1 for a violation, 4 for a lost guest."""
    asked = options.one_flavor(args)
    _refuse(args)
    seconds = options.duration(args.duration, "--for") if args.duration else 0.0
    if args.race:
        budget = Budget(holds=seconds or HOURS * 3600.0, pairs=args.pairs, ways=("holds",))
        on = single.wanted(args, options.DEFAULT_TREE)
        return single.run(
            args, on, budget, series=single.series_of(args, str(options.DEFAULT_SERIES))
        )
    wanted = _windows(args)
    tree, series = options.request_tree(args)
    lab = build.prepare(asked, tree, series, with_base=False)
    labs = {abi: _lab(lab, abi, asked, icount=args.icount) for abi in asked.abis}
    pairs = args.pairs or bool(args.window and args.against)
    for window in wanted:  # before any is swept
        for name in filter(None, (window.window, window.against if pairs else "")):
            for there in labs.values():
                there.symbols.find(name)
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        sweeps = _Sweeps(args, asked, lab.patched.tree, labs, record)
        code = sweeps.all(wanted, seconds, with_pairs=pairs)
        ui.say(f"{SEQUENTIAL}\nconsoles  {record.folder}")
        return record.end(code)


def _refuse(args: argparse.Namespace) -> None:
    """Raise UserError for options that have no effect on what is swept."""
    one, listed = ("--scenario", "--side", "--until", "--against"), ("--list", "-k")
    if args.race:
        more = ("--every", "--keep-going", "--icount", "--write")
        options.refuse(args, "with --race", "--window", *one, *listed, *more)
    elif args.window:
        options.refuse(args, "with --window", *listed)
    else:
        options.refuse(args, "without --window", *one)


class _Sweeps:
    """The sweeps of one command: a cell an ABI, kept whatever ends them."""

    def __init__(
        self,
        args: argparse.Namespace,
        asked: Request,
        tree: PatchedTree,
        labs: Mapping[str, Lab],
        record: Run,
    ) -> None:
        self._args, self._asked, self._tree, self._labs = args, asked, tree, labs
        self._record = record
        self._swept: list[table.Swept] = []

    def all(self, windows: Sequence[Window], seconds: float, *, with_pairs: bool) -> Exit:
        """Sweep each window on each ABI; return the exit code.  seconds: of all, 0 for no limit."""
        until = time.monotonic() + seconds
        results = []
        for number, abi in enumerate(self._asked.abis):
            cell = Cell(get_abi(abi).arch, abi, self._asked.flavors[0], outcome.SUITE)
            folder = self._record.cell_start(cell)
            done: list[Hunt] = []
            notes: list[str] = []
            try:
                for left, window in enumerate(windows):
                    todo = (len(self._asked.abis) - number) * len(windows) - left
                    share = max(until - time.monotonic(), 1.0) / todo if seconds else HOURS * 3600.0
                    done.append(Hunt(window))
                    done[-1] = self._one(abi, done[-1], folder / window.name, share, with_pairs)
                    notes += _report(abi, done[-1], self._labs[abi], self._tree, self._asked)
            finally:
                planned = len(windows)
                results.append(outcome.result(cell, done, folder, planned=planned, notes=notes))
                self._record.cell_end(results[-1])
        return summary.exit_code(results)

    def _one(self, abi: str, hunt: Hunt, folder: Path, seconds: float, with_pairs: bool) -> Hunt:
        """Sweep a window, and write the table with it; what another host swept is another value."""
        window, args = hunt.window, self._args
        hunt = where.call(
            hunts.hunt_window,
            self._labs[abi],
            window,
            folder,
            seconds=seconds,
            with_pairs=with_pairs,
            keep_going=args.keep_going or window.control,
            every=args.every or window.control,
            hunt=hunt,
        )
        self._swept.append(_swept(abi, hunt))
        tables.write(args, table.markdown(self._swept, _facts(self._tree, self._labs)))
        return hunt


def _lab(lab: build.Lab, abi: str, asked: Request, *, icount: bool) -> Lab:
    """Return what an ABI's holds are played in."""
    kernel = lab.patched.kernels[ABIS[abi].arch, asked.flavors[0]]
    return get_lab(kernel, lab.patched.images[abi], icount=icount)


def _swept(abi: str, hunt: Hunt) -> table.Swept:
    """Return what the table has of a sweep."""
    return table.Swept(
        abi,
        hunt.window,
        holds=hunt.tried,
        given_up=sum(hunt.given_up.values()),
        violations=hunt.violations,
        length=hunt.length if hunt.complete else None,
        lost=len(hunt.lost),
        reports=len(hunt.reports),
    )


def _facts(tree: PatchedTree, labs: Mapping[str, Lab]) -> dict[str, str]:
    """Return what the table says of where it was made."""
    machines = {lab.machine.arch: lab.machine for lab in labs.values()}
    return tables.facts(tree.base, tree.series) | {
        "guests": ", ".join(
            f"{arch}: QEMU {one.qemu.version}, {one.accel.name}" for arch, one in machines.items()
        ),
        "seen": SEQUENTIAL,
    }


def _windows(args: argparse.Namespace) -> tuple[Window, ...]:
    """Return the windows to sweep: the one of the options, or those of the list."""
    if not args.window:
        found = tuple(w for w in lists.load(args.list) if args.only in w.name)
        if not found:
            raise UserError(
                f"no window of {args.list or lists.default()} has '{args.only}' in its name"
            )
        return found
    match = _RANGE.fullmatch(args.window)
    if not match or not args.scenario:
        raise UserError(
            "a window is FUNC, FUNC+N or FUNC+N..M, and needs --scenario",
            hint="--window fcntl_setlk+0..40 --scenario NAME",
        )
    names = (match["function"], *filter(None, (args.against,)))
    for name in (*names, *([] if args.until == spec.DONE else [args.until])):
        spec.parse_function(name)
    if args.pairs and not args.against:
        raise UserError("--pairs needs the other side's window", hint="--against FUNC")
    first = int(match["first"] or 0)
    last = int(match["last"]) if match["last"] else first if match["first"] else None
    try:
        one = Window(
            name="window",
            scenario=args.scenario,
            window=match["function"],
            side=args.side,
            first=first,
            last=last,
            until=args.until,
            against=args.against,
        )
    except ValidationError as exc:
        raise UserError(f"no such window: {exc.errors()[0]['msg']}") from exc
    return (one,)


def _report(abi: str, hunt: Hunt, lab: Lab, tree: PatchedTree, asked: Request) -> list[str]:
    """Print what a sweep came to; return the notes on how to replay its violations."""
    window = hunt.window
    ui.say(f"hunt    {abi:<7} {window.name:<20} {outcome.sentence(hunt)}  {hunt.seconds:.0f} s")
    for reason, count in hunt.given_up.most_common():
        ui.say(f"          {count} {reason}")
    for verdict, count in hunt.verdicts.most_common() if window.control else ():
        ui.say(f"          {count} {verdict}")
    for text in hunt.lost:
        ui.say(f"          LOST  {text}")
    for text in hunt.reports:
        ui.say(f"          REPORT  {text}")
    bad = () if window.control else hunt.found
    found = [_report_found(one, lab, tree, asked, window.scenario) for one in bad]
    return [f"{commands.REPLAY}{line}" for line in found if line]


def _report_found(found: Found, lab: Lab, tree: PatchedTree, asked: Request, scenario: str) -> str:
    """Print a violation and the command that replays it; return that, "" where there is none."""
    ui.say(f"  VIOLATION  {found.hold}  {found.verdict}: {found.why}")
    ui.say(f"    again    {found.again} of {CONFIRM}   console  {found.console}")
    if not found.certain:
        ui.say(f"    replay   no token: reproduced in {found.again} of {CONFIRM} replays")
        return ""
    token = tokens.make(
        lab,
        tree=tree.base.spec,
        patched=tree.tree_id,
        scenario=scenario,
        hold=found.hold,
        verdict=found.verdict,
    )
    line = commands.replay(str(token), tree, asked)
    ui.say(f"    replay   {line}")
    return line


def repro(args: argparse.Namespace) -> int:
    """Play the hold of a token again and compare verdicts; `pinrace repro` calls this."""
    token = tokens.parse(args.token)
    abi = get_abi(token.abi)
    built = rebuild.rebuild(token, args).patched
    lab = get_lab(built.kernels[abi.arch, token.flavor], built.images[abi.name])
    have = tokens.make(
        lab,
        tree=token.tree,
        patched=built.tree.tree_id,
        scenario=token.scenario,
        hold=token.spec,
        verdict=token.verdict,
    )
    words.refuse(token, have, tokens.MADE_OF)
    if have.qemu != token.qemu:
        ui.say(f"QEMU is {have.qemu} here and was {token.qemu}; a hold should not mind")
    cell = Cell(abi.arch, abi.name, token.flavor, repeats.SUITE)
    with Run.create(["pinrace", *args.words], tree=tree_facts(built.tree)) as record:
        folder = record.cell_start(cell)
        began = time.monotonic()
        verdicts = hunts.replay(lab, token.scenario, token.spec, folder, times=args.times)
        took = time.monotonic() - began
        came = [repeats.Replay(str(n), verdict) for n, verdict in enumerate(verdicts, 1)]
        result = repeats.result(cell, came, folder, wanted=token.verdict, seconds=took)
        record.cell_end(result)
        ui.say(f"{result.reason} · {took / args.times:.1f} s a hold, boot included")
        ui.say(f"  {token.hold}\n  console  {folder / '1' / 'console.log'}")
        return record.end(summary.exit_code([result]))
