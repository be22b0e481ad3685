# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of mutants is whole, and a kill is one only for what the mutant breaks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pinrace.cli.options import DEFAULT_SERIES
from pinrace.contract import statements
from pinrace.engine.cell import Outcome
from pinrace.errors import UserError
from pinrace.judge.ending import End
from pinrace.judge.verdict import Ending, Evidence
from pinrace.mutants import file, finding, outcome, racing, table, tries
from pinrace.mutants.file import Mutant
from pinrace.mutants.finding import Finding, Kind, Reference, Sign
from pinrace.mutants.run import Column, MutantRow, SeriesRow, _cases, _until_seen, columns_of
from pinrace.mutants.tries import Breach, Report, Try
from pinrace.races.trials.values import TortureResult, Violation
from pinrace.runs import pictures
from pinrace.series.load import load_series, subjects
from pinrace.values import Series, Splat, Verdict

STATEMENTS = DEFAULT_SERIES / "contract.toml"

MUTANTS = file.load()
PATCHES = sorted(MUTANTS[0].folder.glob("*.patch"))
RAN = frozenset({"selftest", "torture"})
CLEAN = Reference(RAN, frozenset({"pin.c04_reply", "pin.c05_changed", "pin.c19_no_pin"}))
C4 = Mutant(file="kept.patch", statements=("C4",), kind="promise", about="kept")
ENTRY = "[[mutant]]\nfile = 'a.patch'\nkind = 'race'\nabout = 'a'\n"
COLUMN = Column("x86_64", "x86_64", "plain")


def selftest(*bad: str, **more: object) -> Try:
    return Try("selftest", ran=True, bad=bad, **more)  # type: ignore[arg-type]


def test_every_patch_is_listed_and_every_listed_one_is_there() -> None:
    assert [path.name for path in PATCHES] == sorted(mutant.file for mutant in MUTANTS)
    assert len(MUTANTS) >= 30
    assert sum(mutant.kind == "race" for mutant in MUTANTS) >= 10


def test_no_statement_is_without_a_mutant() -> None:
    known = [one.id for one in statements.statements(STATEMENTS)]
    broken = {statement for mutant in MUTANTS for statement in mutant.statements}
    assert broken == set(known)
    alone = {mutant.statements[0] for mutant in MUTANTS if mutant.kind == "promise"}
    assert alone == set(known), "each is the first that some promise breaks"


@pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)
def test_a_mutant_is_one_mailed_patch_that_touches_no_test(path: Path) -> None:
    series = load_series(path)
    assert len(subjects(series)) == 1
    assert subjects(series)[0].startswith("[PATCH] mutant: seccomp: ")
    text = path.read_text()
    assert "\nSigned-off-by: " in text
    touched = re.findall(r"^diff --git a/(\S+)", text, re.M)
    assert touched
    assert not [name for name in touched if name.startswith(("tools/", "Documentation/"))]


def test_a_mutant_is_the_last_patch_of_a_series_of_its_own() -> None:
    own = load_series(DEFAULT_SERIES)
    first, second = (file.on_top(own, mutant) for mutant in MUTANTS[:2])
    assert first.patches == (*own.patches, MUTANTS[0].folder / MUTANTS[0].file)
    assert len({own.digest, first.digest, second.digest}) == 3
    assert isinstance(first, Series)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"\n  mutant: Field required"),
        ("[[mutant]]\nfile = 'a.patch'\n", r"0\.statements: Field required"),
        (f"{ENTRY}statements = []\n", r"0\.statements: .* at least 1"),
        (f"{ENTRY}statements = ['C1']\nabis = ['z']\n", r"0\.abis: .*the ABIs are"),
        (f"{ENTRY}statements = ['C1']\nending = ['quiet']\n", r"0\.ending\.0: "),
        (f"{ENTRY}statements = ['C1']\n" * 2, "lists .* twice"),
    ],
)
def test_a_malformed_list_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / file.LIST).write_text(text)
    with pytest.raises(UserError, match=said):
        file.load(tmp_path)


def test_mutants_are_chosen_by_name_statement_and_kind() -> None:
    assert file.select(MUTANTS, []) == MUTANTS
    assert [m.name for m in file.select(MUTANTS, ["fail-open"])] == ["fail-open"]
    assert all("C4" in m.statements for m in file.select(MUTANTS, ["C4"]))
    assert {m.kind for m in file.select(MUTANTS, ["race"])} == {"race"}
    with pytest.raises(UserError, match="no mutant 'x'"):
        file.select(MUTANTS, ["x"])


