# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as KernelCI's common database takes it: KCIDB I/O schema 5.3, checked by kcidb-io.

A cell is a test, and each of its cases is one below it.  KCIDB has no verdict for a run that proves
nothing: INCONCLUSIVE becomes ERROR, "the status of the tested code is unknown".  What the unpatched
tree fails too stays FAIL there, with `known` beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinrace.errors import InfrastructureError, UserError
from pinrace.runs import issues as known_issues
from pinrace.runs import journal, sightings
from pinrace.runs.issues import Known
from pinrace.suites.shipped import SUITES
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Splat, Verdict

EXCERPT = 16384  # characters of a log_excerpt, by the schema
PREFIX = "pinrace"

_ORIGIN = re.compile(r"[a-z0-9_]+")
_ODD = re.compile(r"[^a-zA-Z0-9_-]+")
_VERDICTS = {Verdict.INCONCLUSIVE: "ERROR"}
_STATUSES = {CaseStatus.XFAIL: "PASS", CaseStatus.TIMEOUT: "FAIL"}


@dataclass(frozen=True)
class Submitter:
    """Who submits: the name of the CI system, and where its artefacts are to be had."""

    origin: str = "pinrace"
    artefacts: str = ""  # a URL below which the runs folder is served; "" for nowhere

    def __post_init__(self) -> None:
        if not _ORIGIN.fullmatch(self.origin):
            raise UserError(
                f"'{self.origin}' is no origin: small letters, digits and _",
                hint="--origin my_lab",
            )


def report(folder: Path, by: Submitter) -> dict[str, Any]:
    """Return what a run comes to, validated.

    Raises UserError for what is no run, and InfrastructureError when kcidb-io is not installed or
    refuses the result.
    """
    manifest = journal.manifest(folder)
    results = journal.load(folder)
    tree = manifest.get("tree") or {}
    checkout = f"{by.origin}:{_digest(tree.get('tree_id'), tree.get('series_digest'))}"
    builds = _builds(results, manifest, checkout, by)
    tests = [test for one in results for test in _tests(one, manifest, checkout, folder, by)]
    known = known_issues.of_results(results, known_issues.load(without=folder.name))
    issues, incidents = _issues(results, manifest, checkout, by, known)
    whole = {
        "version": {"major": 5, "minor": 3},
        "checkouts": [_checkout(tree, manifest, checkout, by)],
        "builds": builds,
        "tests": tests,
        "issues": issues,
        "incidents": incidents,
    }
    return validated(whole)


def validated(whole: dict[str, Any]) -> dict[str, Any]:
    """Return it as it is; InfrastructureError when it does not keep to the schema."""
    try:
        import kcidb_io
    except ImportError as exc:
        raise InfrastructureError(
            "kcidb-io is not installed", hint="pip install 'pinrace[kcidb]'"
        ) from exc
    schema = kcidb_io.schema.LATEST
    try:
        schema.validate(whole)
    except Exception as exc:
        first = str(exc).splitlines()[0]
        raise InfrastructureError(
            f"the report does not keep to KCIDB {schema.major}.{schema.minor}: {first}"
        ) from exc
    return whole


def _checkout(
    tree: Mapping[str, Any], manifest: Mapping[str, Any], checkout: str, by: Submitter
) -> dict[str, Any]:
    """Return what was tested: the tree, and the series on it."""
    found = {
        "id": checkout,
        "origin": by.origin,
        "tree_name": str(tree.get("origin", "unknown")),
        "git_commit_name": str(tree.get("label", "unknown")),
        "start_time": manifest["began"],
        "valid": True,
        "comment": str(tree.get("label", "unknown")),
        "misc": {"pinrace": {key: tree[key] for key in sorted(tree)}},
    }
    if not tree.get("patches"):
        found["patchset_hash"] = ""
    if origin := tree.get("series_origin"):
        found["message_id"] = f"<{origin}>" if not str(origin).startswith("<") else str(origin)
    return found


def _builds(
    results: Sequence[CellResult], manifest: Mapping[str, Any], checkout: str, by: Submitter
) -> list[dict[str, Any]]:
    """Return the kernels that the cells ran on, each once."""
    kernels = dict.fromkeys((result.cell.arch, result.cell.flavor) for result in results)
    return [
        {
            "id": _build_id(checkout, arch, flavor),
            "origin": by.origin,
            "checkout_id": checkout,
            "architecture": arch,
            "config_name": flavor,
            "start_time": manifest["began"],
            "status": "PASS",
        }
        for arch, flavor in kernels
    ]


def _build_id(checkout: str, arch: str, flavor: str) -> str:
    return f"{checkout}-{arch}-{flavor}"


