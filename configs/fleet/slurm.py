# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler whose workers are Slurm jobs: `python configs/fleet/slurm.py`, then join it.

Needs `pip install dask-jobqueue` beside pinrace[fleet], on a file system that all nodes share.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from dask_jobqueue.slurm import SLURMCluster

from pinrace.arches import ARCHES
from pinrace.fleet import needs
from pinrace.fleet.certs import Authority, security

CPUS, MEMORY_MIB, JOBS = 16, 32 << 10, 4
HOME = Path.home() / ".pinrace-slurm"

# What a job has cannot be probed before it runs: it is said here.  Where KVM works for an arch, put
# kvm and native in place of tcg and emulated.  For replays add qemu-VERSION, as tokens have it.
HAS = dict.fromkeys(ARCHES, ("runs", "tcg", "emulated", "rich"))


def resources() -> str:
    """Return what a worker offers, as dask's command line has it."""
    found = {needs.SLOTS: CPUS, needs.MEMORY: MEMORY_MIB - 1024}
    found |= {f"{what}-{arch}": needs.PLENTY for arch, has in HAS.items() for what in has}
    return " ".join(f"{name}={much:.0f}" for name, much in found.items())


def main() -> None:
    """Start it, and stay until Ctrl-C."""
    tls = Authority("slurm").member("all").write(HOME / "tls")
    cluster = SLURMCluster(
        cores=CPUS,
        processes=1,
        memory=f"{MEMORY_MIB} MiB",
        walltime="08:00:00",
        security=security(tls),
        protocol="tls://",
        worker_extra_args=["--no-nanny", "--resources", shlex.quote(resources())],
        scheduler_options={"dashboard": False},
    )
    cluster.scale(jobs=JOBS)
    print(f"pinrace test --scheduler {cluster.scheduler_address} --tls {tls}", flush=True)
    sys.stdin.read()
    cluster.close()


if __name__ == "__main__":
    main()
