# SPDX-License-Identifier: GPL-2.0-or-later
"""The same programs on real boards: a job of LAVA, a suite description, a line of tuxrun.

The ramdisk is a guest's image with a shell on its console, so that nothing but a kernel, it and a
serial line is needed.  Formats: LAVA's "Job submission" and "Interactive test action" schemas, and
Lava-Test Test Definition 1.0; tuxrun takes a tarball as an overlay over its own root.
"""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import libarchive

from pinrace.arches import Arch
from pinrace.errors import UserError
from pinrace.guest.plan import PLAN_PATH, shell_plan
from pinrace.image.cpio import Entry
from pinrace.image.initramfs import overlay
from pinrace.values import Image, Job, Kernel

JOB, SUITE, KERNEL, RAMDISK, OVERLAY = (
    "job.yaml", "suite.yaml", "kernel", "ramdisk.cpio.gz", "overlay.tar.gz",
)  # fmt: skip
METHODS = ("u-boot", "grub", "ipxe")
PROMPT = "# "
_SLOWER = 2.0  # than a native machine, which a board's time limits allow for
_MINUTES = 20  # for deployment and boot, each


@dataclass(frozen=True)
class Board:
    """What a lab calls the board, and how it boots there."""

    device_type: str
    method: str = "u-boot"
    console: str = ""  # tty of the board's console; "" for the arch's in QEMU
    url: str = ""  # below which the folder is served; "" for file:// of where it is

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.device_type):
            raise UserError(f"'{self.device_type}' is no device type of LAVA")


@dataclass(frozen=True)
class Payload:
    """What runs there; files lie over the image."""

    arch: Arch
    kernel: Kernel
    image: Image
    jobs: tuple[Job, ...]
    files: tuple[Entry, ...] = ()


def write(folder: Path, board: Board, it: Payload) -> list[Path]:
    """Write all of it into the folder and return the files.

    Raises UserError for a kernel that no board boots: an ELF file, which is QEMU's alone.
    """
    arch = it.arch
    at, magic = arch.boot_magic
    content = it.kernel.boot.read_bytes()
    if content[at : at + len(magic)] != magic:
        raise UserError(
            f"{it.kernel.boot} is no {arch.boot_target}", hint=f"--kernel …/{arch.boot_path}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / KERNEL).write_bytes(content)
    plan = shell_plan(arch)
    if board.console:
        plan = plan.replace(f"console {arch.console_tty}\n".encode(),
                            f"console {board.console}\n".encode())  # fmt: skip
    plain = overlay(it.image, {PLAN_PATH: plan}, folder / "ramdisk.cpio", it.files)
    with plain.open("rb") as source, gzip.open(folder / RAMDISK, "wb") as sink:
        shutil.copyfileobj(source, sink)
    _overlay(it, folder / OVERLAY)
    plain.unlink()
    # JSON is YAML, and needs no library to be written.
    (folder / JOB).write_text(json.dumps(job(folder, board, arch, it.jobs), indent=2) + "\n")
    (folder / SUITE).write_text(json.dumps(suite(it.jobs), indent=2) + "\n")
    return [folder / name for name in (JOB, SUITE, KERNEL, RAMDISK, OVERLAY)]


def _overlay(it: Payload, into: Path) -> None:
    """Pack the programs as a tarball; they are static, and run on any root."""
    with tarfile.open(into, "w:gz") as tar:

        def add(name: str, mode: int, data: bytes) -> None:
            info = tarfile.TarInfo(name.lstrip("./"))
            info.size, info.mode = len(data), mode & 0o777
            tar.addfile(info, BytesIO(data))

        with libarchive.file_reader(str(it.image.path)) as archive:
            for entry in archive:
                if entry.isfile and entry.pathname.lstrip("./").startswith("pinrace/"):
                    add(entry.pathname, entry.mode, b"".join(entry.get_blocks()))
        for one in it.files:
            if one.data is not None:
                add(one.path, one.mode, one.content())


def line(job: Job) -> str:
    """Return the command line of a job in a shell; what it says on fd 3 is on the console too."""
    env = [f"{name}={shlex.quote(value)}" for name, value in job.env]
    place = f"cd {shlex.quote(job.cwd)} && " if job.cwd else ""
    return f"{place}{' '.join([*env, shlex.join(job.argv)])} 3>&1"


def name_of(job: Job) -> str:
    """Return a job's name as a test case of LAVA may be called."""
    return re.sub(r"[^\w.-]", "-", job.name)


def seconds(job: Job) -> int:
    """Return how long a board may take for a job."""
    return int(job.timeout * _SLOWER) + 1


def job(folder: Path, board: Board, arch: Arch, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the job: deploy by TFTP, boot to the shell, run each program, read its status."""
    base = (board.url or folder.resolve().as_uri()).rstrip("/")
    limit = sum(map(seconds, jobs))
    script: list[dict[str, Any]] = [{"command": "uname -a"}]
    for one in jobs:
        name = name_of(one)
        script.append(
            {
                "name": name,
                "command": f"{line(one)}; echo pinrace-status {name} $?.",
                "successes": [{"message": f"pinrace-status {name} 0\\."}],
                "failures": [
                    {"message": f"pinrace-status {name} [1-9][0-9]*\\.", "error": "it failed"},
                    {"message": "Kernel panic - not syncing", "error": "the kernel panicked"},
                ],
            }
        )
    kernel: dict[str, Any] = {"url": f"{base}/{KERNEL}", "type": "image"}
    return {
        "job_name": f"pinrace {', '.join(one.name for one in jobs)} on {arch.name}"[:200],
        "device_type": board.device_type,
        "visibility": "public",
        "priority": "medium",
        "timeouts": {
            "job": {"minutes": 2 * _MINUTES + limit // 60 + 5},
            "action": {"minutes": _MINUTES},
            "connection": {"minutes": 2},
        },
        "metadata": {"made-by": "pinrace"},
        "actions": [
            {
                "deploy": {
                    "timeout": {"minutes": _MINUTES},
                    "to": "tftp",
                    "kernel": kernel,
                    "ramdisk": {"url": f"{base}/{RAMDISK}", "compression": "gz"},
                }
            },
            {
                "boot": {
                    "timeout": {"minutes": _MINUTES},
                    "method": board.method,
                    "commands": "ramdisk",
                    "prompts": [PROMPT],
                }
            },
            {
                "test": {
                    "timeout": {"seconds": limit + 60},
                    "interactive": [{"name": "pinrace", "prompts": [PROMPT], "script": script}],
                }
            },
        ],
    }


def suite(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the description for boards that boot a root of their own, with the overlay in it."""
    steps = [
        f"lava-test-case {name_of(one)} --shell timeout {seconds(one)}"
        f" sh -c {shlex.quote(line(one))}"
        for one in jobs
    ]
    return {
        "metadata": {
            "format": "Lava-Test Test Definition 1.0",
            "name": "pinrace",
            "description": "pinrace's guest programs and races; exit status 0 is a pass",
            "os": ["debian", "openembedded"],
            "scope": ["functional"],
        },
        "run": {"steps": steps},
    }


def tuxrun(folder: Path, arch: Arch, jobs: Sequence[Job]) -> str:
    """Return the line that runs the first job on tuxrun's own QEMU, over its own root."""
    argv = ["tuxrun", "--device", f"qemu-{arch.name}", "--kernel", str(folder / KERNEL)]
    argv += ["--overlay", str(folder / OVERLAY), "--", "sh", "-c", line(jobs[0])]
    return shlex.join(argv)