def _tests(
    result: CellResult, manifest: Mapping[str, Any], checkout: str, folder: Path, by: Submitter
) -> Iterator[dict[str, Any]]:
    """Yield the test of a cell, and then those of its cases."""
    cell = result.cell
    common = {
        "origin": by.origin,
        "build_id": _build_id(checkout, cell.arch, cell.flavor),
        "environment": _environment(cell, manifest),
        "start_time": manifest["began"],
    }
    shipped = SUITES.get(cell.suite)
    top = shipped.kcidb if shipped else ""
    top = top or f"{PREFIX}.{_word(cell.suite)}"
    number = f"{by.origin}:{manifest['id']}-{cell.name}"
    whole = common | {
        "id": number,
        "path": top,
        "status": _VERDICTS.get(result.verdict, result.verdict.value),
        "duration": round(result.seconds, 3),
        "comment": _clean(result.reason),
        "misc": {"pinrace": {"verdict": result.verdict.value, "notes": list(result.notes)}},
    }
    yield whole | _log(result, folder, by)
    for place, case in enumerate(result.cases, 1):
        yield common | {
            "id": f"{number}-{place}",
            "path": ".".join((top, *_words(case.name))),
            "status": _STATUSES.get(case.status, case.status.value),
            "misc": {"pinrace": _facts(case, result)},
            **({"log_excerpt": said} if (said := _excerpt(case)) else {}),
        }


def _facts(case: CaseResult, result: CellResult) -> dict[str, Any]:
    """Return what KCIDB has no field for."""
    return {
        "name": _clean(case.name),
        "status": case.status.value,
        "reason": _clean(case.reason),
        "known": case.name in result.known,
    }


def _environment(cell: Cell, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the guest and its ABI."""
    machine = (manifest.get("machines") or {}).get(cell.arch) or {}
    return {
        "comment": _clean(f"QEMU guest, programs of {cell.abi}"),
        "misc": {"abi": cell.abi, "machine": machine, "host": manifest.get("host")},
    }


def _log(result: CellResult, folder: Path, by: Submitter) -> dict[str, Any]:
    """Return where a cell's console is to be had."""
    if not (by.artefacts and result.folder and result.folder.is_relative_to(folder)):
        return {}
    base = f"{by.artefacts.rstrip('/')}/{folder.name}/{result.folder.relative_to(folder)}"
    names = [p.name for p in sorted(result.folder.iterdir()) if p.is_file()]
    found: dict[str, Any] = {
        "output_files": [{"name": name, "url": f"{base}/{name}"} for name in names]
    }
    if "console.log" in names:
        found["log_url"] = f"{base}/console.log"
    return found


def _issues(
    results: Sequence[CellResult],
    manifest: Mapping[str, Any],
    checkout: str,
    by: Submitter,
    known: Mapping[str, Known],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the reports of kernels by fingerprint, and where each was seen."""
    issues: dict[str, dict[str, Any]] = {}
    incidents = []
    for result in results:
        for splat in result.splats:
            about = known.get(sightings.of_splat(splat).id)
            issue = issues.setdefault(splat.fingerprint, _issue(splat, by, about))
            test = f"{by.origin}:{manifest['id']}-{result.cell.name}"
            incidents.append(
                {
                    "id": f"{test}-{_digest(splat.fingerprint)}",
                    "origin": by.origin,
                    "issue_id": issue["id"],
                    "issue_version": issue["version"],
                    "build_id": _build_id(checkout, result.cell.arch, result.cell.flavor),
                    "test_id": test,
                    "present": True,
                    "comment": _clean(_where(splat, about)),
                }
            )
    return list(issues.values()), incidents


def _where(splat: Splat, known: Known | None) -> str:
    """Say where a report was, and what was known of it before."""
    before = f"; {known.line}" if known else ""
    return f"line {splat.line} of the console{before}"


def _issue(splat: Splat, by: Submitter, known: Known | None) -> dict[str, Any]:
    """Return a report as an issue, with what a maintainer says of it."""
    noted = known.issue if known else None
    link = {"report_url": noted.link} if noted and noted.link else {}
    comment = f"{noted.id}: {noted.note}\n{splat.fingerprint}" if noted else splat.fingerprint
    return link | {
        "id": f"{by.origin}:{_digest(splat.fingerprint)}",
        "version": noted.version if noted else 1,
        "origin": by.origin,
        "report_subject": _clean(splat.title),
        "culprit": {"code": True, "tool": False, "harness": False},
        "categories": [f"runtime.{_word(splat.rule)}"],
        "comment": _clean(comment),
        "misc": {"pinrace": {"text": _clean(splat.text)[:EXCERPT]}},
    }


def _words(name: str) -> list[str]:
    """Return the words of a case's path: its levels, then its fixture and test."""
    return [_word(part) for level in name.split("/") for part in level.split(".") if part] or ["_"]


def _word(text: str) -> str:
    return _ODD.sub("_", text).strip("_") or "_"


def _excerpt(case: CaseResult) -> str:
    """Return the end of what a case that is not good printed."""
    lines = case.lines if case.status is not CaseStatus.PASS else ()
    return _clean("\n".join(lines))[-EXCERPT:]


def _clean(text: str) -> str:
    """Return the text without NUL, which the schema forbids, and as Unicode can have it."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
