# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot a guest, run jobs in it, and say how it ended.  Nothing here waits without an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from pinrace import procs
from pinrace.arches import get_arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.guest import dump, outcome, sysrq
from pinrace.guest.channel import Decoder, Record
from pinrace.guest.console import Watcher
from pinrace.guest.dump import Kept
from pinrace.guest.machine import Machine, argv
from pinrace.guest.outcome import Ending, GuestRun, JobRun
from pinrace.guest.plan import PLAN_PATH, guest_timeout, jobs_plan
from pinrace.guest.process import Guest
from pinrace.guest.qmp import FAILURES, Monitor
from pinrace.image.cpio import Entry
from pinrace.image.initramfs import overlay
from pinrace.values import Image, Job

__all__ = ["Ending", "GuestRun", "JobRun", "Limits", "run_guest"]

POLL = 0.05  # seconds between looks at the channel while the console is silent
REPLAY_SLOWER = 4.0  # a replay's guest clock runs slower than the host's, by less than this


@dataclass(frozen=True)
class Limits:
    """How long and how much; seconds are those of a native machine, scaled by the accelerator."""

    boot: float = 12.0  # until init reports; a debug kernel on a busy host took 4.7
    step: float = 4.0  # between two records that follow each other at once; to leave when done
    panic: float = 1.0  # from the panic line to the end of QEMU
    console: int = 16 << 20  # bytes
    channel: int = 64 << 20  # bytes


