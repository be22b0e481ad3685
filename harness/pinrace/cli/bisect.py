# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace bisect`: which commit, release or patch brought a race or a failing case in."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from pinrace import store, ui
from pinrace.arches import get_abi
from pinrace.bisect import candidates, search, tests
from pinrace.bisect.candidates import Candidates, Listed
from pinrace.bisect.search import Kept, Outcome
from pinrace.cli import options, prove
from pinrace.engine.request import select
from pinrace.errors import Exit, UserError
from pinrace.paths import cache_dir, given
from pinrace.races.race.folder import Race, opened
from pinrace.races.race.prove import WAYS, Budget
from pinrace.runs.journal import Run
from pinrace.series.files import first
from pinrace.series.load import load
from pinrace.suites.registry import get_suite
from pinrace.values import Request, Series


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("race", nargs="?", default="", help="as of `pinrace prove`")
    parser.add_argument("--suite", action="append", help="or a suite; may be repeated")
    parser.add_argument("-k", dest="only", default="", help="of a suite, the cases with this name")
    parser.add_argument("--good", default="", help="a commit of --tree without the fault")
    parser.add_argument("--bad", default="", help="a commit of --tree with it")
    parser.add_argument(
        "--releases", default="", metavar="A,B,…", help="or trees, in order: the last is bad"
    )
    parser.add_argument("--series", default="", help="or the patches of a series, on --tree")
    parser.add_argument(
        "--step",
        action="store_true",
        help="test --tree as it is, for `git bisect run`: exit 0 good, 1 bad, 125 skip",
    )
    parser.add_argument("--again", action="store_true", help="forget what was seen before")
    prove.build_options(parser)
    parser.add_argument("--way", action="append", choices=WAYS, help="may be repeated")
    parser.add_argument("--free", default="20s", help="guest time of free rounds (default: 20s)")
    parser.add_argument("--seeds", type=int, default=10, help="boots at most (default: 10)")
    parser.add_argument("--for", dest="duration", default="15m", help="host time of each window")


def run(args: argparse.Namespace) -> int:
    """Bisect; exit 0 with an answer, 4 without one."""
    if bool(args.race) == bool(args.suite):
        raise UserError("bisect takes a race or --suite", hint="pinrace bisect --help")
    if not args.race:
        return _run(args, None)
    with opened(args.race) as race:
        return _run(args, race)


def _run(args: argparse.Namespace, race: Race | None) -> int:
    if args.step:
        outcome = tests.guarded(lambda: _test(args, race, args.tree or ".", None, Path()))
        ui.say(f"{outcome.word}: {outcome.why}")
        return search.status_of(outcome.word)
    found = _candidates(args)
    key = store.digest(
        repr(found.ends()), race.digest if race else "", repr(args.suite), args.only, repr(args.abi)
    )
    path = cache_dir() / "bisect" / f"{key}.json"
    path.parent.mkdir(exist_ok=True)
    if args.again:
        path.unlink(missing_ok=True)
    kept = Kept(path)
    with Run.create(["pinrace", *args.words]) as record:

        def test(name: str) -> Outcome:
            folder = record.folder / f"{len(kept.outcomes) + 1}"
            return tests.guarded(lambda: _one(args, race, found, name, folder))

        answer = search.bisect(found, test, kept, ui.say)
        ui.say(f"first bad: {found.about(answer.names[-1])}  ({answer.tested} tested)")
        ui.say(f"  {answer.outcome.why}")
        for name in answer.names[:-1]:
            ui.say(f"  or {found.about(name)}, which could not be tested")
        if answer.outcome.sure:
            ui.say(f"  sure: {answer.outcome.sure}")
        if answer.outcome.again:
            ui.say(f"  {answer.outcome.again}")
        return record.end(Exit.OK if answer.exact else Exit.INFRA)


def _candidates(args: argparse.Namespace) -> Candidates:
    """Return where to look; UserError when that is not said, or said twice."""
    ways = [bool(args.good or args.bad), bool(args.releases), bool(args.series)]
    if sum(ways) != 1:
        raise UserError("bisect takes --good and --bad, or --releases, or --series")
    if args.releases:
        names = tuple(name for name in args.releases.split(",") if name)
        if len(set(names)) < 2 or len(set(names)) != len(names):
            raise UserError("--releases takes two trees at the least, each once")
        return Listed(names)
    if args.series:
        series = load(args.series, say=ui.say)
        if series is None:
            raise UserError("--series takes a series")
        return candidates.prefixes(len(series.patches), [p.name for p in series.patches])
    if not (args.good and args.bad and args.tree):
        raise UserError("--good and --bad are commits of --tree FOLDER")
    return candidates.open_commits(given(args.tree), args.good, args.bad)


def _one(
    args: argparse.Namespace, race: Race | None, found: Candidates, name: str, folder: Path
) -> Outcome:
    """Test one candidate."""
    if isinstance(found, candidates.Commits):
        return _test(args, race, str(candidates.checkout(found, name)), None, folder)
    if args.releases:
        return _test(args, race, name, None, folder)
    series = load(args.series, say=ui.say)
    count = int(name.split(maxsplit=1)[0]) if name[0].isdigit() else 0
    part = first(series, count) if series and count else None
    return _test(args, race, args.tree, part, folder)


def _test(
    args: argparse.Namespace, race: Race | None, tree: str, series: Series | None, folder: Path
) -> Outcome:
    """Test one tree."""
    wanted = replace(prove.wanted(args), tree=tree)
    if race is not None:
        budget = Budget(
            free=options.duration(args.free, "--free"),
            seeds=args.seeds,
            holds=options.duration(args.duration, "--for"),
            ways=tuple(args.way or WAYS),
        )
        return tests.by_race(race, wanted, budget, folder, series=series)
    arches, abis = select(list(wanted.arches), list(wanted.abis))
    asked = Request(
        arches, abis, (wanted.flavor or "plain",), None, wanted.extra, wanted.llvm, wanted.jobs
    )
    for abi in abis:
        get_abi(abi)
    return tests.by_suite(
        tree or options.DEFAULT_TREE,
        series,
        asked,
        [get_suite(name).name for name in args.suite],
        only=args.only,
        words=["pinrace", *args.words],
    )
