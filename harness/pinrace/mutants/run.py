# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests on the unmutated series, on others, and on each mutant, until one sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event

from pinrace import ui
from pinrace.contract import cost
from pinrace.engine import build, kept
from pinrace.engine import executor as where
from pinrace.engine.build import Built
from pinrace.engine.cell import Bench, run_cell
from pinrace.errors import BuildError, InfrastructureError
from pinrace.guest.machine import Machine, richest
from pinrace.mutants import finding, kernels, racing, tries
from pinrace.mutants.file import Mutant
from pinrace.mutants.finding import PRICE, Finding, Kind, Reference, Sign
from pinrace.mutants.tries import Breach, Try
from pinrace.series.files import touched
from pinrace.series.manifest import feature_of
from pinrace.suites.registry import get_suite
from pinrace.values import Cell, Kernel, Request, Series, Tree

# A selftest that takes longer on a mutant than this many times what it took on the series, and
# than this many host seconds, hangs: a case ends by itself after 30 seconds of its guest's.
SLOWER = 8.0
PATIENCE = 120.0


@dataclass(frozen=True)
class Column:
    """Where mutants are run."""

    arch: str
    abi: str
    flavor: str

    @property
    def name(self) -> str:
        """Heads the column."""
        return self.abi if self.flavor == "plain" else f"{self.abi} {self.flavor}"


@dataclass(frozen=True)
class Spot:
    """One kernel in one column; consoles go below `place`."""

    bench: Bench
    column: Column
    place: Path

    def cell(self, suite: str) -> Cell:
        """Return what runs there, for those who run cells."""
        return Cell(self.column.arch, self.column.abi, self.column.flavor, suite)


@dataclass(frozen=True)
class Work:
    """What was asked for; seconds are a guest's."""

    asked: Request
    tree: Tree
    series: Series
    suite: str  # the selftest, whose cases speak of the statements
    columns: tuple[Column, ...]
    runs: int  # of the whole selftest; 0: no selftest at all
    torture: float  # 0: not at all
    resume: bool
    guests: int


@dataclass(frozen=True)
class SeriesRow:
    """What the tests say of a series that is no mutant, by column."""

    name: str
    tries: dict[Column, tuple[Try, ...]]

    @property
    def alarms(self) -> list[Sign]:
        """All that speaks against it, on any ABI."""
        return [sign for done in self.tries.values() for sign in finding.alarms(done)]


@dataclass(frozen=True)
class MutantRow:
    """What each test says of a mutant, by column; `failed`: why there is no kernel of it."""

    mutant: Mutant
    findings: dict[Column, dict[str, Finding]]
    failed: str = ""

    def kind(self, column: Column) -> Kind:
        """What all tests come to on one ABI."""
        return finding.overall(self.findings.get(column, {}).values())