def run_guest(
    boot: Path,
    image: Image,
    jobs: Sequence[Job],
    machine: Machine,
    folder: Path,
    *,
    deadline: Deadline = Deadline(),  # noqa: B008 (frozen)
    limits: Limits = Limits(),
    on_record: Callable[[Record], None] | None = None,
    stop: threading.Event | None = None,
    keep_initrd: bool = False,
    files: Sequence[Entry] = (),
    remain: Callable[[Guest], None] | None = None,
) -> GuestRun:
    """Boot a kernel, run the jobs one after the other, and return what became of them.

    The folder gets console.log, channel.bin (the result channel as it came), qemu.txt (the
    command line), and with machine.dump the memory of a guest that died or hangs.  on_record sees
    each record as it arrives; files lie over the image in this one guest.  With `remain`, there is
    a shell on the console when all jobs are done, and it is called
    to make use of that.  Call it from a thread that lasts; setting `stop` from another one ends it
    with KeyboardInterrupt.  Raises UserError for jobs that a plan cannot hold, and
    InfrastructureError when QEMU does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arch = get_arch(machine.arch)
    plan = jobs_plan(arch, jobs, machine.accel.scale, remain=remain is not None)
    place = folder / "initrd"
    place.touch(mode=0o600)  # it may hold the key of this guest
    initrd = overlay(image, {PLAN_PATH: plan}, place, files)
    console, channel = folder / "console.log", folder / "channel.bin"
    words = argv(machine, boot, initrd, console_log=console, channel=channel)
    words += machine.qemu.confined
    (folder / "qemu.txt").write_text(procs.show(words) + "\n")
    session = _Session(jobs, machine, limits, deadline, on_record)
    session.remains = remain is not None
    try:
        with ExitStack() as held:
            if machine.dump:
                more, session.monitor = held.enter_context(dump.monitor())
                words += more
            guest = held.enter_context(Guest(words, channel))
            session.follow(guest, stop)
            if remain and session.done:
                remain(guest)
                session.ending, session.reason = Ending.DONE, "all jobs ended"
            else:
                session.last_words(guest, folder)
            how = guest.end()
        return session.result(guest, how, console)
    finally:
        if not keep_initrd:
            initrd.unlink(missing_ok=True)


class _Session:
    """One run while it lasts: what has come, and until when the next thing has to."""

    def __init__(
        self,
        jobs: Sequence[Job],
        machine: Machine,
        limits: Limits,
        deadline: Deadline,
        on_record: Callable[[Record], None] | None,
    ) -> None:
        self.jobs, self.machine, self.limits = jobs, machine, limits
        self.whole = deadline
        self.on_record = on_record
        self.began = time.monotonic()
        self.watcher, self.decoder = Watcher(), Decoder()
        self.records: list[Record] = []
        self.boot_seconds: float | None = None
        self.ending: Ending | None = None  # when it was us who ended it
        self.reason = ""
        self.doing = "booting"
        self.until = self._in(limits.boot)
        self.panicked = False
        self.remains = False  # when all jobs are done
        self.monitor: Monitor | None = None  # where its memory is to be kept
        self.dump: Kept | None = None

    @property
    def done(self) -> bool:
        """Whether the guest has said that all jobs are."""
        return any(record.type == "done" for record in self.records)

    def _in(self, seconds: float, *, guest: float = 0.0) -> Deadline:
        """Return the deadline that many native seconds from now, plus seconds of guest time."""
        slower = REPLAY_SLOWER if self.machine.replay else 1.0
        self.allowed = (seconds * self.machine.accel.scale + guest) * slower
        return self.whole.within(self.allowed)

    def follow(self, guest: Guest, stop: threading.Event | None) -> None:
        """Read until the guest has ended, or must be."""
        while not guest.ended:
            if stop and stop.is_set():
                raise KeyboardInterrupt
            self.watcher.feed(guest.read_console(POLL))
            busy = self._read_channel(guest)
            if self.watcher.panic is not None and not self.panicked:
                self.panicked = True
                self.until = self._in(self.limits.panic)
            if self.remains and self.done:
                return
            if self.monitor and not busy and self._stopped(self.monitor):
                break
            if self._flooded() or (self.until.expired and not busy and self._overdue()):
                return
        while self._read_channel(guest):
            pass
        self.watcher.finish()

    def _stopped(self, monitor: Monitor) -> bool:
        """Whether the guest has ended, and QEMU keeps its memory until it is told to leave."""
        try:
            return monitor.stopped
        except FAILURES:
            return False  # QEMU is about to end by itself

    def last_words(self, guest: Guest, folder: Path) -> None:
        """Ask a guest that hangs what its tasks do, and keep the memory of one that died or hangs.

        QEMU leaves by itself then, as it does without a monitor.
        """
        hangs = self.ending in (Ending.HANG, Ending.NO_BOOT) and not guest.ended
        if hangs and not self.machine.replay:
            sysrq.ask(guest, self.watcher, self.machine.accel.scale)
        if self.monitor is None or guest.ended:
            return
        if hangs or self.panicked or not self.done:
            machine = self.machine
            self.dump = dump.keep(self.monitor, folder, memory=machine.mem_mb, limit=machine.dump)
        if hangs:
            return
        with suppress(*FAILURES):
            self.monitor.ask("quit")
        leave = self._in(self.limits.step)
        while not guest.ended and not leave.expired:
            self.watcher.feed(guest.read_console(POLL))

    def _read_channel(self, guest: Guest) -> bool:
        """Take what is there; whether there was anything."""
        data = guest.read_channel()
        for record in self.decoder.feed(data):
            self.records.append(record)
            self._expect_after(record)
            if self.on_record:
                self.on_record(record)
        return bool(data)

    def _expect_after(self, record: Record) -> None:
        """Set what has to come next, and until when."""
        if self.panicked or record.type in ("out", "rec"):
            return
        step = self.limits.step
        if record.type == "hello":
            self.boot_seconds = time.monotonic() - self.began
        if record.type == "start":
            name = record.fields().get("job", "")
            job = next((job for job in self.jobs if job.name == name), None)
            given = guest_timeout(job, self.machine.accel.scale) if job else 0
            self.doing = f"running job '{name}'"
            self.until = self._in(step, guest=given)
        else:
            self.doing = "rebooting at the end" if record.type == "done" else "between two jobs"
            self.until = self._in(step)

    def _flooded(self) -> bool:
        """Note an end because of too much output."""
        for size, limit, what in (
            (self.watcher.size, self.limits.console, "the console"),
            (self.decoder.size, self.limits.channel, "the result channel"),
        ):
            if size > limit:
                self.ending = Ending.FLOOD
                self.reason = f"more than {limit >> 10} KiB on {what} while {self.doing}"
                return True
        return False

    def _overdue(self) -> bool:
        """Note an end because time is over."""
        if self.panicked:
            return True  # the panic says it all
        if self.whole.expired:
            limit = f"the time given to the whole run ({time.monotonic() - self.began:.0f} s)"
        else:
            limit = f"the limit of {self.allowed:.0f} s"
        booted = self.boot_seconds is not None
        self.ending = Ending.HANG if booted else Ending.NO_BOOT
        last = self.watcher.last_line
        self.reason = f"still {self.doing} at {limit}" + (
            f"; last on the console: {last}" * bool(last)
        )
        return True

    def result(self, guest: Guest, how: str, console: Path) -> GuestRun:
        """Return the value of the finished run."""
        self.watcher.finish()
        self.decoder.finish()
        ending, reason = self._judge(how, console)
        runs, wrong = outcome.gather(self.jobs, self.records, reason)
        hello = next((r.fields() for r in self.records if r.type == "hello"), {})
        return GuestRun(
            ending=ending,
            reason=reason,
            jobs=runs,
            records=tuple(self.records),
            damage=(*(str(error) for error in self.decoder.errors), *wrong),
            hello=hello,
            console=console,
            tail=self.watcher.tail,
            seconds=time.monotonic() - self.began,
            boot_seconds=self.boot_seconds,
            cpu_seconds=guest.cpu_seconds,
            dump=self.dump,
        )

    def _judge(self, how: str, console: Path) -> tuple[Ending, str]:
        """Say how it ended; `how` is QEMU's own end."""
        watcher = self.watcher
        if watcher.panic is not None:
            return Ending.PANIC, f"kernel panic while {self.doing}: {watcher.panic}"
        if self.ending:
            return self.ending, self.reason
        if watcher.terminated:
            return Ending.KILLED, f"QEMU was ended by {watcher.terminated} while {self.doing}"
        said = watcher.qemu_says[-1] if watcher.qemu_says else "it said nothing"
        if how and not how.startswith("SIG") and not (watcher.guest_spoke or self.records):
            raise InfrastructureError(
                f"QEMU did not start ({how}): {said}", log=console, hint="pinrace doctor"
            )
        if how:
            return Ending.KILLED, f"QEMU ended with {how} while {self.doing}: {said}"
        if self.done:
            return Ending.DONE, "all jobs ended"
        return Ending.EARLY_EXIT, f"the guest reset or powered off while {self.doing}"
