# SPDX-License-Identifier: GPL-2.0-or-later
"""The token of a deterministic run: all that it takes to have that very run again.

pr1:ABI:JOB:TREE:PATCHED:FLAVOR:SEED:QEMU:KERNEL:IMAGE:MACHINE:FINGERPRINT, where TREE is a tree
as --tree takes it with "=" for ":", and PATCHED the id of the tree with the series applied.  The
digests are the first digits of a SHA-256: of the kernel's file, of the root file system's, of
QEMU's whole command line without the places of files, and of what the run printed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path

from harness.errors import UserError
from harness.guest.machine import Machine, Replay, argv
from harness.host.qemu import Qemu

VERSION = "pr1"
DIGITS = 10  # of a digest: 40 bits tell apart what one project ever builds

_SEED = re.compile(r"s(\d+)\.(\d+)\.(\d+)")  # seed, icount shift, vCPUs
# A note's header and content: include/uapi/linux/elf.h, with ld's --build-id=sha1
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)
_HEX = re.compile(rf"[0-9a-f]{{{DIGITS}}}")


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
        words = [getattr(self, field.name) for field in fields(self)]
        return ":".join([VERSION, *(word.replace(":", "=") for word in words)])

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
    version, *words = text.strip().split(":")
    names = [field.name for field in fields(Token)]
    hint = "copy the whole of it: it begins with pr1: and has no spaces"
    if version != VERSION:
        raise UserError(f"'{version}' is no kind of token that this pinrace knows", hint=hint)
    if len(words) != len(names):
        raise UserError(f"the token has {len(words)} parts behind pr1, not {len(names)}", hint=hint)
    token = Token(*words)
    token = replace(token, tree=token.tree.replace("=", ":"))
    if not _SEED.fullmatch(token.seed):
        raise UserError(f"'{token.seed}' is no seed as s7.1.2", hint=hint)
    for name in ("patched", "kernel", "image", "machine", "fingerprint"):
        if not _HEX.fullmatch(getattr(token, name)):
            raise UserError(f"the token's {name} is no digest of {DIGITS} digits", hint=hint)
    return token


def short(data: bytes) -> str:
    """Return the digest of these bytes, as tokens have it."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def short_file(path: Path) -> str:
    """Return the digest of a file, as tokens have it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGITS]


def short_kernel(path: Path) -> str:
    """Return the digest of a kernel's file, as tokens have it: without its build ids.

    They are made of the debug information too, which names the folder of the build, so that the
    same kernel built in another place has others.  The rest does not know where it was built.
    """
    return short(_BUILD_ID.sub(b"", path.read_bytes()))


def machine_digest(machine: Machine) -> str:
    """Return the digest of QEMU's command line, the places of files left out."""
    words = argv(
        machine, Path("kernel"), Path("initrd"), console_log=Path("console"), channel=Path("chan")
    )
    return short(" ".join(words[1:]).encode())


def qemu_word(qemu: Qemu) -> str:
    """Return the build of QEMU as tokens have it: its version and a digest of its own words."""
    return f"{qemu.version}-{short(qemu.build.encode())[:4]}"


def differences(wanted: Token, have: Token) -> list[str]:
    """Return what of the run's making is not as the token says, for people."""
    names = {
        "patched": "the tree with its series",
        "qemu": "QEMU",
        "kernel": "the kernel's file",
        "image": "the root file system",
        "machine": "QEMU's command line",
    }
    return [
        f"{what}: {getattr(have, name)} here, {getattr(wanted, name)} in the token"
        for name, what in names.items()
        if getattr(have, name) != getattr(wanted, name)
    ]
