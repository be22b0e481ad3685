# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace hosts`: what the hosts of a fleet are and have, a shell on one, nothing left on all."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pinrace import procs, ui
from pinrace.cli.fleet import needed
from pinrace.errors import Exit, InfrastructureError, UserError

if TYPE_CHECKING:
    from pinrace.fleet.hosts import Host, Hosts

SSH_FAILED = 255  # "exits with … 255 if an error occurred": ssh(1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    what = ("list", "check", "shell", "clean")
    parser.add_argument("what", choices=what, help="list the file, check or clean hosts, log in")
    parser.add_argument("file", type=Path, metavar="FILE", help="as configs/fleet/hosts.toml")
    parser.add_argument("name", nargs="*", help="of hosts (default: all)")


def run(args: argparse.Namespace) -> int:
    """Do it; check and clean exit 4 when a host could not be reached."""
    needed()
    from pinrace.fleet.hosts import load

    hosts = load(args.file)
    chosen = _chosen(hosts, args.name)
    if args.what == "list":
        for host in chosen:
            tags = " ".join(host.tags)
            slots = f"{host.slots} CPUs" if host.slots else "all CPUs"
            ui.say(f"{host.name:<12} {host.user}@{host.address}:{host.port}  {slots}  {tags}")
        return Exit.OK
    if args.what == "shell":
        return _shell(chosen)
    if args.what == "clean":
        from pinrace.fleet.cluster import clean

        told = clean(chosen)
    else:
        with ThreadPoolExecutor(8) as threads:
            told = list(threads.map(_check, chosen))
    for line, _ in told:
        ui.say(line)
    return Exit.OK if all(good for _, good in told) else Exit.INFRA


def _chosen(hosts: Hosts, names: list[str]) -> tuple[Host, ...]:
    """Return the hosts of these names; UserError for others."""
    known = {host.name: host for host in hosts.host}
    for name in names:
        if name not in known:
            raise UserError(f"there is no host '{name}'", hint=f"the file has {', '.join(known)}")
    return tuple(known[name] for name in names or known)


def _check(host: Host) -> tuple[str, bool]:
    """Return a line on a host, and whether it can be used.

    /dev/kvm that opens proves nothing: whether it runs a guest, a worker finds out when it starts.
    """
    from pinrace.fleet.ssh import Login

    try:
        with Login(host) as login:
            facts = login.probe()
            login.check_clock(facts)
    except InfrastructureError as error:
        return f"BAD  {host.name:<12} {error.what}", False
    kvm = "/dev/kvm opens" if facts.kvm else "no /dev/kvm"
    qemu = " ".join(facts.qemu) or "NONE"
    clock = f", clock {facts.clock:+.0f} s" if abs(facts.clock) > 2 else ""
    line = (
        f"{host.name:<12} {facts.machine}, {facts.cpus} CPUs, {facts.memory >> 10} GiB, "
        f"{facts.free >> 10} GiB free, {kvm}, QEMU for {qemu}, Python {facts.python}{clock}"
    )
    return f"{'ok ' if facts.qemu else 'BAD'}  {line}", bool(facts.qemu)


def _shell(hosts: tuple[Host, ...]) -> int:
    """Log in with OpenSSH's client, which gets the pinned key alone."""
    if len(hosts) != 1:
        raise UserError("a shell on which host?", hint="pinrace hosts shell FILE NAME")
    host = hosts[0]
    alias = f"pinrace-{host.name}"
    with tempfile.NamedTemporaryFile("w", prefix="pinrace-known-") as known:
        known.write(f"{alias} {' '.join(host.host_key.split()[:2])}\n")
        known.flush()
        argv = ["ssh", "-p", str(host.port), "-o", f"UserKnownHostsFile={known.name}"]
        argv += ["-o", f"HostKeyAlias={alias}", "-o", "StrictHostKeyChecking=yes"]
        argv += ["-o", f"GlobalKnownHostsFile={os.devnull}"]
        if host.key:
            argv += ["-i", str(host.key.expanduser()), "-o", "IdentitiesOnly=yes"]
        argv += ["--", f"{host.user}@{host.address}"]
        procs.log.info("%s", shlex.join(argv))
        done = subprocess.run(argv, check=False)
    # Else it is the status of the last command in that shell.
    return Exit.INFRA if done.returncode == SSH_FAILED else Exit.OK
