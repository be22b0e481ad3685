# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine that a guest boots on, and the one place that writes QEMU command lines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.arches import Arch, get_arch
from pinrace.host.accel import CHOSEN, Accelerator, probe
from pinrace.host.qemu import Qemu, choose_cpu, get_qemu
from pinrace.values import Job

# Replays need the guest to see the same date each time, and nothing else needs another one.
RTC = "base=2024-01-01T00:00:00,clock=vm"

RICHEST = "max"  # the CPU model with all that QEMU emulates

# What is seen on a machine whose CPUs take turns, or are held by a debugger.
SEQUENTIAL = (
    "one CPU at a time, sequentially consistent: says nothing about missing memory barriers"
)
# And on one whose CPUs run at once under TCG.  Measured on an x86 host with store buffering, three
# hundred thousand rounds: 809 outcomes that no order gives on x86_64, 960 on arm64, and none of
# either with a full barrier.
UNORDERED = (
    "under TCG: a missing full barrier between a store and a load can be seen on an x86 host, one"
    " between two stores or two loads cannot"
)
# What keeps the kernel from using entropy or a layout of its own in a replay.
REPLAY_CMDLINE = "nokaslr norandmaps random.trust_cpu=off random.trust_bootloader=off"

# Without it KASAN says nothing after its first report.
KASAN_CMDLINE = "kasan_multi_shot"

# What it takes; -icount is both the counting and sleep=off.
INGREDIENTS = ("icount", "sleep", "seed", "rtc")


@dataclass(frozen=True)
class Replay:
    """Make every boot of the same files the same, instruction by instruction.

    Measured with QEMU 7.2 and 10.0: identical consoles with all of icount, -seed, an RTC on the
    virtual clock and sleep=off; different ones when any is missing.
    """

    seed: int
    shift: int = 1  # 2**shift virtual nanoseconds an instruction
    without: str = ""  # one of INGREDIENTS, left out to show what it is for


@dataclass(frozen=True)
class Machine:
    """A machine: everything about a guest but what it runs."""

    arch: str
    qemu: Qemu
    cpu: str
    accel: Accelerator
    smp: int = 2
    mem_mb: int = 512
    cmdline: tuple[str, ...] = ()  # added to the kernel's command line
    replay: Replay | None = None
    qemu_args: tuple[str, ...] = ()  # added to QEMU's, e.g. a gdb stub
    rich: bool = False  # its board has what is off unless asked for
    turns: bool = False  # its CPUs take turns on one of the host's, where that is up to us
    dump: int = 0  # keep its memory when it dies or hangs, in a file of at most so many MiB; 0: no
    first: tuple[Job, ...] = ()  # what has to end well in its guest before anything else runs
    beside: tuple[str, ...] = ()  # digests of what its guest sees of the host

    @property
    def threads(self) -> int:
        """How many of the host's CPUs it keeps busy at once."""
        return 1 if self.accel.name == "tcg" and (self.turns or self.replay) else self.smp


def get_machine(
    arch: Arch,
    *,
    smp: int = 2,
    mem_mb: int = 512,
    cmdline: tuple[str, ...] = (),
    replay: Replay | None = None,
    turns: bool = False,
) -> Machine:
    """Return a machine of the arch that works on this host.

    A replay is a matter of TCG alone, and so is turns: two guests of two threads each on two CPUs
    of the host took three times the CPU time that they took one after the other, and two that
    take turns no more than one.  Races that nobody stages need CPUs that run at once.

    Raises InfrastructureError when QEMU is not there or cannot run a guest.
    """
    qemu = get_qemu(arch)
    accel = probe(arch, qemu)
    if replay and accel.name != "tcg":
        accel = accel.model_copy(update={"name": "tcg", "reason": CHOSEN[1]})
    cpu = choose_cpu(arch, qemu, accel.name)
    return Machine(arch.name, qemu, cpu, accel, smp, mem_mb, cmdline, replay, turns=turns)


