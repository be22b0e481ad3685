# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace doctor`: what this host has, what it lacks, and the command that installs it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil

import psutil

from pinrace import procs, ui
from pinrace.arches import ARCHES
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.host import containment, sandbox, tools
from pinrace.host.accel import probe
from pinrace.host.containment import Kind
from pinrace.host.qemu import get_qemu
from pinrace.paths import cache_dir

# A kernel tree, its worktree and objects of two arches, and ccache.
_DISK_GB = 15
_MEMORY_GB = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--install", action="store_true", help="install what is missing (apt)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="look for the tools only, and say nothing if all is well",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--tests", action="store_true", help="also what the project's own tests use"
    )


def run(args: argparse.Namespace) -> int:
    """Report; with --install, install first.  Exit.INFRA when something is missing."""
    if args.json and (args.install or args.quick):
        raise UserError("--json takes no --install or --quick", hint="pinrace doctor --json")
    lacking = tools.missing(tests=args.tests)
    if args.json:
        print(json.dumps(_facts(lacking), indent=2))
        return Exit.INFRA if lacking else Exit.OK
    if lacking and args.install:
        install(tools.packages(lacking))
        lacking = tools.missing(tests=args.tests)
    if not args.quick:
        _report_tools(lacking)
    for tool in lacking:
        ui.say(f"missing {tool.name:<32} {tool.why}")
    if lacking:
        raise InfrastructureError(
            f"{len(lacking)} of the tools that pinrace needs are missing",
            hint=f"{_as_root()}apt-get install {' '.join(tools.packages(lacking))}"
            "   (pinrace doctor --install does it)",
        )
    if not args.quick:
        _report_host()
    return Exit.OK


def _as_root() -> str:
    if os.geteuid() == 0:
        return ""
    return "sudo " if shutil.which("sudo") else "as root: "


def install(packages: tuple[str, ...]) -> None:
    """Install Debian packages; InfrastructureError says what to type when that is not allowed."""
    line = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    root: list[str] = []
    if os.geteuid() != 0:
        root = ["sudo", "-n"]
        if not shutil.which("sudo"):
            raise InfrastructureError(
                "packages are missing, and only root may install them", hint=f"as root: {line}"
            )
        if procs.run([*root, "true"], check=False, what="sudo").status:
            raise InfrastructureError(
                "packages are missing, and only root may install them", hint=f"sudo {line}"
            )
    if not shutil.which("apt-get"):
        raise InfrastructureError(
            "this host has no apt-get", hint=f"install what these Debian packages hold: {line}"
        )
    ui.say(f"installing {' '.join(packages)}")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    hint = f"{_as_root()}{line}"
    procs.run([*root, "apt-get", "update"], env=env, what="apt-get update", hint=hint)
    procs.run([*root, *line.split()], env=env, what="apt-get install", hint=hint)


def _report_tools(lacking: tuple[tools.Tool, ...]) -> None:
    there = [tool.name for tool in tools.tools() if tool not in lacking]
    ui.say(f"ok      {', '.join(there)}")
    for tool in tools.optional():
        if not tool.present():
            line = f"{_as_root()}apt-get install {' '.join(tool.packages)}"
            ui.say(f"without {tool.name:<32} for {tool.why}   ({line})")


def _report_sandbox() -> None:
    """What contains the code of trees and series, and whether guests get a terminal."""
    how = sandbox.state() if sandbox.is_off() else containment.probe(forget=True)
    word = "ok" if how.kind is Kind.BUBBLEWRAP else "warn"
    note = f": {how.reason}" if how.reason else ""
    if how.kind is Kind.NONE:
        note += "; trees and series are built as you (pinrace help trust)"
    ui.say(f"{word:<7} builds run in {how}{note}")
    try:
        for end in os.openpty():
            os.close(end)
    except OSError as exc:
        raise InfrastructureError(
            f"guests get no terminal: {exc.strerror}",
            hint="mount a devpts on /dev/pts, or give the container one",
        ) from exc


def _facts(lacking: tuple[tools.Tool, ...]) -> dict[str, object]:
    """Return all that is reported, for programs; what QEMU can do only where it is there."""
    how = sandbox.state() if sandbox.is_off() else containment.probe(forget=True)
    accels = {}
    for arch in () if lacking else ARCHES.values():
        qemu = get_qemu(arch)
        accel = probe(arch, qemu)
        accels[arch.name] = {
            "qemu": qemu.version, "accelerator": accel.name, "why": accel.reason,
            "slower": accel.scale,
        }  # fmt: skip
    return {
        "missing": [_tool(tool) for tool in lacking],
        "optional": [_tool(tool) for tool in tools.optional() if not tool.present()],
        "arches": accels,
        "sandbox": {"kind": how.kind.value, "said": str(how), "why": how.reason},
        "cache": {"folder": str(cache_dir()), "free_bytes": shutil.disk_usage(cache_dir()).free},
        "memory_bytes": psutil.virtual_memory().available,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def _tool(tool: tools.Tool) -> dict[str, object]:
    return {"name": tool.name, "why": tool.why, "packages": list(tool.packages)}


def _report_host() -> None:
    """QEMU, accelerators, memory and disk, each with ok or warn."""
    for arch in ARCHES.values():
        qemu = get_qemu(arch)
        ui.say(f"ok      {arch.qemu} {qemu.version}")
        accel = probe(arch, qemu)
        note = f": {accel.reason}" if accel.reason else ""
        ui.say(
            f"{'ok' if accel.name == 'kvm' else 'warn':<7} {arch.name} runs on {accel.name}{note}"
        )
    _report_sandbox()
    free = shutil.disk_usage(cache_dir()).free / 1e9
    word = "ok" if free >= _DISK_GB else "warn"
    ui.say(f"{word:<7} {free:.0f} GB free for {cache_dir()} (a fresh run takes about {_DISK_GB})")
    memory = psutil.virtual_memory().available / 1e9
    word = "ok" if memory >= _MEMORY_GB else "warn"
    cores = len(os.sched_getaffinity(0))
    ui.say(
        f"{word:<7} {cores} cores, {memory:.0f} GB of memory, Python {platform.python_version()}"
    )