@pytest.mark.parametrize(
    ("one", "kind", "by"),
    [
        (selftest(), Kind.SURVIVED, ""),
        (selftest("pin.c04_reply"), Kind.KILLED, "C4 pin.c04_reply"),
        (selftest("pin.c05_changed"), Kind.INSTEAD, "C5 pin.c05_changed"),
        (selftest("pin.c05_changed", "pin.c04_reply"), Kind.KILLED, "C4 pin.c04_reply"),
        # It did not pass on the unmutated series: nothing is known of it.
        (selftest("pin.c04_other"), Kind.SURVIVED, ""),
        (selftest(reports=(Report("warn:x", "WARNING: x"),)), Kind.INSTEAD, "C20 WARNING: x"),
        (selftest(ending="panic"), Kind.INSTEAD, "panic"),
        (Try("selftest", ran=False, why="no boot", bad=("pin.c04_reply",)), Kind.LOST, "no boot"),
        (
            Try("torture", ran=True, breaches=(Breach("C4", "open, trial 7", 1.5),)),
            Kind.KILLED,
            "C4 open, trial 7, 1.5 s",
        ),
    ],
)
def test_a_kill_is_by_what_the_mutant_breaks(one: Try, kind: Kind, by: str) -> None:
    found = finding.find(C4, [one], CLEAN)
    assert (found.kind, found.by) == (kind, by)


def test_an_ending_counts_where_it_is_declared_and_new() -> None:
    deadly = C4.model_copy(update={"ending": ("panic",)})
    assert finding.find(deadly, [selftest(ending="panic")], CLEAN).kind is Kind.KILLED
    assert finding.find(deadly, [selftest(ending="hang")], CLEAN).kind is Kind.INSTEAD
    dead = Reference(RAN, endings=frozenset({"panic"}))
    assert finding.find(deadly, [selftest(ending="panic")], dead).kind is Kind.SURVIVED


def test_what_the_series_itself_shows_is_no_kill() -> None:
    breach = Breach("C4", "open, trial 7", 1.5)
    shown = Reference.of([Try("torture", ran=True, breaches=(breach,))])
    assert finding.find(C4, [Try("torture", ran=True, breaches=(breach,))], shown).by == ""
    noisy = Reference(RAN, reports=frozenset({"warn:x"}))
    one = selftest(reports=(Report("warn:x", "WARNING: x"),))
    assert finding.find(C4, [one], noisy).kind is Kind.SURVIVED


def test_a_case_must_pass_in_all_runs_of_the_series() -> None:
    both = [selftest(passed=("a", "b")), selftest(passed=("a",))]
    assert Reference.of(both).passed == {"a"}
    assert Reference.of([]).passed == frozenset()


def test_what_did_not_run_on_the_series_kills_nothing() -> None:
    unseen = Reference.of([Try("torture", ran=False, why="no boot"), selftest()])
    one = Try("torture", ran=True, breaches=(Breach("C4", "open", 1.0),))
    found = finding.find(C4, [one], unseen)
    assert found.kind is Kind.LOST
    assert "did not run on the unmutated series" in found.by
    assert finding.find(C4, [one], CLEAN).kind is Kind.KILLED


def test_a_later_run_may_kill() -> None:
    found = finding.find(C4, [selftest(), selftest("pin.c04_reply", seconds=2.0)], CLEAN)
    assert (found.kind, found.tries, found.seconds) == (Kind.KILLED, 2, 2.0)


def test_everything_bad_on_the_series_is_an_alarm() -> None:
    assert finding.alarms([selftest(passed=("a",))]) == []
    signs = finding.alarms([selftest("pin.c04_reply", "odd", ending="hang")])
    assert {sign.statement for sign in signs} == {"C4", "?", "hang"}


def test_the_cases_of_a_promise_come_first() -> None:
    both = C4.model_copy(update={"statements": ("C4", "C20")})
    assert _cases(both, CLEAN) == "c04_"
    assert _cases(C4.model_copy(update={"statements": ("C20",)}), CLEAN) == ""
    assert _cases(C4.model_copy(update={"kind": "race"}), CLEAN) == ""


def test_steps_end_with_the_first_that_kills() -> None:
    took = []

    def step(one: Try) -> Try:
        took.append(one)
        return one

    runs = [selftest(), selftest("pin.c04_reply"), selftest()]
    done = _until_seen(C4, [lambda one=one: step(one) for one in runs], CLEAN)  # type: ignore[misc]
    assert done == took == runs[:2]


def test_the_torture_goes_on_only_behind_another_statement() -> None:
    quiet = Try("torture", ran=True)
    other = Try("torture", ran=True, breaches=(Breach("C5", "open", 1.0),))
    assert _until_seen(C4, [lambda: quiet, lambda: quiet], CLEAN) == [quiet]
    assert _until_seen(C4, [lambda: other, lambda: quiet], CLEAN) == [other, quiet]


KTAP = "TAP version 13\n1..3\nok 1 pin.c04_reply\nnot ok 2 pin.c05_changed\n"


