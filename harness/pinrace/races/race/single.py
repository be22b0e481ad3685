# SPDX-License-Identifier: GPL-2.0-or-later
"""One way on a race, on one kernel: what torture, search, hunt and determinism do with --race."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pinrace import ui
from pinrace.arches import ABIS
from pinrace.errors import Exit
from pinrace.races.race import lab as labs
from pinrace.races.race import prove, tokens, ways
from pinrace.races.race.folder import opened
from pinrace.races.race.lab import RaceLab, Wanted
from pinrace.races.race.prove import Budget
from pinrace.races.replay import outcome
from pinrace.runs import summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import CaseStatus, Cell, CellResult, Verdict

SUITE = "race"


def option(parser: argparse.ArgumentParser) -> None:
    """--race, and the tree that a race of kind ltp needs."""
    parser.add_argument(
        "--race",
        metavar="DIR",
        help="a race of your own: a folder, a name in kernel/races or a .tar; the kernel is the"
        " tree with the race's plant, or with --series",
    )
    parser.add_argument("--ltp", type=Path, metavar="DIR", help="a tree of the LTP, for such races")


def wanted(args: argparse.Namespace, tree: str) -> Wanted:
    """Return what the shared options add up to; tree: what --tree is when nobody gave it."""
    return Wanted(
        tuple(args.arch or ()),
        tuple(args.abi or ()),
        "" if args.tree == tree else args.tree,
        args.flavor[0] if args.flavor else "",
        tuple(args.config),
        args.llvm,
        args.jobs,
        args.insecure,
        args.ltp,
    )


def series_of(args: argparse.Namespace, default: str) -> str | None:
    """Return the series that was asked for, None when nobody did."""
    return None if args.series == default else args.series


def run(
    args: argparse.Namespace, asked: Wanted, budget: Budget, *, series: str | None = None
) -> int:
    """Go these ways on each ABI.

    Exit 1 when the race was lost, 0 when it was kept, and 4 when that says nothing.
    """
    with opened(args.race) as race:
        lab = labs.prepare(race, asked, series=series)
        with _record(args, lab) as record:
            results = []
            for abi in lab.asked.abis:
                cell = _cell(lab, abi)
                folder = record.cell_start(cell)
                began = time.monotonic()
                proof = prove.Prover(lab, abi, budget, folder, ui.say).run()
                results.append(_result(cell, proof, folder, time.monotonic() - began))
                record.cell_end(results[-1])
            ui.say(f"consoles  {record.folder}")
            return record.end(_code([one.verdict for one in results]))


def _record(args: argparse.Namespace, lab: RaceLab) -> Run:
    facts = tree_facts(lab.broken.tree)
    return Run.create(["pinrace", *args.words], tree=facts, race=lab.race.name)


def _cell(lab: RaceLab, abi: str) -> Cell:
    return Cell(ABIS[abi].arch, abi, lab.asked.flavors[0], f"{SUITE}-{lab.race.name}")


def _result(cell: Cell, proof: prove.Proof, folder: Path, seconds: float) -> CellResult:
    """Judge one kernel alone: what is lost is the kernel's fault."""
    result = prove.result(cell, proof, folder, with_fix=False, seconds=seconds)
    lost = next((row for row in proof.rows if row.lost), None)
    if lost:
        verdict, why = Verdict.FAIL, f"{lost.way}: {lost.text}"
    elif miss := next((row for row in proof.rows if row.ok is False or row.miss), None):
        verdict, why = Verdict.INCONCLUSIVE, f"{miss.way}: {miss.text}"
    else:
        kept = [row for row in proof.rows if row.kernel == "broken"]
        empty = [row for row in kept if not row.text.startswith("kept in")]
        verdict = Verdict.PASS if kept and not empty else Verdict.INCONCLUSIVE
        why = (empty or kept)[0].text if kept else "nothing was tried"
    cases = tuple(
        case
        if case.status is not CaseStatus.SKIP
        else type(case)(case.name, CaseStatus.PASS, case.reason, case.lines)
        for case in result.cases
    )
    new = tuple(row.way for row in proof.rows if row.lost)
    return CellResult(
        cell, verdict, why, cases, new=new, seconds=seconds, folder=folder, notes=result.notes
    )


def _code(verdicts: list[Verdict]) -> Exit:
    if Verdict.FAIL in verdicts:
        return Exit.KERNEL
    return Exit.OK if all(v is Verdict.PASS for v in verdicts) else Exit.INFRA


def determinism(args: argparse.Namespace, asked: Wanted, *, series: str | None = None) -> int:
    """Boot a race's run several times; exit 4 when two of them differ."""
    with opened(args.race) as race:
        job = args.job if args.job != "race" else ways.job_of_seed(race)
        lab = labs.prepare(race, asked, series=series)
        with _record(args, lab) as record:
            results = [_repeat(lab, abi, job, args, record) for abi in lab.asked.abis]
            return record.end(summary.exit_code(results))


def _repeat(lab: RaceLab, abi: str, job: str, args: argparse.Namespace, record: Run) -> CellResult:
    """Say whether an ABI's runs are the same, and the token that they have then."""
    suite = f"{outcome.DETERMINISM}-{lab.race.name}"
    cell = Cell(ABIS[abi].arch, abi, lab.asked.flavors[0], suite)
    bench = lab.bench(abi, record.cell_start(cell))
    ran: list[ways.Seed] = []
    came: list[outcome.Replay] = []
    began, weak = time.monotonic(), ""
    try:
        for number in range(1, args.boots + 1):
            ran.append(ways.run_seed(bench, job, args.seed, bench.place(str(number))))
            loss = ran[-1].loss
            weak = weak or loss.missing
            said = loss.lost or loss.missing or f"kept in {loss.rounds:,} rounds"
            came.append(outcome.Replay(f"boot {number}", ran[-1].fingerprint, said))
    finally:
        took = time.monotonic() - began
        result = outcome.repeated(cell, came, bench.folder, weak=weak, seconds=took)
        record.cell_end(result)
    ui.say(f"{abi:<7} {result.reason}  {job}, seed {args.seed}: {came[0].said}")
    if result.verdict is Verdict.PASS:
        token = tokens.of_run(
            bench.race, ran[0].made, ran[0].fingerprint, tree=bench.tree, patched=bench.patched,
            abi=abi,
        )  # fmt: skip
        ui.say(f"        {lab.replay_line(token)}")
    return result
