# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's run came to, put together from the records that arrived."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pinrace.guest.channel import Record
from pinrace.guest.dump import Kept
from pinrace.values import Ending, Job

__all__ = ["Ending", "GuestRun", "JobRun", "gather"]


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
    dump: Kept | None = None  # of its memory; None when none was asked for, or nothing went wrong

    @property
    def sound(self) -> bool:
        """Whether all that was planned was run and reported."""
        return self.ending is Ending.DONE and not self.damage


# What init writes: rootfs/init/job.c.  A job can write to the channel too, so nothing is believed.
_NUMBER = re.compile(r"[0-9]{1,19}")
_MOST = {"status": 255, "signal": 127, "elf_machine": 0xFFFF, "elf_class": 64, "uptime_ns": 1 << 63}


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
        fields = _fields(record, wrong) if record.type in ("start", "exit", "done") else {}
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
        ended: dict[str, str] = draft.exit or {}
        status, signal, error = None, None, f"cut off: {cut_off}"
        if draft.exit is not None:
            status, signal, error = _end(ended)
        begin = _number(draft.start, "uptime_ns")
        end = _number(ended, "uptime_ns") if "uptime_ns" in ended else begin
        if end < begin:
            raise ValueError("it ends before it begins")
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
            elf_machine=_number(draft.start, "elf_machine"),
            elf_class=_number(draft.start, "elf_class"),
            seconds=(end - begin) / 1e9,
        )
    except KeyError as exc:
        wrong.append(f"job '{name}': a record without {exc}")
        return JobRun(name, error="its records are malformed", started=True)
    except ValueError as exc:
        wrong.append(f"job '{name}': malformed record ({exc})")
        return JobRun(name, error="its records are malformed", started=True)


def _fields(record: Record, wrong: list[str]) -> dict[str, str]:
    """Return the fields of a record; one that is there twice is added to `wrong`."""
    seen: set[str] = set()
    for line in record.payload.decode(errors="replace").split("\n"):
        key = line.partition("=")[0]
        if key and key in seen:
            wrong.append(f"record {record.seq} ({record.type}) says {key[:24]} more than once")
            break
        seen.add(key)
    return record.fields()


def _end(ended: dict[str, str]) -> tuple[int | None, int | None, str]:
    """Return status, signal and error of a job, of which there is one; ValueError for others."""
    status = _number(ended, "status") if "status" in ended else None
    signal = _number(ended, "signal") if "signal" in ended else None
    error = ended.get("error", "")
    said = [word for word in ("status", "signal", "error") if ended.get(word)]
    if len(said) != 1:
        raise ValueError(" and ".join(said) or "neither status, signal nor error")
    return status, signal, error


def _number(fields: dict[str, str], name: str) -> int:
    """Return a number of a record; KeyError without one, ValueError for one that cannot be."""
    text = fields[name]
    if not _NUMBER.fullmatch(text) or int(text) > _MOST[name]:
        raise ValueError(f"{name}={text[:24]}")
    return int(text)


def _lines(data: bytes) -> tuple[str, ...]:
    """Lines of a text; only a line feed ends one."""
    text = data.decode(errors="replace").removesuffix("\n")
    return tuple(text.split("\n")) if text else ()
