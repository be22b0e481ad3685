# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a matrix leg by leg: on past failures, and from where it was when it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pinrace import store, ui
from pinrace.arches import get_abi
from pinrace.deadline import Deadline
from pinrace.engine import batch, build
from pinrace.errors import ApplyError, BuildError, UserError, said
from pinrace.kbuild import sources
from pinrace.matrix import journal
from pinrace.matrix.file import Leg, MatrixFile, legs
from pinrace.matrix.journal import LegResult
from pinrace.paths import CONFIGS, runs_dir
from pinrace.series import fit
from pinrace.series.fit import NotApplicableError
from pinrace.series.load import load
from pinrace.trees.fetch import resolve
from pinrace.values import Cell, Request, Series, Tree, Verdict, gravest


@dataclass(frozen=True)
class _Ended:
    """What a leg came to."""

    verdict: Verdict
    reason: str
    stage: str = "run"
    run: str = ""
    cells: tuple[journal.CellLine, ...] = ()


def folder_of(matrix: MatrixFile) -> Path:
    """Return where a matrix keeps its journal."""
    return runs_dir() / f"matrix-{matrix.name}"


def tells(result: LegResult) -> bool:
    """Whether a result is one, so that its leg need not be run again."""
    return result.verdict is not Verdict.MISS


def run(
    matrix: MatrixFile,
    argv: Sequence[str],
    *,
    fresh: bool = False,
    insecure: bool = False,
    keep: Callable[[LegResult], bool] = tells,
) -> list[LegResult]:
    """Run what has no result to keep yet and return the results of all legs, in order.

    A leg that fails to build, or that cannot be run, has a result too, and the others go on.
    Results are kept by what they are of: another series, tree or configuration is another leg.
    Raises UserError for a matrix or a series that is none.
    """
    todo = legs(matrix)
    series = {name: _load(name) for name in dict.fromkeys(leg.series for leg in todo)}
    folder = folder_of(matrix)
    folder.mkdir(parents=True, exist_ok=True)
    if fresh:
        (folder / journal.FILE).unlink(missing_ok=True)
    known = {key: old for key, old in journal.read(folder).items() if keep(old)}
    limit = matrix.budget_minutes
    until = Deadline() if limit is None else Deadline.after(limit * 60)
    results = []
    for number, leg in enumerate(todo, 1):
        if leg.excluded:
            results.append(_left_out(leg, Verdict.SKIP, f"left out: {leg.excluded}"))
            continue
        if limit is not None and until.expired:
            why = f"not begun: the {limit:g} minutes given were over"
            results.append(_left_out(leg, Verdict.MISS, why))
            continue
        ui.say(f"leg {number} of {len(todo)}  {leg.name}")
        results.append(
            _leg(leg, series[leg.series], folder, known, argv, until=until, insecure=insecure)
        )
    return results


def _load(name: str) -> Series | Exception | None:
    """Return a series, or what is wrong with it that is no fault of the user's."""
    try:
        return load(name, say=ui.say)
    except UserError:
        raise
    except Exception as error:
        return error


def _left_out(leg: Leg, verdict: Verdict, reason: str) -> LegResult:
    return LegResult("", leg, verdict, reason, "", _now(), 0.0)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _leg(
    leg: Leg,
    series: Series | Exception | None,
    folder: Path,
    known: dict[str, LegResult],
    argv: Sequence[str],
    *,
    until: Deadline,
    insecure: bool,
) -> LegResult:
    """Run one leg, unless its result is there."""
    began = time.monotonic()
    label, key = "", ""
    try:
        if isinstance(series, Exception):
            raise series
        tree = resolve(leg.tree, say=ui.say, insecure=insecure)
        label = tree.label
        key = _key(leg, tree, series)
        if key in known:
            ui.say(f"  {known[key].verdict}, as on {known[key].ended}")
            return known[key]
        ended = _run_leg(leg, tree, series, argv, key=key, until=until)
    except ApplyError as error:
        ended = _Ended(Verdict.FAIL, str(error), "apply")
    except BuildError as error:
        ended = _Ended(Verdict.FAIL, str(error), "build")
    except NotApplicableError as error:
        lacks = f"not applicable: the tree lacks {', '.join(error.lacks)}"
        ended = _Ended(Verdict.SKIP, lacks, "apply")
    except Exception as error:
        ended = _Ended(Verdict.MISS, said(error))
    seconds = time.monotonic() - began
    result = LegResult(
        key=key,
        leg=leg,
        verdict=ended.verdict,
        reason=ended.reason,
        tree=label,
        ended=_now(),
        seconds=seconds,
        stage=ended.stage,
        run=ended.run,
        cells=ended.cells,
    )
    ui.say(f"  {result.verdict}  {leg.name}  {result.reason.splitlines()[0]}")
    if key:
        journal.append(folder, result)
    return result


def _key(leg: Leg, tree: Tree, series: Series | None) -> str:
    """The same for what must give the same: guest programs and configurations count too."""
    configs = sorted(path for path in CONFIGS.rglob("*.config") if path.is_file())
    ours = store.digest(sources.digest(), *(path.read_bytes() for path in configs))
    digest = series.digest if series else "none"
    return store.digest("leg-1", repr(sorted(leg.facts.items())), tree.tree_id, digest, ours)


def _run_leg(
    leg: Leg, tree: Tree, series: Series | None, argv: Sequence[str], *, key: str, until: Deadline
) -> _Ended:
    """Build, and run the cells if there are any; raises what stops it."""
    asked = Request((leg.arch,), leg.abis, (leg.flavor,), None, leg.config)
    if series:
        fit.check(tree, series)
    if not leg.suites:
        return _build_only(asked, tree, series, with_base=leg.baseline)
    cells = tuple(
        Cell(get_abi(abi).arch, abi, leg.flavor, suite, repeat)
        for abi in leg.abis
        for suite in leg.suites
        for repeat in range(1, leg.repeat + 1)
    )
    todo = batch.Batch(asked, tree, series, cells, with_base=leg.baseline, leg=key, until=until)
    record, results = batch.run(todo, argv)
    verdict = gravest([result.verdict for result in results])
    deciding = [result for result in results if result.verdict is verdict]
    reason = f"{deciding[0].cell.name}: {deciding[0].reason}"
    if verdict is Verdict.PASS:
        reason = f"{len(deciding)} of {len(results)} cells passed"
    lines = tuple(journal.cell_line(result) for result in results)
    return _Ended(verdict, reason, run=record.id, cells=lines)


def _build_only(asked: Request, tree: Tree, series: Series | None, *, with_base: bool) -> _Ended:
    """Build; warnings count: those that the series adds, or all where nothing is compared."""
    if series is None:
        raise UserError("a leg without suites is about a series' build", hint="give it suites")
    lab = build.prepare(asked, tree, series, with_base=with_base, images=False)
    warned = build.new_warnings(lab.patched, lab.base)
    kind = "new warnings" if lab.base else "warnings"
    if warned:
        what = f"builds with {len(warned)} {kind}: {warned[0]}"
        return _Ended(Verdict.FAIL, what, "build")
    return _Ended(Verdict.PASS, f"builds without {kind}")
