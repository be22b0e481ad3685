# SPDX-License-Identifier: GPL-2.0-or-later
"""Prove a race on one ABI: lost without the fix, made small, replayed; and kept with the fix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pinrace.arches import get_arch
from pinrace.errors import InfrastructureError
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt.hunt import CRASHED
from pinrace.races.preempt.session import Lab
from pinrace.races.preempt.spec import Hold
from pinrace.races.race import loss, smaller, tokens, ways
from pinrace.races.race.lab import RaceLab
from pinrace.races.race.ways import Bench, Seed, Tried
from pinrace.races.replay import run as replays
from pinrace.races.trials.judge import bound
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

GATES = 20  # rounds behind a gate on the fixed kernel
FREE, GATE, SEEDS, HOLDS = "free", "gate", "seeds", "holds"
WAYS = (FREE, GATE, SEEDS, HOLDS)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """How far each way goes on one ABI."""

    free: float = 20.0  # guest seconds
    seeds: int = 20
    holds: float = 900.0  # host seconds a window
    replays: int = 5
    pairs: bool = False
    ways: tuple[str, ...] = WAYS


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    kernel: str  # broken, fixed or control
    way: str
    text: str
    ok: bool | None  # None: it proves nothing, and nothing against
    cpu: float = 0.0
    token: str = ""
    more: tuple[str, ...] = ()
    miss: bool = False  # it could not be run
    lost: bool = False
    tries: int = 0
    again: tuple[int, int] | None = None  # of so many replays, how many were the same


@dataclass
class Proof:
    """What one ABI came to; grows while it goes on."""

    abi: str
    rows: list[Row] = field(default_factory=list)
    seed: Seed | None = None  # that is lost without the fix
    held: Tried | None = None
    small: Seed | None = None
    interval: smaller.Interval | None = None

    @property
    def tokens(self) -> tuple[str, ...]:
        """Those that came back each time."""
        return tuple(row.token for row in self.rows if row.token and row.ok)


class Prover:
    """Goes through all that is to be shown on one ABI."""

    def __init__(self, lab: RaceLab, abi: str, budget: Budget, folder: Path, say: Say) -> None:
        self._lab, self._abi, self._budget, self._say = lab, abi, budget, say
        self.broken = lab.bench(abi, folder / "broken")
        self.fixed = lab.bench(abi, folder / "fixed", fixed=True) if lab.fixed else None
        self.proof = Proof(abi)

    def run(self) -> Proof:
        """Do all of it."""
        self._broken()
        if self.fixed:
            self._fixed(self.fixed)
        self._control()
        return self.proof

    def _add(self, row: Row) -> None:
        self.proof.rows.append(row)
        mark = {True: "ok", False: "NOT", None: "-"}[row.ok]
        spent = f"{row.cpu:.1f} CPU s" if row.cpu else ""
        self._say(
            f"{row.kernel:<8} {self._abi:<7} {row.way:<9} {mark:<4} {row.text}  {spent}".rstrip()
        )
        for line in row.more:
            self._say(f"           {line}")

    def _attempt(self, kernel: str, way: str, try_it: Callable[[], Tried]) -> Tried | None:
        """Try a way; a way that cannot be gone is a row of its own."""
        try:
            return try_it()
        except InfrastructureError as exc:
            why = str(exc).splitlines()[0]
            self._add(Row(kernel, way, f"could not be run: {why}", False, miss=True))
            return None

    # ---- without the fix ----

    def _broken(self) -> None:
        bench, budget, race = self.broken, self._budget, self._lab.race
        if FREE in budget.ways:
            self._lost(FREE, lambda: ways.free(bench, "spin", budget.free))
        if GATE in budget.ways and race.gate:
            self._lost(GATE, lambda: ways.free(bench, "gate", budget.free))
        if SEEDS in budget.ways:
            self._seeds()
        if HOLDS in budget.ways and race.by_rounds and race.windows(self._abi):
            self._holds()

    def _lost(self, way: str, try_it: Callable[[], Tried]) -> None:
        tried = self._attempt("broken", way, try_it)
        if tried is not None:
            ok = bool(tried.lost) or None
            lost, tries = bool(tried.lost), tried.tries
            row = Row("broken", way, _went(tried), ok, tried.cpu, lost=lost, tries=tries)
            self._add(row)

    def _seeds(self) -> None:
        bench = self.broken
        tried = self._attempt("broken", SEEDS, lambda: ways.seeds(bench, self._budget.seeds))
        if tried is None:
            return
        if tried.seed is None:
            row = Row("broken", SEEDS, _went(tried), None, tried.cpu, tries=tried.tries)
            self._add(row)
            return
        self.proof.seed = tried.seed
        small, runs = smaller.fewest_rounds(bench, tried.seed)
        self.proof.small = small
        token = tokens.of_run(
            bench.race, small.made, small.fingerprint, tree=bench.tree, patched=bench.patched,
            abi=self._abi,
        )  # fmt: skip
        times = self._budget.replays
        again = [
            replays.run_once(small.made, bench.place(f"replay-{n}")).fingerprint
            for n in range(1, times + 1)
        ]
        same = again.count(small.fingerprint)
        text = f"{_went(tried)}; smallest: {_rounds(small)} of {runs} tried; {same}/{times} replays"
        more = (self._lab.replay_line(token),)
        row = Row(
            "broken", SEEDS, text, same == times, tried.cpu, str(token), more, lost=True,
            tries=tried.tries, again=(same, times),
        )  # fmt: skip
        self._add(row)

    def _holds(self) -> None:
        bench = self.broken
        lab = ways.lab_of(bench)
        tried = self._attempt("broken", HOLDS, lambda: ways.holds(bench, lab, self._budget.holds))
        if tried is None:
            return
        if tried.found is None:
            row = Row("broken", HOLDS, _went(tried), None, tried.cpu, tries=tried.tries)
            self._add(row)
            return
        self.proof.held = tried
        found = tried.found
        arch = get_arch(bench.abi.arch)
        self.proof.interval = span = smaller.interval(bench, lab, tried, arch)
        times = self._budget.replays
        verdicts = hunts.replay(
            lab, bench.race.name, found.hold, bench.place("hold-replay"), times=times
        )
        same = verdicts.count(found.verdict)
        token = tokens.of_hold(
            bench.race, lab, found.hold, found.verdict, tree=bench.tree, patched=bench.patched
        )
        text = f"{_went(tried)} under {found.hold}; {same}/{times} replays"
        more = [self._lab.replay_line(token)]
        if span:
            more += [f"loses at {tried.found.hold.swept.side}.{span}"]
            more += [f"  from  {span.first_line}"] if span.first_line else []
            more += [f"  to    {span.last_line}"] if span.last_line else []
        row = Row(
            "broken", HOLDS, text, same == times, tried.cpu, str(token), tuple(more), lost=True,
            tries=tried.tries, again=(same, times),
        )  # fmt: skip
        self._add(row)

    # ---- with it ----

    def _fixed(self, bench: Bench) -> None:
        budget, race = self._budget, self._lab.race
        if HOLDS in budget.ways and race.by_rounds and race.windows(self._abi):
            self._kept_holds(bench)
        if SEEDS in budget.ways and self.proof.seed:
            self._kept_seed(bench, self.proof.seed, self.proof.small)
        if GATE in budget.ways and race.gate:
            self._kept(GATE, lambda: _gates(bench))
        if FREE in budget.ways:
            self._kept(FREE, lambda: ways.free(bench, "spin", budget.free))

    def _kept(self, way: str, try_it: Callable[[], Tried]) -> None:
        tried = self._attempt("fixed", way, try_it)
        if tried is None:
            return
        ok = not tried.lost and not tried.missing and tried.tries > 0
        text = _went(tried)
        if ok and tried.unit == "rounds":
            text += f": a loss is below {bound(tried.tries):.2g} a round (95 %)"
        lost, miss = bool(tried.lost), bool(tried.missing)
        tries = tried.tries
        self._add(Row("fixed", way, text, ok, tried.cpu, miss=miss, lost=lost, tries=tries))

    def _kept_holds(self, bench: Bench) -> None:
        lab = ways.lab_of(bench)
        found = self.proof.held.found if self.proof.held else None
        if found:
            self._kept("same hold", lambda: self._same_hold(bench, lab, found.hold))
        self._kept(
            HOLDS,
            lambda: ways.holds(bench, lab, self._budget.holds, with_pairs=self._budget.pairs),
        )

    def _same_hold(self, bench: Bench, lab: Lab, hold: Hold) -> Tried:
        """Play the schedule that is lost without the fix, at the ends of its interval."""
        counts = [hold.swept.count]
        if self.proof.interval:
            counts += [self.proof.interval.last]
        verdicts = []
        for count in dict.fromkeys(counts):
            played = hunts.play_once(
                lab, bench.race.name, hold.at_count(count), bench.place(f"same-{count}")
            )
            verdicts.append(str(played.verdict) if played else CRASHED)
        bad = next((v for v in verdicts if v.startswith(("violated", CRASHED))), "")
        return Tried("same hold", bad, len(verdicts), "holds")

    def _kept_seed(self, bench: Bench, seed: Seed, small: Seed | None) -> None:
        def both() -> Tried:
            wanted = [seed, *([small] if small and small.job != seed.job else [])]
            came = [
                ways.run_seed(bench, one.job, one.seed, bench.place(f"same-{one.job}"))
                for one in wanted
            ]
            lost = next((one.loss.lost for one in came if one.loss), "")
            missing = next((one.loss.missing for one in came if one.loss.missing), "")
            return Tried("same seed", lost, len(came), "runs", missing=missing)

        self._kept("same seed", both)

    def _control(self) -> None:
        race = self._lab.race
        if not race.control:
            if self.fixed:
                lost = any(row.lost for row in self.proof.rows if row.kernel == "broken")
                text = "the broken kernel, which lost as it must" if lost else "nothing was lost"
                self._add(Row("control", "broken", text, lost))
            return
        bench = self.fixed or self.broken
        tried = self._attempt("control", "own", lambda: ways.control(bench))
        if tried is not None:
            ok = bool(tried.lost)
            text = tried.lost or tried.missing or "check() does not see it: it is deaf"
            self._add(Row("control", "own", text, ok, tried.cpu, miss=bool(tried.missing)))


def _gates(bench: Bench) -> Tried:
    """Let side b run while the kernel waits for side a's argument, a few times."""
    run = ways.run_job(bench, f"gate-{GATES}", 1, bench.place("gate"))
    came = loss.judge(bench.race, run)
    return Tried(GATE, came.lost, came.rounds, cpu=run.cpu_seconds, missing=came.missing)


