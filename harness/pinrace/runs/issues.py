# SPDX-License-Identifier: GPL-2.0-or-later
"""Known issues: what a maintainer wrote of a fault, and where the runs saw it before.

A fault that is known is named so wherever it is shown.  Its verdict stays what it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs
import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pinrace import store, userfile
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import CONFIGS, INSTALLED, runs_dir
from pinrace.runs import sightings
from pinrace.runs.sightings import Fault, Sighting
from pinrace.values import CellResult, Verdict

VARIABLE = "PINRACE_ISSUES"
KNOWN = "known issue "  # begins the note of a cell that shows one
_PLACES = 3  # that a sentence names


class Issue(BaseModel):
    """What a maintainer keeps of one issue; it is found by fingerprint or by title."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,63}$")
    fingerprint: str = Field(default="", description="as `pinrace issues show` prints it")
    title: userfile.Pattern = Field(
        default="", description="a regular expression, found in a fault's title"
    )
    note: str = Field(default="", max_length=2000)
    link: str = Field(default="", pattern=r"^(https?://\S+)?$")
    version: int = Field(default=1, ge=1, description="of what is said here, for KCIDB")

    @model_validator(mode="after")
    def _finds_something(self) -> Issue:
        if not self.fingerprint and not self.title:
            raise ValueError("needs a fingerprint or a title")
        return self

    def is_of(self, fault: Fault) -> bool:
        """Whether a fault is this issue."""
        if self.fingerprint:
            return self.fingerprint == fault.fingerprint
        return re.search(self.title, fault.title) is not None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    issue: tuple[Issue, ...] = ()


@dataclass(frozen=True)
class Known:
    """All that is known of a fault: by hand, by the runs, or both."""

    fault: Fault
    issue: Issue | None
    sighting: Sighting | None

    @property
    def name(self) -> str:
        """The maintainer's name for it, or the beginning of its digest."""
        return self.issue.id if self.issue else self.fault.id[: sightings.SHORT]

    @property
    def line(self) -> str:
        """One sentence on what is known."""
        parts = [f"{KNOWN}{self.name} ({self.fault.title})"]
        if seen := self.sighting:
            places = [f"{tree} {series}" for tree, series in seen.places]
            named = ", ".join(places[:_PLACES]) + (", …" if len(places) > _PLACES else "")
            when = f"from {seen.first[:10]} to {seen.last[:10]}"
            parts.append(f"seen in {seen.seen} of {seen.of} cells {when}: {named}")
        if self.issue:
            parts += [word for word in (self.issue.note, self.issue.link) if word]
        return "; ".join(parts)


@dataclass(frozen=True)
class Book:
    """The issues of a maintainer, and the faults that the runs saw, by id."""

    issues: tuple[Issue, ...] = ()
    seen: tuple[Sighting, ...] = ()

    def look_up(self, fault: Fault) -> Known | None:
        """Return what is known of a fault; None when nothing is."""
        issue = next((one for one in self.issues if one.is_of(fault)), None)
        sighting = next((one for one in self.seen if one.fault.id == fault.id), None)
        return Known(fault, issue, sighting) if issue or sighting else None

    def named(self, result: CellResult) -> CellResult:
        """Return a cell's result with a note for each fault in it that is known."""
        if result.verdict in (Verdict.PASS, Verdict.SKIP):
            return result
        found = [self.look_up(fault) for fault in sightings.faults(result)]
        notes = [known.line for known in found if known]
        return replace(result, notes=(*result.notes, *notes))

    def all(self) -> list[Known]:
        """Return everything, what was seen last first, then what no run saw."""
        found = [self.look_up(one.fault) for one in self.seen]
        used = {known.issue.id for known in found if known and known.issue}
        rest = [
            Known(Fault(one.fingerprint, one.title or one.fingerprint), one, None)
            for one in self.issues
            if one.id not in used
        ]
        return [known for known in found if known] + rest

    def find(self, name: str) -> Known:
        """Return the one of that name, id or beginning of an id; UserError for none or several."""
        everything = self.all()
        exact = [one for one in everything if one.issue and one.issue.id == name]
        found = exact or [one for one in everything if one.fault.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        if exact:  # a title that fits several faults
            return max(exact, key=lambda one: one.sighting.last if one.sighting else "")
        many = f"{len(found)} issues begin with" if found else "there is no issue"
        raise UserError(f"{many} '{name}'", hint="pinrace issues")


def file() -> Path:
    """Return where the maintainer's file is ($PINRACE_ISSUES overrides it)."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    folder = Path(platformdirs.user_config_dir("pinrace")) if INSTALLED else CONFIGS
    return folder / "issues.toml"


def read(path: Path) -> tuple[Issue, ...]:
    """Return the issues of a file, none when there is no file; UserError for what is wrong."""
    if not path.exists():
        return ()
    hint = "pinrace help issues"
    issues = userfile.read(_File, path, "is no list of known issues", hint=hint).issue
    names = [issue.id for issue in issues]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path} has two issues called {', '.join(twice)}")
    return issues


def load(root: Path | None = None, *, without: str = "") -> Book:
    """Return the book of the runs below that root, but for one; raises as read() and opened()."""
    with sightings.opened(root or runs_dir()) as connection:
        return Book(read(file()), tuple(sightings.find(connection, without=without)))


def note(path: Path, known: Known, *, text: str, link: str, name: str) -> Issue:
    """Keep what a maintainer says of a fault in the file; the rest of the file stays as it is.

    An empty text, link or name leaves what was there.  Raises UserError for what no issue can be.
    """
    had = known.issue
    said = {
        "id": name or (had.id if had else known.fault.id[: sightings.SHORT]),
        "note": text or (had.note if had else ""),
        "link": link or (had.link if had else ""),
        "version": had.version + 1 if had else 1,
    }
    where = {"title": had.title} if had and had.title else {"fingerprint": known.fault.fingerprint}
    try:
        issue = Issue.model_validate({**where, **said})
    except ValidationError as exc:
        first = exc.errors()[0]
        raise UserError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    others = [one for one in read(path) if had is None or one.id != had.id]
    if any(one.id == issue.id for one in others):
        raise UserError(f"{path} has an issue called {issue.id} already", hint="--name OTHER")
    _write(path, had.id if had else "", {k: v for k, v in {**where, **said}.items() if v != ""})
    return issue


def _write(path: Path, old: str, fields: dict[str, object]) -> None:
    """Put an issue in the place of the old one, or at the end."""
    try:
        document = tomlkit.parse(path.read_text() if path.exists() else "")
        array = document.get("issue")
        if array is None:
            array = document["issue"] = tomlkit.aot()
        place = next((one for one in array if one["id"] == old), None)
        if place is None:
            place = tomlkit.table()
            place.update(fields)
            array.append(place)
        else:
            place.update(fields)
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, tomlkit.dumps(document))
    except OSError as exc:
        raise InfrastructureError(
            f"cannot write {path}: {exc.strerror}", hint=f"set {VARIABLE} to a file of your own"
        ) from exc


def of_results(results: Sequence[CellResult], book: Book) -> dict[str, Known]:
    """Return what is known of the faults in these cells, by the fault's id."""
    found = {}
    for result in results:
        for fault in sightings.faults(result):
            if known := book.look_up(fault):
                found[fault.id] = known
    return found