def a_try(ending: Ending, said: str = KTAP, **more: object) -> Try:
    evidence = Evidence(ending, **more)  # type: ignore[arg-type]
    return tries.of_selftest(Outcome((), (), evidence, 3.0), said)


def test_a_run_of_the_selftest_becomes_a_try() -> None:
    done = a_try(Ending.DONE)
    assert (done.ran, done.passed) == (True, ("pin.c04_reply",))
    assert "pin.c05_changed" in done.bad
    assert a_try(Ending.DONE, timed_out=True).ending == "hang"


def test_what_was_said_before_the_end_counts_and_a_guest_that_said_nothing_does_not() -> None:
    cut = a_try(Ending.PANIC)
    assert (cut.ran, cut.ending, cut.passed) == (True, "panic", ("pin.c04_reply",))
    for lost in (Ending.NO_BOOT, Ending.KILLED, Ending.PANIC, Ending.DONE):
        assert not a_try(lost, "").ran
    assert not a_try(Ending.KILLED).ran
    assert not a_try(Ending.DONE, abi_ok=False).ran
    assert not a_try(Ending.DONE, channel_error="torn").ran


def test_what_the_series_fails_right_behind_a_mutant_is_no_kill() -> None:
    one = selftest("pin.c04_reply", ending="hang")
    assert finding.killers(C4, one, CLEAN) == ("pin.c04_reply",)
    now = CLEAN.without(selftest("pin.c04_reply", ending="hang"))
    assert finding.find(C4, [one], now).kind is Kind.SURVIVED
    assert finding.find(C4, [one], CLEAN.without(selftest())).kind is Kind.KILLED


def test_a_guest_that_was_put_together_wrongly_reports_nothing() -> None:
    wrong = Splat("no-init", "No working init found", 1, "", "no-init:x")
    bad = Splat("warn", "WARNING: x", 1, "", "warn:x")
    assert tries.reports((wrong, bad)) == (Report("warn:x", "WARNING: x"),)


def test_tries_are_kept_and_taken_again(own_cache: Path) -> None:
    one, other = selftest("pin.c04_reply", seconds=1.0), selftest()
    assert tries.attempt("k", lambda: one, resume=False) == one
    assert tries.attempt("k", lambda: other, resume=True) == one
    assert tries.attempt("k", lambda: other, resume=False) == other
    lost = Try("selftest", ran=False, why="no QEMU")
    assert tries.attempt("l", lambda: lost, resume=True) == lost
    assert tries.attempt("l", lambda: one, resume=True) == one
    (own_cache / tries.KIND / "k.json").write_text("{")
    assert tries.attempt("k", lambda: one, resume=True) == one


def test_the_matrix_says_what_saw_each_mutant_and_what_nothing_saw() -> None:
    killed = Finding(Kind.KILLED, "C4 pin.c04_reply", 1, 8.0)
    row = MutantRow(
        C4, {COLUMN: {"selftest": killed, "torture": Finding(Kind.SURVIVED, "", 1, 25)}}
    )
    race = Mutant(file="race.patch", statements=("C5",), kind="race", about="torn")
    alive = MutantRow(race, {COLUMN: {"selftest": Finding(Kind.SURVIVED, "", 20, 160.0)}})
    other = MutantRow(race.model_copy(update={"file": "else.patch"}), {})
    own = SeriesRow("own", {COLUMN: (selftest(passed=("a",)),)})
    bad = selftest("pin.c05_x")
    raced = Try("torture", ran=True, breaches=(Breach("C3", "open by thread", 1.0),))
    loud = SeriesRow("rfc", {COLUMN: (bad, raced)})
    assert loud.alarms == [Sign("C5", "pin.c05_x"), Sign("C3", "open by thread, 1.0 s")]
    text = table.markdown([own, loud], [row, alive, other], [COLUMN], {"tree": "linux 7"})
    assert "| own | | clean (1 cases, 1 runs) | not run |" in text
    assert "| rfc | | **breaks C5** | **breaks C3** |" in text
    assert "| kept | C4 | **killed** by C4 pin.c04_reply (8 s) | survived (25 s) |" in text
    assert "| race (race) | C5 | survived (20 runs, 160 s) | not run |" in text
    assert "| else (race) | C5 | n/a | n/a |" in text
    assert "x86_64: 1 of 2 killed (1 by selftest); of the races, 0 of 1" in text
    assert "## Not seen\n\n- race on x86_64: torn" in text
    assert "C4" not in table.uncovered(statements.statements(STATEMENTS), [row])
    assert "C5" in table.uncovered(statements.statements(STATEMENTS), [row, alive])


