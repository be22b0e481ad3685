# SPDX-License-Identifier: GPL-2.0-or-later
"""Watch for series: each new one is tested, and its verdict posted, once.

runs/watch-NAME/series.jsonl says what became of each, a line a step, so that a killed watch goes
on where it was: what is judged is not run again, and what is posted is not posted again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pinrace import ui, userfile
from pinrace.arches import get_abi
from pinrace.engine import batch
from pinrace.engine.request import select
from pinrace.errors import (
    ApplyError,
    BuildError,
    Exit,
    PinraceError,
    UserError,
    said,
)
from pinrace.nightly import patchwork
from pinrace.nightly.sources import Incoming, Source, look
from pinrace.paths import runs_dir
from pinrace.report import mail, post
from pinrace.report.mail import Letter
from pinrace.report.render import FILE_NAME, write
from pinrace.runs import journal, jsonl
from pinrace.series.load import load as load_series
from pinrace.suites import registry
from pinrace.trees.fetch import resolve
from pinrace.values import Cell, Request, Verdict
from pinrace.visible import one_line

FILE = "series.jsonl"
TRIES = 3  # of a series that cannot be read or run, before it is left
ANSWERS = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.SKIP)


class WatchFile(BaseModel):
    """What is watched, what is run, and who hears of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    source: Source
    match: userfile.Pattern = Field(
        default="", description="a regular expression in the title of a series"
    )
    most: int = Field(default=5, ge=1, description="series of one round; the others wait")
    backlog: int = Field(default=0, ge=0, description="older series of the first round")
    tree: str = "debian:7.3"
    arches: tuple[str, ...] = ()
    abis: tuple[str, ...] = ()
    flavors: tuple[str, ...] = ("plain",)
    suites: tuple[str, ...] = ("kselftest:auto",)
    config: tuple[str, ...] = ()
    checks: bool = Field(default=False, description="post checks to the Patchwork server")
    context: str = Field(
        default="pinrace", pattern=r"^[-A-Za-z0-9_]{1,64}$", description="of a check"
    )
    mail: bool = Field(default=False, description="mail the people of mail.toml")
    pages: str = Field(default="", description="URL at which the runs folder is served")


@dataclass(frozen=True)
class Step:
    """What became of a series so far; the last line of a key counts."""

    key: str
    title: str
    state: str  # old, tried, judged, done, left
    verdict: Verdict | None = None
    reason: str = ""
    run: str = ""
    posted: tuple[str, ...] = ()  # "mail", "check 17"
    tries: int = 0
    at: str = ""  # local time, ISO 8601
    message: str = ""
    patches: tuple[int, ...] = ()


_STEP = TypeAdapter(Step)


def load(path: Path) -> WatchFile:
    """Return a watch; UserError says what is wrong with the file, and where."""
    found = userfile.read(WatchFile, path, "is no watch", hint="docs/ci.md has one")
    if found.checks and found.source.kind != "patchwork":
        raise UserError(f"{path}: checks are for a source of kind 'patchwork'")
    # What is wrong with these is said before anything runs.
    if found.checks:
        patchwork.token()
    if found.mail:
        post.load()
    return found


def run(watch: WatchFile, argv: Sequence[str], *, insecure: bool = False) -> list[Step]:
    """Take what is new, test it, post what came of it; return the last step of each such series.

    Raises InfrastructureError when the source cannot be read.
    """
    folder = runs_dir() / f"watch-{watch.name}"
    known = _read(folder)
    incoming = _wanted(watch, known)
    if not known:
        incoming = _first_look(folder, incoming, watch.backlog)
    ended = [_go_on(watch, step, folder) for step in known.values() if step.state == "judged"]
    todo = [one for one in incoming if known.get(one.key, _NEW).state in ("new", "tried")]
    for one in todo[: watch.most]:
        ui.say(f"series  {one_line(one.title)}")
        step = _test(watch, one, folder, argv, known.get(one.key), insecure=insecure)
        _keep(folder, step)
        ui.say(f"  {step.verdict or step.state}  {one_line(step.reason)}")
        ended.append(_go_on(watch, step, folder) if step.state == "judged" else step)
    if len(todo) > watch.most:
        ui.say(f"{len(todo) - watch.most} more wait for the next round")
    return ended


_NEW = Step("", "", "new")


def _read(folder: Path) -> dict[str, Step]:
    hint = "remove that line; what it was about is tested anew"
    found = jsonl.read(folder / FILE, _STEP, what="the watch's journal", hint=hint)
    return {step.key: step for step in found}


def _keep(folder: Path, step: Step) -> Step:
    step = replace(step, at=datetime.now().astimezone().isoformat(timespec="seconds"))
    jsonl.append(folder / FILE, _STEP, step)
    return step


