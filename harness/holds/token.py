# SPDX-License-Identifier: GPL-2.0-or-later
"""The token of a hold: all that it takes to play it again, and the verdict that it gives.

ph1:ABI:TREE:PATCHED:FLAVOR:QEMU:KERNEL:IMAGE:SCENARIO:HOLD:VERDICT, where TREE and PATCHED are as
in harness/replay/token.py, IMAGE is the digest of the image without a run's own files, and HOLD as
in harness/holds/spec.py.  It promises the same verdict, not the same bytes on the console, so it
does not depend on how the machine counts time, and hardly on which QEMU it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

from harness.errors import UserError
from harness.holds import spec
from harness.holds.session import Lab
from harness.holds.spec import Hold
from harness.replay.token import DIGITS, qemu_word, short_file

VERSION = "ph1"

_HEX = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
_VERDICT = re.compile(r"crashed|(violated|kept)\.[a-z?-]\.\d{1,2}\.\d{1,2}")


@dataclass(frozen=True)
class HoldToken:
    """A hold in a kernel of one's own."""

    abi: str
    tree: str
    patched: str
    flavor: str
    qemu: str
    kernel: str
    image: str
    scenario: str
    hold: str
    verdict: str

    def __str__(self) -> str:
        words = [getattr(self, field.name) for field in fields(self)]
        return ":".join([VERSION, *(word.replace(":", "=") for word in words)])

    @property
    def spec(self) -> Hold:
        """The hold."""
        return spec.parse(self.hold)


def is_token(text: str) -> bool:
    """Whether a text is a token of this kind, rather than of another."""
    return text.strip().startswith(f"{VERSION}:")


def parse(text: str) -> HoldToken:
    """Return the token; UserError says what is wrong with a text that is none."""
    version, *words = text.strip().split(":")
    names = [field.name for field in fields(HoldToken)]
    hint = "copy the whole of it: it begins with ph1: and has no spaces"
    if version != VERSION or len(words) != len(names):
        raise UserError(
            f"the token has {len(words)} parts behind {version}, not {len(names)}", hint=hint
        )
    token = HoldToken(*words)
    token = replace(token, tree=token.tree.replace("=", ":"))
    for name in ("patched", "kernel", "image"):
        if not _HEX.fullmatch(getattr(token, name)):
            raise UserError(f"the token's {name} is no digest of {DIGITS} digits", hint=hint)
    if not _VERDICT.fullmatch(token.verdict):
        raise UserError(f"'{token.verdict}' is no verdict of a hold", hint=hint)
    spec.parse(token.hold)
    return token


def make(
    lab: Lab, *, tree: str, patched: str, scenario: str, hold: Hold, verdict: str
) -> HoldToken:
    """Return the token of a hold in this lab; patched: the id of the tree with its series."""
    return HoldToken(
        abi=lab.image.abi,
        tree=tree,
        patched=patched[:DIGITS],
        flavor=lab.kernel.flavor,
        qemu=qemu_word(lab.machine.qemu),
        kernel=short_file(lab.kernel.boot),
        image=lab.image.digest[:DIGITS],
        scenario=scenario,
        hold=str(hold),
        verdict=verdict,
    )


def differences(wanted: HoldToken, have: HoldToken) -> list[str]:
    """Return what of the making is not as the token says, for people."""
    names = {
        "patched": "the tree with its series",
        "kernel": "the kernel's file",
        "image": "the root file system",
    }
    return [
        f"{what}: {getattr(have, name)} here, {getattr(wanted, name)} in the token"
        for name, what in names.items()
        if getattr(have, name) != getattr(wanted, name)
    ]