@dataclass(frozen=True)
class Runner:
    """Runs tests on kernels; consoles stay in `folder`, results in the cache."""

    work: Work
    built: Built  # of the series
    machines: dict[str, Machine]
    folder: Path
    stop: Event = field(default_factory=Event)

    def series(self, name: str, built: Built) -> SeriesRow:
        """Run every test on a series, where it is built, as often as on an unseen mutant."""
        all_tries = {}
        for column in self.work.columns:
            kernel = self._own(built, column)
            if kernel is None:
                continue
            spot = self._spot(kernel, column, built, name)
            steps = [*self._selftests(spot), *self._races(spot)]
            all_tries[column] = tuple(step() for step in steps)
            ui.say(f"  {name} on {column.name}: {_said(all_tries[column])}")
        return SeriesRow(name, all_tries)

    def mutant(self, mutant: Mutant, clean: SeriesRow) -> MutantRow:
        """Build a mutant for each arch and run its tests until one sees what it breaks."""
        findings: dict[Column, dict[str, Finding]] = {}
        failed = ""
        columns = columns_of(mutant, self.work.columns)
        for arch, flavor in dict.fromkeys((c.arch, c.flavor) for c in columns):
            mine = [c for c in columns if (c.arch, c.flavor) == (arch, flavor)]
            try:
                kernel = self._kernel(mutant, arch, flavor)
            except BuildError as error:
                failed = str(error)
                ui.say(f"  {mutant.name} on {arch}: {error}")
                findings |= {c: {"build": Finding(Kind.LOST, error.what)} for c in mine}
                continue

            def one(column: Column, kernel: Kernel = kernel) -> dict[str, Finding]:
                reference = Reference.of(clean.tries[column])
                return self._judged(mutant, kernel, column, reference)

            with where.threads(self.work.guests) as pool:
                try:
                    findings |= dict(zip(mine, pool.map(one, mine), strict=True))
                except BaseException:
                    self.stop.set()
                    raise
        return MutantRow(mutant, findings, failed)

    def _kernel(self, mutant: Mutant, arch: str, flavor: str) -> Kernel:
        work = self.work
        column = next(c for c in work.columns if (c.arch, c.flavor) == (arch, flavor))
        clean = self._clean(column)
        soft = get_suite(work.suite).soft(self.built.tree)
        return kernels.build(
            work.asked, work.tree, work.series, mutant, clean, say=ui.say, soft=soft
        )

    def _own(self, built: Built, column: Column) -> Kernel | None:
        """Return the kernel that the selftest wants of what was built; None where there is none."""
        try:
            return built.kernel(Cell(column.arch, column.abi, column.flavor, self.work.suite))
        except KeyError:
            return None

    def _clean(self, column: Column) -> Kernel:
        """Return the kernel of the series itself."""
        kernel = self._own(self.built, column)
        assert kernel is not None  # noqa: S101 (the series was built for each column)
        return kernel

    def _spot(self, kernel: Kernel, column: Column, built: Built, name: str) -> Spot:
        machine = self.machines[column.arch]
        image, changed = built.images[column.abi], touched(built.tree.series)
        cell = Cell(column.arch, column.abi, column.flavor, self.work.suite)
        promised, brought = feature_of(built.tree.series), built.brought_by(cell)
        bench = Bench(kernel, image, machine, promised, changed, brought)
        return Spot(bench, column, self.folder / name / column.name.replace(" ", "-"))

    def _judged(
        self, mutant: Mutant, kernel: Kernel, column: Column, reference: Reference
    ) -> dict[str, Finding]:
        """Run the tests of a mutant on one ABI, each until it sees the mutant."""
        spot = self._spot(kernel, column, self.built, mutant.name)
        within = max(PATIENCE, SLOWER * reference.seconds)
        tests: dict[str, Iterable[Callable[[], Try]]] = {
            "selftest": self._selftests(spot, _cases(mutant, reference), within),
            "torture": self._races(spot, first=True),
            "price": self._prices(mutant, spot),
        }
        found = {}
        for test, steps in tests.items():
            done = _until_seen(mutant, steps, reference)
            if not done:
                continue
            found[test] = finding.find(mutant, done, reference)
            if test == "selftest" and found[test].kind is Kind.KILLED:
                again = self._again(spot, finding.killers(mutant, done[-1], reference), within)
                found[test] = finding.find(mutant, done, reference.without(again))
            ui.say(f"  {mutant.name} on {column.name}: {test} {_brief(found[test])}")
            if mutant.kind == "promise" and found[test].kind is Kind.KILLED:
                break  # one is enough; how soon torture sees it matters for races
        return found

    def _selftests(
        self, spot: Spot, only: str = "", within: float = math.inf
    ) -> Iterator[Callable[[], Try]]:
        """Yield the runs of the selftest: these cases first, and then all, as often as asked."""
        whole = [""] * self.work.runs
        picks = get_suite(self.work.suite).picks  # another program runs all of its cases
        runs = [only, *whole] if only and whole and picks else whole
        for number, cases in enumerate(runs):
            yield partial(self._selftest, spot, cases, number, within)

    def _selftest(self, spot: Spot, only: str, number: int, within: float) -> Try:
        spot = replace(spot, bench=self._on(spot.bench))
        key = kept.key(spot.bench, "selftest", only, str(number))
        return tries.attempt(
            key, lambda: self._run_selftest(spot, only, number, within), resume=self.work.resume
        )

    def _on(self, bench: Bench) -> Bench:
        """Return the bench with the machine that the selftest asks for."""
        rich = get_suite(self.work.suite).rich
        return replace(bench, machine=richest(bench.machine)) if rich else bench

    def _run_selftest(self, spot: Spot, only: str, number: int, within: float) -> Try:
        into = spot.place / f"selftest-{number}"
        into.mkdir(parents=True, exist_ok=True)
        cell = spot.cell(self.work.suite)
        on = replace(spot.bench, machine=replace(spot.bench.machine, turns=True))
        try:
            outcome = where.call(run_cell, cell, on, into, only=only, stop=self.stop, within=within)
        except InfrastructureError as error:
            return Try("selftest", ran=False, why=error.what)
        return tries.of_selftest(outcome, (into / "ktap.txt").read_text())

    def _again(self, spot: Spot, cases: Sequence[str], within: float) -> Try:
        """Run the cases that failed on the series' own kernel, right behind the mutant's.

        A host may have become too slow for them since they passed there.
        """
        column = spot.column
        own = self._clean(column)
        spot = replace(spot, bench=self._on(spot.bench))
        clean = replace(spot, bench=replace(spot.bench, kernel=own), place=spot.place / "again")
        names = sorted({name.rsplit(".", 1)[-1] for name in cases})
        only = "\\|".join(names) if get_suite(self.work.suite).picks else ""
        key = kept.key(spot.bench, "again", own.digest, only)
        return tries.attempt(
            key, lambda: self._run_selftest(clean, only, 0, within), resume=self.work.resume
        )

    def _races(self, spot: Spot, *, first: bool = False) -> Iterator[Callable[[], Try]]:
        """Yield the runs of the torture program: to the first breach, and then in full."""
        if self.work.torture:
            for to_first in (True, False) if first else (False,):
                yield partial(self._race, spot, to_first)

    def _race(self, spot: Spot, to_first: bool) -> Try:
        seconds = self.work.torture
        into = spot.place / ("torture-first" if to_first else "torture")

        def do() -> Try:
            into.mkdir(parents=True, exist_ok=True)
            cell = spot.cell("torture")
            try:
                return racing.torture(
                    cell, spot.bench, into, seconds, first=to_first, stop=self.stop
                )
            except InfrastructureError as error:
                return Try("torture", ran=False, why=error.what)

        key = kept.key(spot.bench, "torture", str(racing.SEED), str(seconds), str(to_first))
        return tries.attempt(key, do, resume=self.work.resume)

    def _prices(self, mutant: Mutant, spot: Spot) -> Iterator[Callable[[], Try]]:
        """Yield the counting of instructions, for a mutant that costs some."""
        if PRICE in mutant.statements and spot.column.flavor == "plain":
            yield partial(self._price, spot)

    def _price(self, spot: Spot) -> Try:
        column = spot.column
        clean = self._clean(column)
        unmutated, mutated = (
            Built(self.built.tree, {(column.arch, column.flavor): kernel}, self.built.images)
            for kernel in (clean, spot.bench.kernel)
        )

        def do() -> Try:
            try:
                base = cost.measure(unmutated, column.abi, spot.place / "price-clean")
                more = cost.measure(mutated, column.abi, spot.place / "price")
            except InfrastructureError as error:
                return Try("price", ran=False, why=error.what)
            return _priced(cost.compare(column.abi, base, more))

        key = kept.key(spot.bench, "price", clean.digest)
        return tries.attempt(key, do, resume=self.work.resume)


