# SPDX-License-Identifier: GPL-2.0-or-later
"""The token of a deterministic run: all that it takes to replay that run.

pr1:ABI:JOB:TREE:PATCHED:FLAVOR:SEED:QEMU:KERNEL:IMAGE:MACHINE:FINGERPRINT, written as
races/replay/words.py says, where PATCHED is the id of the tree with the series applied.  The
digests are those of the kernel's file, of the root file system's, of QEMU's whole command line
without the places of files, and of what the run printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pinrace.guest.machine import Machine, Replay, argv
from pinrace.races.replay import words
from pinrace.races.replay.words import short

VERSION = "pr1"
DIGESTS = ("patched", "kernel", "image", "machine", "fingerprint")
_SEED = re.compile(r"s(\d+)\.(\d+)\.(\d+)")  # seed, icount shift, vCPUs
# What has to be the same, and how people call it.
MADE_OF = {
    "patched": "the tree with its series",
    "qemu": "QEMU",
    "kernel": "the kernel's file",
    "image": "the root file system",
    "machine": "QEMU's command line",
}


@dataclass(frozen=True)
class Token:
    """A deterministic run."""

    abi: str
    job: str
    tree: str
    patched: str
    flavor: str
    seed: str  # "s7.1.2": seed 7, shift 1, 2 vCPUs
    qemu: str
    kernel: str
    image: str
    machine: str
    fingerprint: str

    def __str__(self) -> str:
        return words.write(VERSION, self)

    @property
    def replay(self) -> Replay:
        """How the machine is made to repeat itself."""
        seed, shift, _ = self._numbers()
        return Replay(seed, shift)

    @property
    def smp(self) -> int:
        """How many vCPUs."""
        return self._numbers()[2]

    def _numbers(self) -> tuple[int, int, int]:
        match = _SEED.fullmatch(self.seed)
        assert match  # noqa: S101 (parse() has looked)
        return int(match[1]), int(match[2]), int(match[3])


def seed_word(replay: Replay, smp: int) -> str:
    """Return how a token writes these."""
    return f"s{replay.seed}.{replay.shift}.{smp}"


def parse(text: str) -> Token:
    """Return the token; UserError says what is wrong with a text that is none."""
    token = words.read(VERSION, Token, text, DIGESTS)
    check(VERSION, token)
    return token


def check(version: str, token: Token) -> None:
    """Raise UserError for a seed that is none."""
    if not _SEED.fullmatch(token.seed):
        raise words.wrong(version, f"'{token.seed}' is no seed as s7.1.2")


def machine_of(machine: Machine) -> dict[str, str]:
    """Return the fields of a token that its machine alone gives."""
    return {"qemu": words.qemu_word(machine.qemu), "machine": machine_digest(machine)}


def machine_digest(machine: Machine) -> str:
    """Return the digest of QEMU's command line, the places of files left out."""
    line = argv(
        machine, Path("kernel"), Path("initrd"), console_log=Path("console"), channel=Path("chan")
    )
    return short(" ".join(line[1:]).encode())
