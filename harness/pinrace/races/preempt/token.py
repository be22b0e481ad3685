# SPDX-License-Identifier: GPL-2.0-or-later
"""The token of a hold: all that it takes to play it again, and the verdict that it gives.

ph1:ABI:TREE:PATCHED:FLAVOR:QEMU:KERNEL:IMAGE:SCENARIO:HOLD:VERDICT, written as
races/replay/words.py says, where PATCHED is as in races/replay/token.py, IMAGE the digest of
the image without a run's own files, and HOLD as in races/preempt/spec.py.  It promises the same
verdict, not the same bytes on the console, so it does not depend on how the machine counts time,
and hardly on which QEMU it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pinrace.races.preempt import spec
from pinrace.races.preempt.session import Lab
from pinrace.races.preempt.spec import Hold
from pinrace.races.replay import words

VERSION = "ph1"
# What has to be the same, and how people call it.
MADE_OF = {
    "patched": "the tree with its series",
    "kernel": "the kernel's file",
    "image": "the root file system",
}

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
        return words.write(VERSION, self)

    @property
    def spec(self) -> Hold:
        """The hold."""
        return spec.parse(self.hold)


def is_token(text: str) -> bool:
    """Whether a text is a token of this kind, rather than of another."""
    return words.is_of(VERSION, text)


def parse(text: str) -> HoldToken:
    """Return the token; UserError says what is wrong with a text that is none."""
    token = words.read(VERSION, HoldToken, text, tuple(MADE_OF))
    check(VERSION, token)
    return token


def check(version: str, token: HoldToken) -> None:
    """Raise UserError for a verdict or a hold that is none."""
    if not _VERDICT.fullmatch(token.verdict):
        raise words.wrong(version, f"'{token.verdict}' is no verdict of a hold")
    spec.parse(token.hold)


def make(
    lab: Lab, *, tree: str, patched: str, scenario: str, hold: Hold, verdict: str
) -> HoldToken:
    """Return the token of a hold in this lab; patched: the id of the tree with its series."""
    return HoldToken(
        abi=lab.image.abi,
        tree=tree,
        patched=patched[: words.DIGITS],
        flavor=lab.kernel.flavor,
        qemu=words.qemu_word(lab.machine.qemu),
        kernel=words.short_kernel(lab.kernel.boot),
        image=lab.image.digest[: words.DIGITS],
        scenario=scenario,
        hold=str(hold),
        verdict=verdict,
    )