def richest(machine: Machine) -> Machine:
    """Return the machine with every feature that QEMU can give it, where that is up to us.

    Not what everything runs on: QEMU's `max` differs from release to release.
    """
    if machine.accel.name != "tcg" or RICHEST not in machine.qemu.cpus:
        return machine
    return replace(machine, cpu=RICHEST, rich=True)


def append_line(machine: Machine, boot: Path | None = None) -> str:
    """Return the command line of the kernel in that file.

    panic=-1 reboots at once after a panic, which ends a QEMU that runs with -no-reboot.
    A replay keeps to the words that its token was made with.
    """
    arch = get_arch(machine.arch)
    words = [f"console={arch.console_tty}", "panic=-1", arch.cmdline]
    if not machine.replay:
        words += [arch.live_cmdline, KASAN_CMDLINE if boot and has_kasan(boot) else ""]
    words += machine.cmdline
    if machine.replay:
        words.append(REPLAY_CMDLINE)
    return " ".join(word for word in words if word)


def has_kasan(boot: Path) -> bool:
    """Whether the kernel in that file has KASAN; the store keeps its configuration beside it."""
    try:
        return "CONFIG_KASAN=y" in (boot.parent / "config").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False  # of a kernel that was not built here


def argv(
    machine: Machine,
    boot: Path,
    initrd: Path,
    *,
    console_log: Path | None = None,
    channel: Path | None = None,
) -> list[str]:
    """Return the command line of QEMU.

    boot: what -kernel gets; an ELF vmlinux with a PVH note works on x86.  The console is QEMU's
    stdin and stdout, which QEMU itself copies to console_log, so that the log is whole whatever
    becomes of the reader; without console_log it is a person's terminal, where Ctrl-A X quits.
    channel: the file that receives the result channel.
    """
    arch = get_arch(machine.arch)
    more = (*arch.machine_args, *(arch.rich_args if machine.rich else ()))
    if console_log:
        # Multiplexed, so that a break can be sent; a token names the words of a replay.
        mux = "" if machine.replay else ",mux=on"
        stdio = f"stdio,id=con,signal=off{mux},logfile={_quoted(console_log)},logappend=off"
        serial = ["-chardev", stdio, "-serial", "chardev:con"]
    else:
        serial = ["-serial", "mon:stdio"]
    if channel:
        serial += ["-chardev", f"file,id=chan,path={_quoted(channel)}"]
    else:
        serial += ["-chardev", "null,id=chan"]
    return [
        *(str(machine.qemu.path), "-nodefaults", "-no-user-config", "-display", "none"),
        "-no-reboot",
        *("-machine", ",".join((arch.machine, *more)), "-cpu", machine.cpu),
        # One socket a CPU: SeaBIOS lists only the first CPU of a package in its MP table.
        *("-smp", f"{machine.smp},sockets={machine.smp},cores=1,threads=1"),
        *("-m", f"{machine.mem_mb}M", *_accel(machine), *_rtc(machine)),
        *("-kernel", str(boot), "-initrd", str(initrd), "-append", append_line(machine, boot)),
        *serial,
        *("-device", arch.channel_device),
        *machine.qemu_args,
    ]


def _accel(machine: Machine) -> list[str]:
    """Options of the accelerator.

    TCG's own default is one host thread a vCPU wherever the host's memory order allows that;
    forcing it elsewhere gives wrong results that only look like races.
    """
    replay = machine.replay
    single = ",thread=single" if machine.accel.name == "tcg" and machine.threads == 1 else ""
    words = ["-accel", machine.accel.name + single]
    if not replay:
        return words
    if replay.without != "icount":
        sleep = "" if replay.without == "sleep" else ",sleep=off"
        words += ["-icount", f"shift={replay.shift}{sleep}"]
    if replay.without != "seed":
        words += ["-seed", str(replay.seed)]
    return words


def _rtc(machine: Machine) -> list[str]:
    """Options of the real-time clock."""
    return [] if machine.replay and machine.replay.without == "rtc" else ["-rtc", RTC]


def _quoted(path: Path) -> str:
    """A path as a value in a QEMU option, where a comma is written twice."""
    return str(path).replace(",", ",,")
