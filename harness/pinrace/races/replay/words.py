# SPDX-License-Identifier: GPL-2.0-or-later
"""What all kinds of tokens share: how one is written and read, and held against what is here.

A token is VERSION:WORD:WORD:…, a word for each field of a class.  In a tree, which is as --tree
takes it, "=" is for ":".  Digests are the first digits of a SHA-256.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from pinrace.errors import InfrastructureError, UserError
from pinrace.host.qemu import Qemu

DIGITS = 10  # of a digest: 40 bits tell apart what one project ever builds

_HEX = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
# A note's header and content: include/uapi/linux/elf.h, with ld's --build-id=sha1
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)


class Words(Protocol):
    """A token: a frozen dataclass whose fields are strings, these among them."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def abi(self) -> str:
        """What ran."""

    @property
    def tree(self) -> str:
        """What the kernel was built of, as --tree takes it."""

    @property
    def patched(self) -> str:
        """The first digits of the id of the tree with its series."""

    @property
    def flavor(self) -> str:
        """Of the kernel."""


Kind = TypeVar("Kind", bound=Words)


def write(version: str, token: Words) -> str:
    """Return the text of a token."""
    words = [str(getattr(token, field.name)) for field in fields(token)]
    return ":".join([version, *(word.replace(":", "=") for word in words)])


def is_of(version: str, text: str) -> bool:
    """Whether a text is a token of that kind, rather than of another."""
    return text.strip().startswith(f"{version}:")


def read(version: str, kind: type[Kind], text: str, digests: Sequence[str]) -> Kind:
    """Return the token of a text; digests: the fields that hold one.

    Raises UserError when it is of another kind, cut off, or a digest is none.
    """
    said, *words = text.strip().split(":")
    names = [field.name for field in fields(kind)]
    if said != version:
        raise wrong(version, f"'{said}' is no kind of token that this pinrace knows")
    if len(words) != len(names):
        raise wrong(version, f"the token has {len(words)} parts behind {said}, not {len(names)}")
    values = dict(zip(names, words, strict=True))
    values["tree"] = values["tree"].replace("=", ":")
    for name in digests:
        if not _HEX.fullmatch(values[name]):
            raise wrong(version, f"the token's {name} is no digest of {DIGITS} digits")
    return kind(**values)


def wrong(version: str, what: str) -> UserError:
    """Return the error of a text that is no token."""
    hint = f"copy the whole of it: it begins with {version}: and has no spaces"
    return UserError(what, hint=hint)


def refuse(wanted: Words, have: Words, names: Mapping[str, str]) -> None:
    """Raise InfrastructureError when these fields differ, with each that does."""
    if found := differences(wanted, have, names):
        listed = "".join(f"\n  {line}" for line in found)
        raise InfrastructureError(
            f"the token does not match this build:{listed}",
            hint="use the QEMU, compiler, guest programs and --config of the run that printed it",
        )


def differences(wanted: Words, have: Words, names: Mapping[str, str]) -> list[str]:
    """Return what is not as the token says, for people; names: fields, and what they are of."""
    return [
        f"{what}: {getattr(have, name)} here, {getattr(wanted, name)} in the token"
        for name, what in names.items()
        if getattr(have, name) != getattr(wanted, name)
    ]


def short(data: bytes) -> str:
    """Return the digest of these bytes."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def short_file(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGITS]


def short_kernel(path: Path) -> str:
    """Return the digest of a kernel's file, without its build ids.

    They are made of the debug information too, which a kernel of a mutant has lost.
    """
    return short(_BUILD_ID.sub(b"", path.read_bytes()))


def qemu_word(qemu: Qemu) -> str:
    """Return the build of QEMU: its version and a digest of its own words."""
    return f"{qemu.version}-{short(qemu.build.encode())[:4]}"
