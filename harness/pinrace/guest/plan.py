# SPDX-License-Identifier: GPL-2.0-or-later
"""The plan: the file that tells the guest's init what to run (rootfs/init/plan.c reads it)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pinrace.arches import Arch
from pinrace.errors import UserError
from pinrace.values import Job

PLAN_PATH = "/pinrace/plan"  # absolute, in the guest


def guest_timeout(job: Job, scale: float) -> int:
    """Return the seconds that the guest gives a job on a machine that is `scale` times slower."""
    return max(1, math.ceil(job.timeout * scale))


# Puts words together again that came without line breaks, and runs them.
_DECODE = 'for w do shift; w=$(printf "%b." "$w"); set -- "$@" "${w%.}"; done; exec "$@"'


def one_line(argv: Sequence[str]) -> tuple[str, ...]:
    """Return words without line breaks that come to the same program and words in a guest."""
    if not any("\n" in word for word in argv):
        return tuple(argv)
    coded = (word.replace("\\", "\\\\").replace("\n", "\\n") for word in argv)
    return ("/bin/sh", "-c", _DECODE, "sh", *coded)


def jobs_plan(arch: Arch, jobs: Sequence[Job], scale: float, *, remain: bool = False) -> bytes:
    """Return the plan that runs these jobs one after the other.

    remain: then gives a shell on the console.  Such a plan is as long as one without, and init
    sees no difference before the jobs are done: until then, both runs are the same.
    A shell stands between init and a program with a line break in its words.  Raises UserError for
    what the format cannot say: other line breaks, NULs, no program, two jobs of one name.
    """
    lines = _places(arch)
    seen = set()
    for job in jobs:
        argv = job.argv if job.direct else one_line(job.argv)
        words = (job.name, job.cwd, *argv, *(word for pair in job.env for word in pair))
        if any(c in word for word in words for c in "\n\0"):
            raise UserError(f"job '{job.name}' has a line break or a NUL in its words")
        if not job.name or not job.argv or job.name in seen:
            raise UserError(f"job '{job.name}' needs a name of its own and a program")
        if any("=" in key or not key for key, _ in job.env):
            raise UserError(f"job '{job.name}' sets a variable without a proper name")
        seen.add(job.name)
        lines.append(f"job {job.name} {guest_timeout(job, scale)}")
        lines += [f"cwd {job.cwd}"] if job.cwd else []
        lines += [] if job.records else ["quiet"]
        lines += [f"env {key}={value}" for key, value in job.env]
        lines += [f"arg {word}" for word in argv]
        lines.append("end")
    lines.append(f"then {'remain' if remain else 'reboot'}")
    return "".join(f"{line}\n" for line in lines).encode()


def shell_plan(arch: Arch) -> bytes:
    """Return the plan that gives a person a shell on the console."""
    return "".join(f"{line}\n" for line in [*_places(arch), "shell"]).encode()


def _places(arch: Arch) -> list[str]:
    return [f"channel {arch.channel_tty}", f"console {arch.console_tty}"]