def _went(tried: Tried) -> str:
    """Say what a way came to."""
    if tried.missing:
        return f"{tried.missing}"
    if not tried.lost:
        given_up = sum(hunt.given_up.total() for hunt in tried.hunts)
        more = f", {given_up} of them given up" if given_up else ""
        return f"kept in {tried.tries:,} {tried.unit}{more}"
    if tried.unit == "rounds" and tried.first >= 0:
        return f"lost in round {tried.first + 1:,}: {tried.lost}"
    return f"lost in {tried.unit.removesuffix('s')} {tried.tries:,}: {tried.lost}"


def _rounds(seed: Seed) -> str:
    if not seed.job.startswith("timer-"):
        return "its whole run"
    rounds = int(seed.job.removeprefix("timer-").partition("+")[0])
    return "one round" if rounds == 1 else f"{rounds} rounds"


def judge(proof: Proof, *, with_fix: bool) -> tuple[Verdict, str]:
    """Return what a proof amounts to, the gravest first."""
    rows = proof.rows
    fixed = [row for row in rows if row.kernel == "fixed"]
    for row in fixed:
        if row.lost:
            return Verdict.FAIL, f"lost with the fix, too ({row.way}): {row.text}"
    broken = [row for row in rows if row.kernel == "broken"]
    lost = [row for row in broken if row.lost]
    control = [row for row in rows if row.kernel == "control"]
    if not lost:
        missed = next((row.text for row in broken if row.miss), "")
        why = missed or "no way lost it without the fix"
        return (Verdict.MISS if missed else Verdict.INCONCLUSIVE), why
    for row in (*broken, *fixed, *control):
        if row.ok is False:
            kind = Verdict.MISS if row.miss else Verdict.INCONCLUSIVE
            return kind, f"{row.kernel}, {row.way}: {row.text}"
    if not proof.tokens:
        return Verdict.INCONCLUSIVE, "lost, but no run of it replays"
    if with_fix and not fixed:
        return Verdict.INCONCLUSIVE, "nothing was tried with the fix"
    named = ", ".join(row.way for row in lost)
    return Verdict.PASS, f"lost without the fix ({named})" + (", kept with it" * with_fix)


