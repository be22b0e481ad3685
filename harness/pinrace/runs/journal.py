# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: what was asked, what happened, and what came of it.

runs/<id>/manifest.json   what ran: command line, tree, series, host, QEMU
runs/<id>/events.jsonl    what happened, one JSON object a line, written as it happens
runs/<id>/results.json    the judged cells, once the run is over
runs/<id>/report.html     the same for people (pinrace.report)
runs/<id>/cells/<cell>/   console.log and whatever else belongs to a cell
runs/latest               a link to the latest one
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import psutil
from pydantic import TypeAdapter, ValidationError

from pinrace import procs
from pinrace.errors import Exit, InfrastructureError, PinraceError, UserError
from pinrace.paths import PROJECT, runs_dir
from pinrace.series.load import subjects
from pinrace.store import write_json
from pinrace.values import Cell, CellResult, PatchedTree, Series, Verdict

EVENTS = "events.jsonl"
MANIFEST = "manifest.json"
RESULTS = "results.json"
JUNIT = "junit.xml"
CELLS = "cells"
LATEST = "latest"

_RESULT = TypeAdapter(CellResult)


class Run:
    """A run that goes on; its methods may be called from several threads.

    As a context it is always finished: with the code that was given by `end()`, or with that of
    what was raised, and with all cells that had ended by then.  One that was begun and had not
    ended is a MISS with what was raised.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._lock = threading.Lock()
        self._begun: dict[str, Cell] = {}
        self._results: dict[str, CellResult] = {}
        self._code: int | None = None
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        if self._finished:
            return
        code = exit_of(raised) if raised else Exit.INFRA if self._code is None else self._code
        why = {"error": f"{type(raised).__name__}: {raised}"} if raised else {}
        self.finish([*self._results.values(), *self._unfinished(raised)], exit_code=code, **why)

    def _unfinished(self, raised: BaseException | None) -> list[CellResult]:
        """Return what stands for the cells that were begun and have no end."""
        said = str(raised or "").splitlines() or [type(raised).__name__ if raised else "no end"]
        why = f"not finished: {said[0]}"
        return [
            CellResult(cell, Verdict.MISS, why, folder=self.cell_folder(cell))
            for name, cell in self._begun.items()
            if name not in self._results
        ]

    def end(self, code: int) -> int:
        """Say how the run ends when nothing is raised any more; return the code."""
        self._code = code
        return code

    @classmethod
    def create(cls, argv: Sequence[str], *, root: Path | None = None, **facts: object) -> Run:
        """Make the folder of a new run and its manifest.

        argv is the command line; facts go into the manifest as they are, `tree_facts()` and the
        accelerator with its reason among them; root replaces the usual runs folder.  The id is the
        local date and time, with a number when two runs share a second.
        """
        root = root or runs_dir()
        now = datetime.now().astimezone()
        folder = _new_folder(root, now.strftime("%Y-%m-%d-%H%M%S"))
        manifest: dict[str, Any] = {
            "id": folder.name,
            "argv": list(argv),
            "began": now.isoformat(timespec="seconds"),
            "project": describe_project(),
            "host": host_facts(),
            **facts,
        }
        run = cls(folder, manifest)
        (folder / CELLS).mkdir()
        write_json(folder / MANIFEST, _plain(manifest))
        run.event("run-start", id=folder.name, argv=list(argv))
        link(root / LATEST, folder.name)
        return run

    @property
    def id(self) -> str:
        """Its name."""
        return self.folder.name

    def add_facts(self, **facts: object) -> None:
        """Put more into the manifest, as it becomes known."""
        with self._lock:
            self.manifest.update(facts)
            write_json(self.folder / MANIFEST, _plain(self.manifest))

    def cell_folder(self, cell: Cell) -> Path:
        """Return the folder of a cell, made if need be."""
        folder = self.folder / CELLS / cell.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def event(self, kind: str, **facts: object) -> None:
        """Append one line to the events; it is on its way to the disk when this returns."""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = json.dumps(_plain({"time": now, "kind": kind, **facts})) + "\n"
        with self._lock, (self.folder / EVENTS).open("a") as stream:
            stream.write(line)

    def cell_start(self, cell: Cell) -> Path:
        """Note that a cell begins; return its folder."""
        with self._lock:
            self._begun[cell.name] = cell
        self.event("cell-start", cell=dataclasses.asdict(cell), name=cell.name)
        return self.cell_folder(cell)

    def cell_end(self, result: CellResult) -> None:
        """Note the outcome of a cell, whole, so that it survives a crash of the rest."""
        with self._lock:
            self._results[result.cell.name] = result
        self.event("cell-end", name=result.cell.name, result=self._as_json(result))

    def finish(self, results: Sequence[CellResult], *, exit_code: int, **facts: object) -> None:
        """Write results.json, junit.xml when there are cells, and the last event."""
        self._finished = True
        whole = {"exit_code": exit_code, "cells": [self._as_json(r) for r in results]}
        write_json(self.folder / RESULTS, _plain(whole))
        if results:
            from pinrace.runs import junit  # its library takes a while to load

            junit.write(self.folder / JUNIT, results, self.manifest.get("tree"))
        self.event("run-end", exit_code=int(exit_code), **facts)

    def _as_json(self, result: CellResult) -> dict[str, Any]:
        """Return a result as JSON has it, its folder relative to the run's."""
        value = dataclasses.asdict(result)
        if result.folder is not None and result.folder.is_relative_to(self.folder):
            value["folder"] = result.folder.relative_to(self.folder)
        return value