def _wanted(watch: WatchFile, known: dict[str, Step]) -> list[Incoming]:
    """Return what the source has and the watch is about."""
    ended = [int(key) for key, step in known.items() if step.state == "old" and key.isdecimal()]
    found = look(watch.source, after=max(ended, default=0))
    return [one for one in found if re.search(watch.match, one.title)]


def _first_look(folder: Path, incoming: list[Incoming], backlog: int) -> list[Incoming]:
    """Keep what was there before the watch began as old, but for the newest few."""
    old = incoming[: max(0, len(incoming) - backlog)]
    for one in old:
        _keep(folder, Step(one.key, one.title, "old"))
    if not old:
        _keep(folder, Step("0", "the first look", "old"))
    return incoming[len(old) :]


def _test(
    watch: WatchFile,
    one: Incoming,
    folder: Path,
    argv: Sequence[str],
    before: Step | None,
    *,
    insecure: bool,
) -> Step:
    """Test a series.  What cannot be run says nothing of it, and is tried again next time."""
    tries = (before.tries if before else 0) + 1
    step = Step(one.key, one.title, "judged", tries=tries, message=one.message, patches=one.patches)
    try:
        record, verdict, reason = _run(watch, one, folder, argv, insecure=insecure)
    except (ApplyError, BuildError) as error:
        return replace(step, verdict=Verdict.FAIL, reason=error.what)
    except Exception as error:
        state = "tried" if tries < TRIES else "left"
        return replace(step, state=state, reason=said(error).splitlines()[0])
    if verdict not in ANSWERS:
        return replace(step, state="tried" if tries < TRIES else "left", reason=reason, run=record)
    return replace(step, verdict=verdict, reason=reason, run=record)


def _run(
    watch: WatchFile, one: Incoming, folder: Path, argv: Sequence[str], *, insecure: bool
) -> tuple[str, Verdict, str]:
    """Return the run's id, its verdict, and a sentence."""
    series = load_series(str(one.materialize(folder / "series")), say=ui.say)
    tree = resolve(watch.tree, say=ui.say, insecure=insecure)
    arches, abis = select(list(watch.arches), list(watch.abis))
    asked = Request(arches, abis, watch.flavors, None, watch.config)
    cells = tuple(
        Cell(get_abi(abi).arch, abi, flavor, suite)
        for flavor in watch.flavors
        for abi in abis
        for suite in registry.names(watch.suites)
    )
    record, _ = batch.run(batch.Batch(asked, tree, series, cells), argv)
    try:
        write(record.folder)
    except (PinraceError, OSError, ValueError) as error:
        ui.say(f"no page of {record.id}: {str(error).splitlines()[0]}")
    letter = mail.letter(record.folder)
    return record.id, letter.verdict, letter.subject


def _go_on(watch: WatchFile, step: Step, folder: Path) -> Step:
    """Post what is judged and not posted yet; what is not taken waits for the next round."""
    wanted = ["mail"] if watch.mail else []
    wanted += [f"check {number}" for number in step.patches] if watch.checks else []
    for what in wanted:
        if what in step.posted:
            continue
        try:
            _post(watch, step, what)
        except PinraceError as error:
            ui.complain(error)
            return step
        step = _keep(folder, replace(step, posted=(*step.posted, what)))
    return _keep(folder, replace(step, state="done"))


def _post(watch: WatchFile, step: Step, what: str) -> None:
    """Post one thing."""
    url = f"{watch.pages.rstrip('/')}/{step.run}/{FILE_NAME}" if watch.pages and step.run else ""
    assert step.verdict  # noqa: S101 (it is judged)
    if what == "mail":
        by = post.load()
        post.send(_letter(step, url).message(by.sender, by.to, by.cc), by)
        return
    server = patchwork.Server(watch.source.url, watch.source.project)
    number = int(what.removeprefix("check "))
    server.check(number, step.verdict, context=watch.context, said=one_line(step.reason), url=url)


def _letter(step: Step, url: str) -> Letter:
    """Return what to answer to a series; one that did not come to a run has only a sentence."""
    folder = runs_dir() / step.run
    if step.run and (folder / journal.MANIFEST).exists():
        found = mail.letter(folder, url=url)
        again = found.subject if found.subject.startswith("Re:") else f"Re: {one_line(step.title)}"
        return replace(found, subject=again, reply_to=step.message)
    assert step.verdict  # noqa: S101 (it is judged)
    body = f"{one_line(step.reason)}\n\nMade by pinrace.\n"
    # Nothing ran, so that no trailer fits.
    return Letter(f"Re: {one_line(step.title)}", body, Verdict.INCONCLUSIVE, step.message)


def exit_code(steps: Sequence[Step]) -> Exit:
    """Return 1 when a series failed, 4 when one could not be run or posted, else 0."""
    if any(step.verdict is Verdict.FAIL for step in steps):
        return Exit.KERNEL
    return Exit.OK if all(step.state == "done" for step in steps) else Exit.INFRA
