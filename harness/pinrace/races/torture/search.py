# SPDX-License-Identifier: GPL-2.0-or-later
"""Look for a torture that fails and comes back: deterministic runs over seeds.

After one that ran freely and failed, those come first that do nothing but what failed.  Where none
is found in the time given, the same torture is run again, freely, to say how often it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from threading import Event, Timer

from pinrace.deadline import Deadline
from pinrace.engine import executor as where
from pinrace.engine.cell import Bench
from pinrace.guest.machine import Replay
from pinrace.races.torture.run import torture
from pinrace.races.trials.jobs import MOST_SECONDS
from pinrace.races.trials.values import TorturePlan, TortureResult
from pinrace.values import Cell, Verdict

TRIALS = 600  # of one run; 300 take a guest as long as its boot, or twice that
EACH = 3  # runs of a kind before one that does more is tried
SHIFTS = (1, 0, 2)  # of icount, in turn: other schedules
TIMES = 5  # that a torture is run again freely, at most
MOST = 1e6  # host seconds of a search that is bounded by its runs
SHORTEST = 10.0  # guest seconds of such a run


@dataclass(frozen=True)
class Attempt:
    """One deterministic run."""

    plan: TorturePlan
    replay: Replay


@dataclass(frozen=True)
class Ran:
    """What came of it."""

    attempt: Attempt
    result: TortureResult

    @property
    def failed(self) -> bool:
        """Whether the kernel did wrong."""
        return self.result.verdict is Verdict.FAIL


def attempts(plan: TorturePlan, found: TortureResult | None) -> Iterator[Attempt]:
    """Return what to run, without an end: what failed by itself, then its family, then all."""
    whole = replace(plan, seconds=MOST_SECONDS, trials=TRIALS, stop_at_first=True)
    kinds = [whole]
    if found and found.violations:
        first = found.violations[0]
        family = replace(whole, families=(first.family,))
        kinds = [replace(family, mutators=(first.mutator,)), family, whole]
    for number in count():
        kind = kinds[min(number // EACH, len(kinds) - 1)]
        seed = (plan.seed + number) % 2**63
        yield Attempt(replace(kind, seed=seed), Replay(seed, SHIFTS[number % len(SHIFTS)]))


def search(
    cell: Cell,
    bench: Callable[[Replay], Bench],
    plan: TorturePlan,
    found: TortureResult | None,
    folder: Path,
    *,
    width: int,
    seconds: float = MOST,
    runs: int | None = None,
) -> list[Ran]:
    """Return the deterministic runs up to the first that fails, and those that began with it.

    found: what failed freely, if that is known.  seconds: of the host, for all; what is under way
    when they are over is ended, and not counted.  runs: at most; width: at once.  Raises
    InfrastructureError when a guest cannot be started.
    """
    todo = islice(enumerate(attempts(plan, found), 1), runs)
    done: list[Ran] = []
    with _within(seconds) as stop, where.threads(width) as executor:

        def run(numbered: tuple[int, Attempt]) -> Ran:
            number, attempt = numbered
            on = bench(attempt.replay)
            into = folder / f"search-{number}"
            return Ran(attempt, where.call(torture, cell, on, attempt.plan, into, stop=stop))

        try:
            while not stop.is_set():
                ran = _finished([executor.submit(run, one) for one in islice(todo, width)])
                done += [one for one in ran if one.result.verdict is not Verdict.MISS]
                if not ran or any(one.failed for one in ran):
                    break
        finally:
            stop.set()
    return done


def _finished(futures: Sequence[Future[Ran]]) -> list[Ran]:
    """Wait for all, and return the runs; a guest that could not be started loses no failure."""
    errors = [future.exception() for future in futures]
    ran = [future.result() for future in futures if not future.exception()]
    if not any(one.failed for one in ran):
        for error in filter(None, errors):
            raise error
    return ran


def exposed(done: Sequence[Ran]) -> int:
    """Return in how many trials something could have been seen."""
    return sum(sum(one.result.exposed.values()) for one in done)


def verdict(done: Sequence[Ran]) -> Verdict:
    """Return what a search says: nothing where no trial could have shown anything."""
    if any(one.failed for one in done):
        return Verdict.FAIL
    return Verdict.PASS if exposed(done) else Verdict.INCONCLUSIVE


def again(
    cell: Cell, bench: Bench, plan: TorturePlan, folder: Path, *, times: int, seconds: float
) -> list[TortureResult]:
    """Run a torture freely that many times, or until the host's seconds are over but once."""
    deadline = Deadline.after(seconds)
    results: list[TortureResult] = []
    while len(results) < times and not (results and deadline.expired):
        into = folder / f"again-{len(results) + 1}"
        results.append(where.call(torture, cell, bench, plan, into))
    return results


def shorter(plan: TorturePlan, found: TortureResult) -> TorturePlan:
    """Return the plan of a run that is long enough to see the same once more."""
    first = found.violations[0].second if found.violations else plan.seconds
    return replace(plan, seconds=min(plan.seconds, max(SHORTEST, 2 * first)), stop_at_first=True)


@contextmanager
def _within(seconds: float) -> Iterator[Event]:
    """Give an event that is set when these seconds of the host are over."""
    stop = Event()
    timer = Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield stop
    finally:
        timer.cancel()