def exit_of(raised: BaseException) -> Exit:
    """Return the exit code of a command that this ended."""
    if isinstance(raised, PinraceError):
        return raised.exit_code
    return Exit.INTERRUPTED if isinstance(raised, KeyboardInterrupt) else Exit.INFRA


def tree_facts(tree: PatchedTree) -> dict[str, object]:
    """Return what a manifest says of a tree."""
    base, series = tree.base, tree.series
    return {
        "label": tree.label,
        "version": base.version,
        "origin": base.origin,
        "verified": base.trust,
        "dirty": base.dirty,
        "base_tree_id": base.tree_id,
        "tree_id": tree.tree_id,
        "series": series.name if series else None,
        "series_digest": series.digest if series else None,
        "series_origin": series.origin if series else None,
        "series_attestation": series.attestation if series else None,
        "patches": [patch.name for patch in series.patches] if series else [],
        "subjects": _subjects(series) if series else [],
    }


def _subjects(series: Series) -> tuple[str, ...]:
    """Return the subject lines of a series; none when a patch is gone, or its mail is too odd."""
    with contextlib.suppress(Exception):
        return subjects(series)
    return ()


def host_facts() -> dict[str, object]:
    """Return what a manifest says of this host."""
    system = platform.uname()
    return {
        "system": f"{system.system} {system.release}",
        "machine": system.machine,
        "cpus": os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "python": platform.python_version(),
    }


def describe_project() -> str:
    """Return `git describe` of this project, or "unknown" where it is no checkout."""
    with contextlib.suppress(InfrastructureError):
        argv = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--tags"]
        return procs.run(argv, what="describing the project").output.strip()
    return "unknown"


def manifest(folder: Path) -> dict[str, Any]:
    """Return a run's manifest; InfrastructureError when it cannot be read."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(errors="replace"))
    except (OSError, ValueError) as exc:
        raise InfrastructureError(f"the manifest cannot be read: {exc}", log=path) from exc
    if not isinstance(found, dict):
        raise InfrastructureError("the manifest is no table", log=path)
    return found


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a run, in order.

    A last line that a crash tore is left out.  Raises UserError when there is no such run, and
    InfrastructureError when a line before the last one is damaged.
    """
    path = folder / EVENTS
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError as exc:
        raise UserError(f"{folder} is not a run: {exc.strerror}", hint="pinrace runs") from exc
    found = []
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            break
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or "kind" not in event:
                raise ValueError("not an event")
        except ValueError as exc:
            if number == len(lines):
                break
            what = f"the journal is damaged in line {number}: {exc}"
            raise InfrastructureError(what, log=path, hint="run it again") from exc
        found.append(event)
    return found


def load(folder: Path) -> list[CellResult]:
    """Return the judged cells of a run, finished or not, in the order in which they ended.

    A cell that was judged twice counts as the last time.  Raises as `events` does.
    """
    folder = folder.resolve()
    results: dict[str, CellResult] = {}
    for event in events(folder):
        if event["kind"] != "cell-end":
            continue
        try:
            result = _RESULT.validate_python(event["result"])
        except (KeyError, ValidationError) as exc:
            what = f"the journal holds a result that cannot be read: {exc}"
            raise InfrastructureError(what, log=folder / EVENTS, hint="run it again") from exc
        if result.folder is not None:
            result = dataclasses.replace(result, folder=folder / result.folder)
        results[result.cell.name] = result
    return list(results.values())


def find_run(name: str = LATEST, *, root: Path | None = None) -> Path:
    """Return the folder of the run of that id, or of the latest one; UserError without one."""
    root = root or runs_dir()
    folder = (root / name).resolve()
    if not (folder / MANIFEST).is_file():
        raise UserError(f"no run '{name}' in {root}", hint="pinrace runs")
    return folder


def list_runs(*, root: Path | None = None) -> list[Path]:
    """Return the folders of all runs, the oldest first."""
    root = root or runs_dir()
    found = [f for f in root.iterdir() if not f.is_symlink() and (f / MANIFEST).is_file()]
    return sorted(found, key=lambda f: f.name)


def _new_folder(root: Path, stem: str) -> Path:
    """Make a folder that nobody has."""
    root.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def link(link: Path, target: str) -> None:
    """Point a link elsewhere, in one step: nobody ever sees it missing."""
    draft = link.with_name(f".{link.name}.{os.getpid()}.{threading.get_ident()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def _plain(value: object) -> Any:
    """Return the value as JSON can hold it; text that is no Unicode gets escapes."""
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    return _plain(str(value))