def runner(work: Work, machines: dict[str, Machine], folder: Path) -> Runner:
    """Have the kernels and images of the series, which all mutants share."""
    suites = [get_suite(work.suite)]
    lab = build.prepare(work.asked, work.tree, work.series, with_base=False, suites=suites)
    return Runner(work, lab.patched, machines, folder)


def columns_of(mutant: Mutant, columns: Sequence[Column]) -> list[Column]:
    """Return where a mutant is run: in its own flavor; a plain one else in all that there are."""
    flavors = {column.flavor for column in columns}
    if mutant.flavor in flavors:
        flavors = {mutant.flavor}
    elif mutant.flavor != "plain":
        flavors = set()
    return [one for one in columns if one.abi in mutant.abis and one.flavor in flavors]


def _cases(mutant: Mutant, reference: Reference) -> str:
    """Return what picks the cases of a promise's statements; "" where there are none, or a race."""
    if mutant.kind == "race":
        return ""
    spoken = {s for name in reference.passed for s in finding.spoken_of_name(name)}
    return "\\|".join(f"c{int(s[1:]):02}_" for s in mutant.statements if s in spoken)


def _until_seen(
    mutant: Mutant, steps: Iterable[Callable[[], Try]], reference: Reference
) -> list[Try]:
    """Take the steps up to the first that shows the mutant.

    The torture program's second step, in full, is only for what another statement ended.
    """
    done: list[Try] = []
    for step in steps:
        if done and done[-1].test == "torture" and not finding.signs(done[-1], reference):
            break
        done.append(step())
        if finding.find(mutant, done[-1:], reference).kind is Kind.KILLED:
            break
    return done


def _priced(prices: Sequence[cost.Price]) -> Try:
    """Return the prices as a try: each that is too high is a breach."""
    found = tuple(
        Breach(PRICE, f"{one.call} {one.more:+.2%}", 0.0)
        for one in prices
        if one.too_much and one.more is not None
    )
    return Try("price", ran=bool(prices), why="no prices", breaches=found)


def _said(done: Sequence[Try]) -> str:
    """What a person is told of a series' tries."""
    bad = finding.alarms(done)
    lost = [one.why for one in done if not one.ran]
    if lost:
        return f"could not be run: {lost[0]}"
    named = ", ".join(f"{sign.statement} {sign.by}" for sign in bad[:4])
    return named if bad else f"clean in {len(done)} runs"


def _brief(found: Finding) -> str:
    by = f": {found.by}" if found.by else ""
    return f"{found.kind.value}{by} ({found.tries} runs, {found.seconds:.0f} s)"