def result(cell: Cell, proof: Proof, folder: Path, *, with_fix: bool, seconds: float) -> CellResult:
    """Return a proof as the cell of a run, a case a row."""
    verdict, reason = judge(proof, with_fix=with_fix)
    cases = tuple(_case(row) for row in proof.rows)
    new = tuple(case.name for case in cases if case.status.bad)
    return CellResult(
        cell, verdict, reason, cases, new=new, seconds=seconds, folder=folder,
        notes=tuple(row.more[0] for row in proof.rows if row.token),
    )  # fmt: skip


def _case(row: Row) -> CaseResult:
    status = {True: CaseStatus.PASS, False: CaseStatus.FAIL, None: CaseStatus.SKIP}[row.ok]
    if row.miss:
        status = CaseStatus.ERROR
    spent = f" ({row.cpu:.1f} CPU s)" if row.cpu else ""
    return CaseResult(f"{row.kernel}/{row.way}", status, row.text + spent, row.more)


def table(proofs: Sequence[Proof], *, with_fix: bool) -> str:
    """Return all rows as Markdown."""
    lines = ["| ABI | kernel | way | | CPU s |", "|---|---|---|---|---|"]
    for proof in proofs:
        lines += [
            f"| {proof.abi} | {row.kernel} | {row.way} | {'**not** ' * (row.ok is False)}{row.text}"
            f" | {f'{row.cpu:.1f}' if row.cpu else ''} |"
            for row in proof.rows
        ]
    lines += ["", "| ABI | verdict | why |", "|---|---|---|"]
    for proof in proofs:
        verdict, why = judge(proof, with_fix=with_fix)
        lines.append(f"| {proof.abi} | {verdict} | {why} |")
    return "\n".join(lines) + "\n"
