# SPDX-License-Identifier: GPL-2.0-or-later
"""Measure: attempts one after the other, interleaved, each kept as soon as it is over."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from multiprocessing import active_children, get_context
from pathlib import Path

from pinrace import store, ui
from pinrace.arches import get_abi, get_arch
from pinrace.errors import InfrastructureError, UserError
from pinrace.host.meter import Meter
from pinrace.host.qemu import get_qemu
from pinrace.races.benchmark import arms, holding, journal
from pinrace.races.benchmark.arms import Bench, Found
from pinrace.races.benchmark.trial import Repeat, Result, Trial
from pinrace.races.benchmark.windows import SERIES, Window
from pinrace.races.preempt import spec
from pinrace.races.preempt import token as hold_tokens
from pinrace.races.preempt.session import get_lab
from pinrace.races.replay import run as replays
from pinrace.values import Image, Kernel, Tree

_LAYOUT = "1"  # of what a result is made of
JOURNAL = "trials.jsonl"
# Arms whose CPUs are to race each other, each on a host thread of its own.
ALONE = ("free", "native")

HOW: dict[str, Callable[[Bench, Meter], Found]] = {
    "free": arms.free,
    "native": arms.native,
    "icount": arms.icount,
    "seeds": arms.seeds,
    "holds-blind": holding.blind,
    "gates": arms.gates,
    "holds": holding.given,
}


@dataclass(frozen=True)
class Lab:
    """All that attempts run on: kernels by (series or mutant, arch), images by ABI."""

    tree: Tree
    kernels: dict[tuple[str, str], Kernel]
    images: dict[str, Image]
    folder: Path

    def made(self, kernel: str, abi: str, arch: str) -> str:
        """Return the digest of what an attempt runs on."""
        what = (self.kernels[kernel, arch].digest, self.images[abi].digest)
        return store.digest(_LAYOUT, *what, get_qemu(get_arch(arch)).build)[:16]


def native_abi(arch: str) -> str:
    """Return the ABI that attempts run as."""
    return get_arch(arch).abis[0].name


def possible(window: Window, arm: str, arch: str) -> bool:
    """Whether an arm can be tried in a window on this host."""
    if arm in window.without:
        return False
    return arm != "native" or arms.free_machine(arch, "kvm") is not None


def order(
    windows: Sequence[Window], names: Sequence[str], arches: Sequence[str], seeds: int, alarms: int
) -> Iterator[Trial]:
    """Yield what to attempt: all arms and windows with one seed, before any has the next seed.

    So that one that was cut short is as good for all of them, and what the host does besides hits
    all alike.  The first `alarms` seeds are tried on the unmutated series, too.
    """
    for seed in range(1, seeds + 1):
        for window in windows:
            for arch in arches:
                for arm in names:
                    if possible(window, arm, arch):
                        yield Trial(window.name, arm, arch, seed)
                        if window.planted and seed <= alarms:
                            yield Trial(window.name, arm, arch, seed, alarm=True)


def attempt(lab: Lab, window: Window, trial: Trial, budget: float) -> Result:
    """Make one attempt.  What could not be run says so, and is to be tried again."""
    abi = native_abi(trial.arch)
    name = SERIES if trial.alarm else window.kernel
    folder = lab.folder / "last" / trial.name
    shutil.rmtree(folder, ignore_errors=True)
    if trial.alarm and window.clean:
        window = window.model_copy(update={"function": window.clean})
    bench = Bench(window, lab.kernels[name, trial.arch], lab.images[abi], trial.seed, folder)
    meter = Meter(budget)
    try:
        found = HOW[trial.arm](bench, meter)
    except (InfrastructureError, UserError) as error:  # the kernel lacks a window's function
        found = Found(lost=str(error))
    return Result(
        trial=trial,
        made=lab.made(name, abi, trial.arch),
        hit=found.hit,
        cpu_seconds=round(meter.spent, 3),
        boots=found.boots,
        tries=found.tries,
        budget=budget,
        how=found.how,
        token=token_of(lab, bench, found),
        lost=found.lost,
    )


def token_of(lab: Lab, bench: Bench, found: Found) -> str:
    """Return the token that replays the hit, "" for one that does not replay for certain."""
    if not found.hit:
        return ""
    facts = {"tree": lab.tree.spec, "patched": bench.kernel.tree_id}
    if found.made and found.fingerprint:
        made = found.made
        token = replays.make_token(made, found.fingerprint, **facts, abi=bench.image.abi)
        return str(token)
    if not found.hold:
        return ""
    held = get_lab(bench.kernel, bench.image)
    hold, scenario = spec.parse(found.hold), bench.window.scenario
    return str(hold_tokens.make(held, **facts, scenario=scenario, hold=hold, verdict=found.verdict))


def measure(
    lab: Lab, windows: Sequence[Window], trials: Sequence[Trial], budget: float, at_once: int = 1
) -> int:
    """Make all attempts that the journal does not have; return how many could not be run.

    at_once: so many of those whose CPUs take turns, each in a process of its own, which is what a
    Meter counts; the others, whose CPUs race each other, are alone.  All attempts with one seed
    come before any with the next.
    """
    path = lab.folder / JOURNAL
    by_name = {window.name: window for window in windows}
    done = {one.trial for one in results(lab, windows, budget)}
    wanted = [trial for trial in trials if trial not in done]
    lost = 0
    with closing(_attempts(lab, by_name, wanted, budget, at_once)) as found:
        for number, result in enumerate(found, 1):
            journal.append(path, result)
            lost += bool(result.lost)
            ui.say(f"{number}/{len(wanted)}  {line(result)}")
    return lost


def _attempts(
    lab: Lab, windows: Mapping[str, Window], trials: Sequence[Trial], budget: float, at_once: int
) -> Generator[Result]:
    """Yield the results as they come."""
    pool = helpers(at_once) if at_once > 1 else None
    try:
        for _, same in groupby(trials, key=lambda trial: trial.seed):
            mine = [(lab, windows[trial.window], trial, budget) for trial in same]
            if pool:
                turns = [one for one in mine if one[2].arm not in ALONE]
                for done in as_completed([pool.submit(attempt, *one) for one in turns]):
                    yield replace(done.result(), at_once=at_once)
                mine = [one for one in mine if one[2].arm in ALONE]
            for one in mine:
                yield attempt(*one)
    except BrokenProcessPool as exc:
        raise InfrastructureError(
            "a process that made attempts was killed; what was finished is kept",
            hint="was memory short? run the same command again: it goes on where it was",
        ) from exc
    finally:
        if pool:
            # A QEMU dies with the one that started it.
            for child in active_children():
                child.terminate()
            pool.shutdown(cancel_futures=True)


def helpers(count: int) -> ProcessPoolExecutor:
    """Return processes for attempts, which do not outlive this one."""
    context = get_context("spawn")
    return ProcessPoolExecutor(count, context, initializer=_follow, initargs=(os.getpid(),))


def _follow(parent: int) -> None:
    """End this process soon after its parent has ended, however that came."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=look, name="follow", daemon=True).start()


