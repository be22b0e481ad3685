# SPDX-License-Identifier: GPL-2.0-or-later
"""Write what pinrace needs at run time as a CycloneDX 1.5 bill of materials.

Versions and digests are those of requirements.txt; what needs what is asked of the packages that
are installed.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parents[1] / "requirements.txt"


def locked(text: str) -> dict[str, tuple[str, list[str]]]:
    """Return the version and the sha256 digests of each package of a lock."""
    found = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", block):
            found[canonicalize_name(match[1])] = (match[2], re.findall(r"sha256:(\w+)", block))
    return found


def needed(name: str, found: dict[str, list[str]]) -> None:
    """Add to found what a package needs at run time, and so on down."""
    name = canonicalize_name(name)
    if name in found:
        return
    try:
        wants = [Requirement(text) for text in distribution(name).requires or ()]
    except PackageNotFoundError:
        wants = []
    direct = [w for w in wants if w.marker is None or w.marker.evaluate({"extra": ""})]
    found[name] = sorted(canonicalize_name(want.name) for want in direct)
    for below in found[name]:
        needed(below, found)


def bill() -> dict[str, object]:
    """Return the bill of materials."""
    lock = locked(LOCK.read_text())
    graph: dict[str, list[str]] = {}
    needed("pinrace", graph)
    own = distribution("pinrace").version
    versions = {name: lock[name][0] for name in graph if name != "pinrace"} | {"pinrace": own}
    refs = {name: f"pkg:pypi/{name}@{version}" for name, version in versions.items()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "pinrace",
                "version": own,
                "bom-ref": refs["pinrace"],
                "purl": refs["pinrace"],
                "licenses": [{"license": {"id": "GPL-2.0-or-later"}}],
            }
        },
        "components": [
            {
                "type": "library",
                "name": name,
                "version": versions[name],
                "bom-ref": refs[name],
                "purl": refs[name],
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in lock[name][1]],
            }
            for name in sorted(graph)
            if name != "pinrace"
        ],
        "dependencies": [
            {"ref": refs[name], "dependsOn": [refs[below] for below in graph[name]]}
            for name in sorted(graph)
        ],
    }


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(bill(), indent=2) + "\n")
