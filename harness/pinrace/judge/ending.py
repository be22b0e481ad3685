# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end of a guest says of its kernel: the one reading of it, for every command."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pinrace.guest.outcome import GuestRun
from pinrace.judge.splats import Rules, load_rules
from pinrace.values import Ending, Splat


class End(StrEnum):
    """What a guest's end says."""

    DIED = "died"  # the kernel panicked, or reset the machine unasked
    REPORTED = "reported"  # it came to its end, and reported a fault of its own
    HUNG = "hung"  # it made no progress, or printed without an end
    INFRA = "infra"  # the host, the harness or the result channel: no word on the kernel
    ENDED = "ended"  # it came to its planned end, and reported nothing


@dataclass(frozen=True)
class Reading:
    """What a guest's end says, with the sentence for people."""

    end: End
    sentence: str
    reports: tuple[Splat, ...] = ()  # of the kernel's own, those that are not known

    @property
    def against(self) -> bool:
        """Whether it speaks against the kernel."""
        return self.end in (End.DIED, End.REPORTED, End.HUNG)


def read(
    ending: Ending,
    reason: str = "",
    *,
    splats: Sequence[Splat] = (),
    known: Collection[str] = (),
    damage: str = "",
    booted: bool | None = None,
    boots: bool = False,
    rules: Rules | None = None,
) -> Reading:
    """Read a guest's end, the gravest first.

    reason: the sentence that goes with the ending.  splats: what the kernel printed; reports whose
    fingerprints are `known` do not count.  damage: what is wrong with the result channel.  booted:
    whether init reported; None for what the ending says.  boots: the same guest boots with another
    kernel, so that one that does not is the kernel's fault.

    A report outweighs the host's trouble: it was printed.  A damaged channel says nothing of a
    guest that seems to hang, as the record that it waits for may be the one that is damaged.
    """
    rules = rules or load_rules()
    why = f": {reason}" if reason else ""
    if booted is None:
        booted = ending is not Ending.NO_BOOT
    setup = [splat for splat in splats if rules.severity(splat.rule) == "setup"]
    if setup and not booted:
        return Reading(End.INFRA, f"the guest was put together wrongly: {setup[0].title}")
    reports = tuple(s for s in splats if rules.counts(s) and s.fingerprint not in known)
    died = ending in (Ending.PANIC, Ending.EARLY_EXIT)
    if reports:
        more = f", and {len(reports) - 1} more" if len(reports) > 1 else ""
        said = f"the kernel reported {reports[0].title}{more}"
        return Reading(End.DIED if died else End.REPORTED, said, reports)
    hosts = [splat for splat in splats if rules.severity(splat.rule) == "host"]
    if hosts:
        return Reading(End.INFRA, f"the host was too busy for this guest: {hosts[0].title}")
    if ending is Ending.KILLED:
        return Reading(End.INFRA, f"the guest could not be run{why}")
    if ending is Ending.NO_BOOT:
        if boots:
            return Reading(End.HUNG, f"the kernel did not boot, the unpatched one does{why}")
        return Reading(End.INFRA, f"the guest did not boot{why}")
    if died:
        return Reading(End.DIED, f"the kernel panicked or reset itself{why}")
    if damage:
        return Reading(End.INFRA, f"the results arrived damaged: {damage}")
    if ending in (Ending.HANG, Ending.FLOOD):
        return Reading(End.HUNG, f"the kernel hung{why}")
    return Reading(End.ENDED, reason or "all jobs ended")


def of(run: GuestRun, splats: Sequence[Splat] = (), *, rules: Rules | None = None) -> Reading:
    """Read the end of a guest that nothing is compared with."""
    return read(
        run.ending,
        run.reason,
        splats=splats,
        damage="; ".join(run.damage),
        booted=run.boot_seconds is not None,
        rules=rules,
    )
