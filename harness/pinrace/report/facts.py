# SPDX-License-Identifier: GPL-2.0-or-later
"""What a manifest says of a run, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pinrace.report.limits import NAME, SENTENCE
from pinrace.report.text import fit

_PATCHES = 100  # that are listed

Facts = tuple[tuple[str, tuple[str, ...]], ...]


def facts(manifest: Mapping[str, Any]) -> Facts:
    """Return headings and lines; a manifest that lacks something has fewer of them."""
    tree = _table(manifest.get("tree"))
    found = (
        ("Tree", _tree(tree)),
        ("Series", _series(tree)),
        ("Built", _built(_table(manifest.get("built")))),
        ("Guests", _machines(_table(manifest.get("machines")))),
        ("Host", _host(_table(manifest.get("host")))),
    )
    return tuple(
        (heading, tuple(fit(line, SENTENCE) for line in lines)) for heading, lines in found if lines
    )


def when(said: object) -> str:
    """Return a moment as people write it, with its zone; "unknown" for what is none."""
    try:
        return datetime.fromisoformat(str(said)).strftime("%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return "unknown"


def _tree(tree: Mapping[str, Any]) -> list[str]:
    if not tree:
        return []
    dirty = " with uncommitted changes" if tree.get("dirty") else ""
    return [
        f"linux {tree.get('version')}{dirty}, from {tree.get('origin')}: {tree.get('verified')}",
        f"tree {_short(tree.get('tree_id'))}, unpatched {_short(tree.get('base_tree_id'))}",
    ]


def _series(tree: Mapping[str, Any]) -> list[str]:
    """Its name and digest, then its patches, by subject where that is known."""
    if not tree:
        return []
    if not tree.get("series"):
        return ["none: the tree as it is"]
    patches = [str(name) for name in tree.get("patches") or ()]
    subjects = [str(subject) for subject in tree.get("subjects") or ()]
    shown = subjects if any(subjects) else patches
    number = f"{len(patches)} {'patch' if len(patches) == 1 else 'patches'}"
    lines = [f"{tree['series']}, {number}, sha256 {_short(tree.get('series_digest'))}"]
    origin = [f"from {tree['series_origin']}"] if tree.get("series_origin") else []
    trust = [str(tree["series_attestation"])] if tree.get("series_attestation") else []
    lines += origin + trust
    lines += [fit(line, NAME) for line in shown[:_PATCHES]]
    return lines + ([f"and {len(shown) - _PATCHES} more"] if len(shown) > _PATCHES else [])


def _built(kernels: Mapping[str, Any]) -> list[str]:
    """What contained the build of each kernel."""
    return [fit(f"{kernel}: {how}", NAME) for kernel, how in list(kernels.items())[:20]]


def _machines(machines: Mapping[str, Any]) -> list[str]:
    lines = []
    for arch, said in list(machines.items())[:20]:
        has = _table(said)
        why = f" ({has['why']})" if has.get("why") else ""
        lines.append(
            f"{arch}: QEMU {has.get('qemu')}, {has.get('cpu')}, {has.get('smp')} CPUs, "
            f"{has.get('memory_mib')} MiB, under {_accelerator(has)}{why}"
        )
    return lines


def _accelerator(has: Mapping[str, Any]) -> str:
    """Its name, and how much longer it takes than a native machine."""
    name = str(has.get("accelerator")).upper()
    scale = has.get("scale")
    if not isinstance(scale, int | float) or scale <= 1:
        return name
    return f"{name}, {scale:.3g} times slower than native"


def _host(host: Mapping[str, Any]) -> list[str]:
    if not host:
        return []
    return [
        f"{host.get('system')} on {host.get('machine')}, {host.get('cpus')} CPUs, "
        f"{host.get('memory_mib')} MiB, Python {host.get('python')}"
    ]


def _short(digest: object) -> str:
    """Return as much of a digest as tells it from others."""
    return str(digest)[:16] if digest else "unknown"


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
