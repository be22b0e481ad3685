# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user adds to the machine of a guest: memory, boot parameters, folders of the host."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace import store
from pinrace.errors import UserError
from pinrace.guest.machine import Machine
from pinrace.paths import given
from pinrace.values import Job, Request

# What a kernel needs to mount a folder of the host.
SHARE_CONFIG = ("NET_9P=y", "NET_9P_VIRTIO=y", "9P_FS=y")
JOB = "(share)"
_MOUNT_SECONDS = 10.0
_LEAST_MEMORY = 128  # MiB that a guest boots with


@dataclass(frozen=True)
class Share:
    """A folder of the host that the guest sees; it cannot write there unless that is asked for."""

    folder: Path
    place: str
    writable: bool = False

    @property
    def word(self) -> str:
        """What --share takes for it."""
        return f"{self.folder}:{self.place}" + (":rw" if self.writable else "")

    @property
    def state(self) -> str:
        """The same as long as no file in it changes."""
        return store.digest(self.word, *map(_seen, sorted(self.folder.rglob("*"))))


def _seen(path: Path) -> str:
    """Return what changes with a file; "" for one that has just gone, or may not be looked at."""
    try:
        found = os.lstat(path)
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def share(word: str) -> Share:
    """Return what FOLDER, FOLDER:PLACE or FOLDER:PLACE:rw means; UserError for what is none."""
    body, _, last = word.rpartition(":")
    writable = last == "rw" and bool(body)
    folder, _, place = (body if writable else word).partition(":")
    path = given(folder).absolute()
    if not path.is_dir():
        raise UserError(f"--share {word}: there is no folder {path}")
    place = place or f"/mnt/{path.name}"
    if not place.startswith("/") or ".." in place or any(c.isspace() for c in place):
        raise UserError(f"--share {word}: {place} is no place", hint="--share FOLDER:/mnt/here")
    return Share(path, place, writable)


@dataclass(frozen=True)
class Extras:
    """All of it; mem_mb is 0 for the usual memory."""

    mem_mb: int = 0
    append: tuple[str, ...] = ()
    sysctl: tuple[str, ...] = ()  # NAME=VALUE
    shares: tuple[Share, ...] = ()

    def __post_init__(self) -> None:
        if self.mem_mb < 0 or 0 < self.mem_mb < _LEAST_MEMORY:
            raise UserError(f"--mem takes {_LEAST_MEMORY} MiB or more")
        for word in self.append:
            if any(c.isspace() for c in word) or not word.isprintable() or not word:
                raise UserError(
                    f"--append takes one word, not '{word}'", hint="--append A --append B"
                )

        for word in self.sysctl:
            if not re.fullmatch(r"[\w./-]+=[!-~]*", word):
                raise UserError(
                    f"--sysctl takes NAME=VALUE, not '{word}'", hint="--sysctl vm.swappiness=10"
                )

    def ask(self, asked: Request) -> Request:
        """Return the request whose kernels can mount the folders, if there are any."""
        more = SHARE_CONFIG if self.shares else ()
        return replace(asked, extra=tuple(dict.fromkeys((*asked.extra, *more))))

    def apply(self, usual: Machine) -> Machine:
        """Return the machine with all of it."""
        return replace(
            usual,
            mem_mb=self.mem_mb or usual.mem_mb,
            cmdline=(*usual.cmdline, *self.append, *(f"sysctl.{word}" for word in self.sysctl)),
            qemu_args=(*usual.qemu_args, *_devices(self.shares)),
            first=_mounts(self.shares),
            beside=tuple(each.state for each in self.shares),
        )

    @property
    def words(self) -> list[str]:
        """Return the options that ask for it again."""
        return [
            *(["--mem", str(self.mem_mb)] if self.mem_mb else []),
            *(f"--append={each}" for each in self.append),
            *(f"--sysctl={each}" for each in self.sysctl),
            *(f"--share={each.word}" for each in self.shares),
        ]


def _devices(shares: tuple[Share, ...]) -> list[str]:
    """Return the options of QEMU; a comma in a path is written twice."""
    words = []
    for number, each in enumerate(shares):
        path = str(each.folder).replace(",", ",,")
        only = "" if each.writable else ",readonly=on"
        how = f"mount_tag=share{number},security_model=none,multidevs=remap{only}"
        words += ["-virtfs", f"local,path={path},{how}"]
    return words


def _mounts(shares: tuple[Share, ...]) -> tuple[Job, ...]:
    """Return the job that mounts them in the guest."""
    lines = ["set -e"]
    for number, each in enumerate(shares):
        place, mode = shlex.quote(each.place), "rw" if each.writable else "ro"
        lines.append(f"mkdir -p {place}")
        options = f"trans=virtio,version=9p2000.L,{mode}"
        lines.append(f"mount -t 9p -o {options} share{number} {place}")
    argv = ("/bin/sh", "-c", "\n".join(lines))
    return (Job(JOB, argv, _MOUNT_SECONDS, direct=False, records=False),) if shares else ()