def test_a_mutant_is_run_in_the_flavor_that_sees_it() -> None:
    debug = Column("x86_64", "x86_64", "debug")
    unseen = C4.model_copy(update={"flavor": "debug"})
    assert columns_of(C4, [COLUMN, debug]) == [COLUMN]
    assert columns_of(C4, [debug]) == [debug]
    assert columns_of(unseen, [COLUMN, debug]) == [debug]
    assert columns_of(unseen, [COLUMN]) == []
    assert columns_of(C4.model_copy(update={"abis": ("arm",)}), [COLUMN]) == []


def test_each_flavor_has_a_matrix_of_its_own() -> None:
    debug = Column("x86_64", "x86_64", "debug")
    killed = Finding(Kind.KILLED, "C4 pin.c04_reply", 1, 8.0)
    own = SeriesRow("own", {COLUMN: (), debug: ()})
    plain = MutantRow(C4, {COLUMN: {"selftest": killed}})
    hidden = C4.model_copy(update={"file": "hidden.patch", "flavor": "debug"})
    other = SeriesRow("other", {COLUMN: ()})
    found = [plain, MutantRow(hidden, {debug: {"selftest": killed}})]
    text = table.markdown([own, other], found, [COLUMN, debug], {})
    first, second = text.split("| kernel |")[1:]
    assert "| kept |" in first
    assert "hidden" not in first
    assert "| other |" in first
    assert "| other |" not in second
    assert "| hidden |" in second
    assert "| kept |" not in second
    assert "x86_64 debug selftest" in second
    text = table.markdown([own], [plain, MutantRow(hidden, {})], [COLUMN], {})
    assert "| hidden (--flavor debug) | C4 | n/a | n/a |" in text


def tortured(verdict: Verdict, reason: str = "", **more: object) -> TortureResult:
    facts = {
        "violations": (),
        "splats": (),
        "trials": 20,
        "exposed": {"open": 7},
        "lost": {"open": 3},
        "began": True,
    }
    return TortureResult(
        verdict=verdict, reason=reason, seconds=9.0, folder=Path(), **(facts | more)
    )  # type: ignore[arg-type]


def test_a_torture_becomes_a_try() -> None:
    clean = racing.of_torture(tortured(Verdict.PASS), 30.0)
    assert (clean.ran, clean.trials, clean.seconds, clean.breaches) == (True, 7, 30.0, ())
    seen = Violation("C5", "open", "thread", 120, 1.5, "torn")
    found = racing.of_torture(tortured(Verdict.FAIL, violations=(seen,)), 30.0)
    assert found.breaches == (Breach("C5", "open by thread, trial 120", 1.5),)
    for end, ending in {End.DIED: "panic", End.HUNG: "hang"}.items():
        # Whatever the sentence says: what counts is the value.
        made = racing.of_torture(tortured(Verdict.FAIL, "in other words", end=end), 1.0)
        assert (made.ran, made.ending) == (True, ending)
    # So soon that no trial was counted yet; and before the lanes began, it is no try.
    at_once = tortured(Verdict.FAIL, "it died", trials=0, end=End.DIED)
    assert racing.of_torture(at_once, 1.0).ran
    unbegun = tortured(Verdict.FAIL, "it died", began=False, end=End.DIED)
    assert not racing.of_torture(unbegun, 1.0).ran
    leak = racing.of_torture(tortured(Verdict.FAIL, "it leaks", leaks=("pids: 3",)), 1.0)
    assert [breach.statement for breach in leak.breaches] == ["C15"]


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(Verdict.MISS, "no boot"), (Verdict.FAIL, "results are lost: torn")],
)
def test_a_torture_that_proves_nothing_is_no_try(verdict: Verdict, reason: str) -> None:
    assert not racing.of_torture(tortured(verdict, reason), 1.0).ran


@pytest.mark.parametrize(
    ("kinds", "verdict"),
    [
        ((Kind.KILLED, Kind.NOT_HERE), Verdict.PASS),
        ((Kind.KILLED, Kind.SURVIVED, Kind.LOST), Verdict.FAIL),
        ((Kind.KILLED, Kind.LOST), Verdict.MISS),
        ((Kind.NOT_HERE,), Verdict.SKIP),
    ],
)
def test_a_kill_matrix_is_a_judged_cell_a_column(
    kinds: tuple[Kind, ...], verdict: Verdict, tmp_path: Path
) -> None:
    mutant = file.load()[0]
    rows = [
        MutantRow(mutant, {} if kind is Kind.NOT_HERE else {COLUMN: {"torture": Finding(kind)}})
        for kind in kinds
    ]
    (cell,) = outcome.results(rows, [COLUMN], {COLUMN: tmp_path})
    assert cell.verdict is verdict
    assert len(cell.cases) == len(rows)
    (grid,) = pictures.read(tmp_path).grids
    assert len(grid.rows) == len(rows)
