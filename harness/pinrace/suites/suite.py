# SPDX-License-Identifier: GPL-2.0-or-later
"""The suites: which program of the image is one, and how long it may take."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pinrace.errors import UserError
from pinrace.values import Job

PROGRAMS = "/pinrace/bin"
SELFTESTS = "/pinrace/selftests"

# Runs before every suite: what a supervisor sees of this ABI's programs.
ABIPROBE = Job("abiprobe", (f"{PROGRAMS}/abiprobe",), timeout=5)

# kselftest_harness.h lists its cases on stderr, the name last in each row.
_PICK = (
    "names=$({program} -l 2>&1 | sed 's/ *$//; s/.* //' | grep -i -e {only});"
    ' [ "$names" ] || {{ echo "1..0 # SKIP no case of {name} matches"; exit 4; }};'
    ' for n in $names; do set -- "$@" -t "$n"; done;'
    ' exec {program} "$@"'
)


@dataclass(frozen=True)
class Suite:
    """A program that prints KTAP.

    timeout: seconds on a machine of native speed.
    brought_by_series: the unpatched tree does not have it, so that nothing of it is known there.
    own_limits: its cases have time limits of their own, which a slow host misses now and then.
    """

    name: str
    program: str
    timeout: float
    about: str
    brought_by_series: bool = False
    own_limits: bool = False

    def job(self, only: str = "") -> Job:
        """Return the job that runs it; `only` keeps the cases whose name holds that text."""
        if not only:
            return Job(self.name, (self.program,), self.timeout)
        pick = _PICK.format(program=self.program, only=shlex.quote(only), name=self.name)
        return Job(self.name, ("/bin/sh", "-c", pick), self.timeout)


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "smoke",
            f"{PROGRAMS}/pinsmoke",
            timeout=20,
            about="the race is lost unpinned and closed pinned",
        ),
        Suite(
            "gates",
            f"{PROGRAMS}/gates",
            timeout=30,
            about="every argument, with the kernel stopped in the midst of its read of it",
        ),
        Suite(
            "pin_args",
            f"{SELFTESTS}/seccomp_pin_args",
            timeout=60,
            about="the series' own selftest, a test or more for each statement",
            brought_by_series=True,
        ),
        Suite(
            "seccomp_bpf",
            f"{SELFTESTS}/seccomp_bpf",
            timeout=120,
            about="the tree's own seccomp selftest: what the series must not break",
            own_limits=True,
        ),
    )
}


def get_suite(name: str) -> Suite:
    """Return the suite of that name; UserError when there is none."""
    try:
        return SUITES[name]
    except KeyError:
        hint = f"the suites are: {', '.join(SUITES)}"
        raise UserError(f"unknown suite '{name}'", hint=hint) from None
