# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows a torture that ran freely and failed: its token, and the search for a better one."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.engine import executor as where
from pinrace.engine.cell import Bench
from pinrace.engine.pool import Task, tasks
from pinrace.errors import InfrastructureError
from pinrace.guest.machine import Replay, get_machine
from pinrace.host.budget import Budget
from pinrace.races import rebuild
from pinrace.races.replay import outcome as repeats
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made
from pinrace.races.torture import outcome, report
from pinrace.races.torture import search as searches
from pinrace.races.torture import token as tokens
from pinrace.races.torture.run import missed, torture
from pinrace.races.torture.search import Ran
from pinrace.races.trials.jobs import job_name
from pinrace.races.trials.values import TorturePlan, TortureResult
from pinrace.runs import commands, summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, Request, Verdict

MEMORY = 512  # MiB of a guest


@dataclass(frozen=True)
class Ask:
    """What a torture was asked for, which its cells share."""

    asked: Request
    plan: TorturePlan
    record: Run


@dataclass(frozen=True)
class Looked:
    """What a search came to: INCONCLUSIVE when nothing in it could have failed."""

    verdict: Verdict
    line: str = ""  # the command that has a failure again, "" where it did not come back
    ran: tuple[Ran, ...] = ()


def repeat_line(task: Task, ask: Ask) -> str:
    """Return the command that has the cell of a torture again in the same way."""
    token = tokens.make(
        ask.plan,
        abi=task.cell.abi,
        tree=task.tree.base.spec,
        patched=task.tree.tree_id,
        flavor=task.cell.flavor,
        smp=task.patched.machine.smp,
    )
    return commands.replay(str(token), task.tree, ask.asked)


def replay_line(task: Task, plan: TorturePlan, folder: Path, asked: Request) -> str:
    """Return the command that has the deterministic run again that left this folder."""
    jobs = replays.get_jobs(job_name(plan), plan.seed)
    token = replays.make_token(
        Made(task.patched.kernel, task.patched.image, task.patched.machine, jobs),
        replays.fingerprint(folder),
        tree=task.tree.base.spec,
        patched=task.tree.tree_id,
        abi=task.cell.abi,
    )
    return commands.replay(str(token), task.tree, asked)


def on_replay(task: Task, replay: Replay) -> Task:
    """Return the task on a machine that repeats itself."""
    machine = replays.get_replay_machine(task.cell.arch, replay, task.patched.machine.smp)
    return replace(task, patched=replace(task.patched, machine=machine))


def follow_up(task: Task, found: TortureResult, ask: Ask, seconds: float) -> TortureResult:
    """Look for a deterministic run that fails too; say its token, or how often this one fails.

    seconds: of the host, for the search, and as many for the other.  Returns the result with that
    among its notes.
    """
    ui.say(f"search  {task.cell.name}: deterministic runs for {seconds:.0f} s")
    line = look(task, found, ask, seconds=seconds).line
    if line:
        note = f"{commands.REPLAY}{line}"
    else:
        plan = searches.shorter(ask.plan, found)
        folder = ask.record.cell_folder(task.cell)
        again = searches.again(
            task.cell, task.patched, plan, folder, times=searches.TIMES, seconds=seconds
        )
        note = f"freely: {report.repeated(again)}, in runs of at most {plan.seconds:.0f} s"
        ui.say(f"        {note}")
    return replace(found, notes=(*found.notes, note))


def look(
    task: Task,
    found: TortureResult | None,
    ask: Ask,
    *,
    seconds: float = searches.MOST,
    runs: int | None = None,
    width: int = 0,
) -> Looked:
    """Look for a deterministic run that fails, and say how to run it again."""
    began = time.monotonic()
    done = searches.search(
        task.cell,
        lambda replay: on_replay(task, replay).patched,
        ask.plan,
        found,
        ask.record.cell_folder(task.cell),
        width=width or Budget.of_host().guests_at_once(1, MEMORY),
        seconds=seconds,
        runs=runs,
    )
    took = time.monotonic() - began
    hit = next((one for one in done if one.failed), None)
    if not hit:
        ui.say(
            f"        none of {len(done)} failed in {took:.0f} s, with {searches.exposed(done):,}"
            " exposed trials"
        )
        return Looked(searches.verdict(done), ran=tuple(done))
    ui.say(f"        one of {len(done)} failed after {took:.0f} s: {hit.result.reason}")
    there = on_replay(task, hit.attempt.replay)
    line = replay_line(there, hit.attempt.plan, hit.result.folder, ask.asked)
    same = _comes_back(task.cell, there.patched, hit)
    ask.record.event("search", cell=task.cell.name, runs=len(done), again=line, same=same)
    ui.say(f"        {'comes back' if same else 'does NOT come back'}: {line}")
    return Looked(Verdict.FAIL, line if same else "", tuple(done))


def _comes_back(cell: Cell, bench: Bench, hit: Ran) -> bool:
    """Whether one more run leaves the same fingerprint."""
    folder = hit.result.folder.with_name(f"{hit.result.folder.name}-again")
    where.call(torture, cell, bench, hit.attempt.plan, folder)
    return replays.fingerprint(folder) == replays.fingerprint(hit.result.folder)


def repro(args: argparse.Namespace) -> int:
    """Have the torture of a token again, freely; `pinrace repro` calls this.

    Exit 4 when it does not fail any more.
    """
    token = tokens.parse(args.token)
    abi, plan = get_abi(token.abi), token.plan
    lab = rebuild.rebuild(token, args)
    machine = get_machine(get_arch(abi.arch), smp=token.smp)
    cell = Cell(abi.arch, abi.name, token.flavor, repeats.SUITE)
    (task,) = tasks(lab, [replace(cell, suite=report.SUITE)], {abi.arch: machine})
    facts = tree_facts(lab.patched.tree)
    with Run.create(["pinrace", *args.words], tree=facts, seed=plan.seed) as record:
        place = record.cell_start(cell)
        results: list[TortureResult] = []
        try:
            for number in range(1, args.times + 1):
                results.append(_once(task, plan, place / str(number)))
                ui.say("\n".join(report.lines(results[-1])))
        finally:
            result = outcome.replayed(cell, results, place)
            record.cell_end(result)
        ui.say(f"{result.reason} · consoles  {place}")
        return record.end(summary.exit_code([result]))


def _once(task: Task, plan: TorturePlan, folder: Path) -> TortureResult:
    """Torture once; one that cannot be run is a MISS."""
    try:
        return where.call(torture, task.cell, task.patched, plan, folder)
    except InfrastructureError as error:
        return missed(error, folder)
