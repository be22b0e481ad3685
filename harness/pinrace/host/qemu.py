# SPDX-License-Identifier: GPL-2.0-or-later
"""What the installed QEMU can do, asked of the program itself and never guessed from a version."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pinrace import procs, store
from pinrace.arches import Arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.paths import cache_dir

PROBE_SECONDS = 60  # for one `-… help`, which takes 0.2 s on an idle host


class Qemu(BaseModel):
    """One QEMU binary and what it offers."""

    model_config = ConfigDict(frozen=True)

    path: Path
    version: str  # e.g. "7.2.22"
    build: str  # the whole first line of -version, which names the package too
    machines: frozenset[str]
    cpus: frozenset[str]
    devices: frozenset[str]
    sandbox: bool = False  # whether it can filter its own system calls

    @property
    def confined(self) -> tuple[str, ...]:
        """Options that take from QEMU what no guest here needs: programs, users, priorities.

        They change nothing that a guest sees, and are no part of what a token names.
        """
        return ("-sandbox", SANDBOX) if self.sandbox else ()


SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def get_qemu(arch: Arch) -> Qemu:
    """Return the QEMU of an arch.

    Raises InfrastructureError when it is not installed, does not answer, or lacks what the arch
    needs: its machine type, or the device of the result channel.
    """
    found = shutil.which(arch.qemu)
    if not found:
        raise InfrastructureError(
            f"{arch.qemu} is not installed; it boots the {arch.name} guests",
            hint=f"apt install {arch.qemu_package}, then `pinrace doctor`",
        )
    qemu = _probed(Path(found).resolve())
    machine = arch.machine.split(",")[0]
    device = arch.channel_device.split(",")[0]
    for have, name, kind in (
        (qemu.machines, machine, "machine"),
        (qemu.devices, device, "device"),
    ):
        if name not in have:
            raise InfrastructureError(
                f"{qemu.path} {qemu.version} has no {kind} '{name}', which {arch.name} needs",
                hint=f"install the whole of {arch.qemu_package}, then `pinrace doctor`",
            )
    return qemu


def choose_cpu(arch: Arch, qemu: Qemu, accel: str = "tcg") -> str:
    """Return the CPU model to use under that accelerator: the first of the arch's that QEMU has.

    Raises InfrastructureError when it has none of them.
    """
    wanted = (arch.kvm_cpu,) if accel == "kvm" else arch.cpus
    for cpu in wanted:
        if cpu in qemu.cpus:
            return cpu
    raise InfrastructureError(
        f"{qemu.path} {qemu.version} has none of the CPUs {', '.join(wanted)}",
        hint=f"install the whole of {arch.qemu_package}, then `pinrace doctor`",
    )


def parse_version(text: str) -> str:
    """Return the version from `-version`, e.g. "7.2.22"; "" when there is none."""
    match = re.search(r"^QEMU emulator version (\d+(?:\.\d+)+)", text, re.MULTILINE)
    return match.group(1) if match else ""


def parse_machines(text: str) -> frozenset[str]:
    """Return the names from `-machine help`, aliases included: each line starts with one."""
    return frozenset(_first_words(text))


def parse_cpus(text: str) -> frozenset[str]:
    """Return the names from `-cpu help`.

    Some targets put a word before the name ("x86 qemu64  QEMU Virtual CPU…") and follow the list
    with one of feature flags; others have bare, indented names.
    """
    names = set()
    for line in text.partition("Recognized CPUID flags")[0].splitlines()[1:]:
        words = line.split()
        if words:
            names.add(words[1] if words[0] == "x86" and len(words) > 1 else words[0])
    return frozenset(names)


def parse_devices(text: str) -> frozenset[str]:
    """Return the names from `-device help`, aliases included."""
    return frozenset(re.findall(r'(?:^name|\balias) "([^"]+)"', text, re.MULTILINE))


def _first_words(text: str) -> list[str]:
    """First words of all lines but the heading."""
    return [words[0] for line in text.splitlines()[1:] if (words := line.split())]


def _probed(path: Path) -> Qemu:
    """Return the probe's result, from the cache when this very file was asked before."""
    stat = path.stat()
    key = store.digest("qemu-2", str(path), str(stat.st_mtime_ns), str(stat.st_size))
    memo = cache_dir() / "host" / f"qemu-{key}.json"
    memo.parent.mkdir(exist_ok=True)
    with store.locked(f"host-qemu-{key}"):
        try:
            return Qemu.model_validate_json(memo.read_bytes())
        except (FileNotFoundError, ValidationError):
            qemu = _probe(path)
            store.write_json(memo, qemu.model_dump(mode="json"))
            return qemu


def _probe(path: Path) -> Qemu:
    """Ask the binary."""

    def ask(*words: str) -> str:
        return procs.run(
            [path, *words],
            deadline=Deadline.after(PROBE_SECONDS),
            what=f"{path} {' '.join(words)}",
            hint="install QEMU whole, all its packages of one version",
        ).output

    build = ask("-version")
    version = parse_version(build)
    qemu = Qemu(
        path=path,
        version=version,
        build=build.splitlines()[0] if build else "",
        machines=parse_machines(ask("-machine", "help")),
        cpus=parse_cpus(ask("-cpu", "help")),
        devices=parse_devices(ask("-device", "help")),
        sandbox=_has_sandbox(path),
    )
    if not (version and qemu.machines and qemu.cpus and qemu.devices):
        raise InfrastructureError(
            f"{path} does not answer as QEMU does: '{qemu.build}'", hint="pinrace doctor"
        )
    return qemu


def _has_sandbox(path: Path) -> bool:
    """Whether a QEMU starts with its filters: a machine without a CPU, told to quit."""
    words = ("-nodefaults", "-no-user-config", "-display", "none", "-machine", "none")
    return not procs.run(
        [path, *words, "-sandbox", SANDBOX, "-monitor", "stdio"],
        stdin=b"quit\n",
        deadline=Deadline.after(PROBE_SECONDS),
        check=False,
        what=f"{path} -sandbox",
    ).status
