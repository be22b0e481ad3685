# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's run came to, put together from the records that arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pinrace.guest.channel import Record
from pinrace.values import Job


class Ending(StrEnum):
    """How a guest ended."""

    DONE = "done"  # it said so, and left by itself
    PANIC = "panic"  # the kernel said so on the console
    HANG = "hang"  # it booted, then something took too long
    EARLY_EXIT = "early_exit"  # it reset or powered off before it was done
    FLOOD = "flood"  # it printed more than anyone will read
    KILLED = "killed"  # QEMU itself was ended from outside, or broke
    NO_BOOT = "no_boot"  # init did not report within the time for booting


@dataclass(frozen=True)
class JobRun:
    """What became of one job.  Exactly one of status, signal and error says how it ended."""

    name: str
    status: int | None = None
    signal: int | None = None
    error: str = ""  # why neither is known: not run, not started, cut off by the guest's end
    started: bool = False
    timed_out: bool = False
    unkillable: bool = False  # something of it was still there after SIGKILL
    output: bytes = b""  # stdout and stderr
    recs: tuple[str, ...] = ()  # lines of its fd 3
    elf_machine: int = 0  # of the program, as e_machine; 0 when it is no ELF file
    elf_class: int = 0  # 32 or 64; 0 when it is no ELF file
    seconds: float = 0.0  # on the guest's clock


@dataclass(frozen=True)
class GuestRun:
    """A guest from its start to its end."""

    ending: Ending
    reason: str  # one sentence
    jobs: tuple[JobRun, ...]  # those of the plan, in its order
    records: tuple[Record, ...]
    damage: tuple[str, ...]  # what is wrong with the result channel; results are not to be trusted
    hello: dict[str, str]  # release, machine, cpus, uptime_ns; empty when it never came
    console: Path
    tail: str  # last lines of the console, and of what QEMU said
    seconds: float  # on the host's clock
    boot_seconds: float | None  # until init reported; None when it did not
    cpu_seconds: float  # of the QEMU process

    @property
    def sound(self) -> bool:
        """Whether all that was planned was run and reported."""
        return self.ending is Ending.DONE and not self.damage


@dataclass
class _Draft:
    """A job while its records are gathered."""

    start: dict[str, str] = field(default_factory=dict)
    exit: dict[str, str] | None = None
    out: list[bytes] = field(default_factory=list)
    rec: list[bytes] = field(default_factory=list)


def gather(
    jobs: Sequence[Job], records: Sequence[Record], cut_off: str
) -> tuple[tuple[JobRun, ...], list[str]]:
    """Return the runs of the planned jobs, and what is wrong with the records.

    cut_off: why a job without an end has none.
    """
    drafts: dict[str, _Draft] = {}
    current: _Draft | None = None
    wrong: list[str] = []
    for record in records:
        fields = record.fields() if record.type in ("start", "exit", "done") else {}
        name = fields.get("job", "")
        if record.type == "start":
            if current or name in drafts:
                wrong.append(f"record {record.seq}: job '{name}' starts out of order")
            current = drafts.setdefault(name, _Draft())
            current.start = fields
        elif record.type in ("out", "rec"):
            if current is None:
                wrong.append(f"record {record.seq}: output of no job")
            else:
                (current.out if record.type == "out" else current.rec).append(record.payload)
        elif record.type == "exit":
            if current is None or current.start.get("job") != name:
                wrong.append(f"record {record.seq}: job '{name}' ends and was not running")
            else:
                current.exit = fields
            current = None
        elif record.type == "done" and fields.get("jobs") != str(len(jobs)):
            wrong.append(f"the guest ran {fields.get('jobs')} jobs of {len(jobs)}")
    planned = {job.name for job in jobs}
    wrong += [f"job '{name}' was not planned" for name in drafts if name not in planned]
    runs = tuple(_job_run(job.name, drafts.get(job.name), cut_off, wrong) for job in jobs)
    return runs, wrong


def _job_run(name: str, draft: _Draft | None, cut_off: str, wrong: list[str]) -> JobRun:
    """Make the value of one job; malformed fields are added to `wrong`."""
    if draft is None:
        return JobRun(name, error=f"not run: {cut_off}")
    try:
        status, signal, error = None, None, f"cut off: {cut_off}"
        ended: dict[str, str] = draft.exit or {}
        if draft.exit is not None:
            status = int(ended["status"]) if "status" in ended else None
            signal = int(ended["signal"]) if "signal" in ended else None
            error = ended.get("error", "")
            if status is None and signal is None and not error:
                raise ValueError("neither status, signal nor error")
        begin = int(draft.start["uptime_ns"])
        return JobRun(
            name,
            status=status,
            signal=signal,
            error=error,
            started=True,
            timed_out=ended.get("timeout") == "1",
            unkillable=ended.get("unkillable") == "1",
            output=b"".join(draft.out),
            recs=_lines(b"".join(draft.rec)),
            elf_machine=int(draft.start["elf_machine"]),
            elf_class=int(draft.start["elf_class"]),
            seconds=(int(ended.get("uptime_ns", begin)) - begin) / 1e9,
        )
    except (KeyError, ValueError) as exc:
        wrong.append(f"job '{name}': malformed record ({exc})")
        return JobRun(name, error="its records are malformed", started=True)


def _lines(data: bytes) -> tuple[str, ...]:
    """Lines of a text; only a line feed ends one."""
    text = data.decode(errors="replace").removesuffix("\n")
    return tuple(text.split("\n")) if text else ()