def line(result: Result) -> str:
    """Return a result in a line, for people."""
    trial = result.trial
    came = "LOST" if result.lost else "hit" if result.hit else "no hit"
    where = " on the series" if trial.alarm else ""
    said = result.lost.splitlines()[0] if result.lost else result.how
    return (
        f"{trial.window:<16} {trial.arm:<11} {trial.arch:<6} seed {trial.seed}{where}: {came},"
        f" {result.cpu_seconds:.1f} CPU s, {result.boots} boots, {result.tries} tries  {said}"
    )


def within(one: Result, budget: float) -> Result:
    """Return what an attempt with more time had come to in this much: a hit after it is none."""
    if one.hit and one.cpu_seconds > budget and not one.trial.alarm:
        return replace(one, hit=False, how="", token="", budget=budget)
    return replace(one, budget=budget)


def results(lab: Lab, windows: Sequence[Window], budget: float) -> list[Result]:
    """Return what the journal has of the present kernels, the latest of each attempt."""
    by_name = {window.name: window for window in windows}
    found: dict[Trial, Result] = {}
    for one in journal.read(lab.folder / JOURNAL):
        if not isinstance(one, Result) or one.lost or one.budget < budget:
            continue
        trial = one.trial
        window = by_name.get(trial.window)
        if window is None:
            continue
        name = SERIES if trial.alarm else window.kernel
        if (name, trial.arch) not in lab.kernels:
            continue
        if one.made == lab.made(name, native_abi(trial.arch), trial.arch):
            found[trial] = within(one, budget)
    return list(found.values())


def repeats(lab: Lab) -> list[Repeat]:
    """Return what the journal has of replays on the present kernels."""
    known = {
        lab.made(name, abi, arch)
        for name, arch in lab.kernels
        for abi in lab.images
        if get_abi(abi).arch == arch
    }
    lines = journal.read(lab.folder / JOURNAL)
    return [one for one in lines if isinstance(one, Repeat) and one.made in known]
