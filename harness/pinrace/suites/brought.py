# SPDX-License-Identifier: GPL-2.0-or-later
"""What a suite brings to the guests of one tree and one ABI, and how its jobs' ends are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pinrace.guest.outcome import JobRun
from pinrace.image.cpio import Entry
from pinrace.suites.formats import Format, plain
from pinrace.values import Job


@dataclass(frozen=True)
class Brought:
    """What a suite brings.

    format: how its jobs say their results.
    digest: the same for what gives the same; part of the key of what is known of the unpatched
    tree.  absent: tests that cannot be run here, each with the reason; broken: those that do not
    build here and do on the unpatched tree.
    """

    digest: str = ""
    jobs: tuple[Job, ...] = ()
    files: tuple[Entry, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    format: Format = field(default_factory=Format)


def compose(
    brought: Brought, jobs: Sequence[Job], runs: Mapping[str, JobRun], *, only: str = ""
) -> str:
    """Return the KTAP document that kselftest's runner.sh would print of these jobs.

    A test's own KTAP is nested in it, and its result is what its exit status says.  `only` is what
    has picked the jobs: then the tests that cannot be run are none of those asked for.
    """
    broken, absent = ({}, {}) if only else (brought.broken, brought.absent)
    count = len(jobs) + len(broken) + len(absent)
    if not count:
        why = f"no test matches {only}" if only else "no test for this ABI"
        return f"KTAP version 1\n1..0 # SKIP {why}\n"
    lines = ["KTAP version 1", f"1..{count}"]
    for number, job in enumerate(jobs, 1):
        run = runs.get(job.name) or JobRun(job.name, error="it was not run")
        lines += [
            f"# {line}" for line in brought.format.nested(run.output.decode(errors="replace"))
        ]
        lines.append(brought.format.result(number, job, run))
    number = len(jobs)
    for name, why in broken.items():
        number += 1
        lines.append(f"not ok {number} {plain(name)} # ERROR {why}")
    for name, why in absent.items():
        number += 1
        lines.append(f"ok {number} {plain(name)} # SKIP {why}")
    return "".join(f"{line}\n" for line in lines)
