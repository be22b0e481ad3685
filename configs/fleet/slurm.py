# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler whose workers are Slurm jobs: `python configs/fleet/slurm.py`, then join it.

Needs `pip install dask-jobqueue` beside pinrace[fleet], on a file system that all nodes share.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from dask_jobqueue.slurm import SLURMCluster

from pinrace.fleet.certs import Authority, security

CPUS, MEMORY_MIB, JOBS = 16, 32 << 10, 4
HOME = Path.home() / ".pinrace-slurm"

# What a job has cannot be probed before it runs: it is said here.  Nodes with KVM take kvm-… and
# native-… in place of tcg-… and emulated-….
TAGS = ("runs-x86_64", "tcg-x86_64", "emulated-x86_64", "rich-x86_64", "runs-arm64", "tcg-arm64")


def resources() -> str:
    """Return what a worker offers, as dask's command line has it."""
    counts = [f"slots={CPUS}", f"memory-mib={MEMORY_MIB - 1024}"]
    return " ".join([*counts, *(f"{tag}=1000000" for tag in TAGS)])


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
