# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that can be logged into: a network card, dropbear, and a port of the host that leads
to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.access import programs
from pinrace.access.keys import Keys, make_keys
from pinrace.access.live import FOR_EVER, LiveGuest
from pinrace.access.login import Account, LostError
from pinrace.arches import Arch, get_arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.guest import qmp
from pinrace.guest.channel import Record
from pinrace.guest.machine import Machine
from pinrace.guest.outcome import GuestRun
from pinrace.host import sockets
from pinrace.image.cpio import Entry
from pinrace.paths import ROOTFS
from pinrace.values import Image, Job

NIC = "virtio-net-pci"
ADDRESS = "10.0.2.15"  # the guest's; rootfs/access/serve sets it
SERVE = "access/serve"  # below rootfs/
LISTENING = b"Not backgrounding"  # what dropbear says once it listens

# Seconds on a machine of native speed: from the job's start until dropbear listens (a guest may
# have to gather entropy first), and for each step of a login.
_SERVE_SECONDS = 12.0
_LOGIN_SECONDS = 6.0


@dataclass(frozen=True)
class Door:
    """The way into a live guest."""

    live: LiveGuest
    account: Account
    ssh_config: Path  # for OpenSSH's programs, while the guest lives

    def power_off(self) -> GuestRun:
        """Have the guest end by itself, and return how it did.

        Raises InfrastructureError when it does not; it is ended all the same with its context.
        """
        with contextlib.suppress(LostError):
            # init then kills what is left, this session too, reports, and reboots.
            self.account.run("kill $(cat /run/dropbear.pid)", silence=self.account.patience)
        limits, scale = self.live.limits, self.live.machine.accel.scale
        run = self.live.wait((2 * limits.step + limits.boot) * scale)
        if run is None:
            raise InfrastructureError("the guest does not end by itself", log=self.live.console)
        return run


@contextmanager
def open_door(boot: Path, image: Image, machine: Machine, folder: Path) -> Iterator[Door]:
    """Boot a guest that can be logged into; at the end of the context it has ended.

    The folder gets what guests leave.  Raises InfrastructureError when QEMU has no
    network, and when the guest does not get so far.
    """
    if NIC not in machine.qemu.devices:
        raise InfrastructureError(
            f"{machine.qemu.path} {machine.qemu.version} has no {NIC}", hint="pinrace doctor"
        )
    keys = make_keys()
    arch = get_arch(machine.arch)
    job = Job("serve", (f"{programs.PLACE}/serve",), FOR_EVER)
    with sockets.folder() as private:
        socket = private / "qmp"
        machine = replace(machine, qemu_args=(*machine.qemu_args, *_network(socket)))
        files = _files(arch, keys)
        with LiveGuest(boot, image, [job], machine, folder, files=files) as live:
            limit = (live.limits.boot + _SERVE_SECONDS) * machine.accel.scale
            live.wait_until(_listens, "the guest does not listen", Deadline.after(limit))
            port = qmp.forwarded_port(socket)
            account = Account(port, keys, _LOGIN_SECONDS * machine.accel.scale)
            yield Door(live, account, keys.write_config(private, port))


def _network(socket: Path) -> tuple[str, ...]:
    """Return QEMU's options: a port that the host's kernel chooses leads to the guest's 22.

    restrict: a guest under test reaches neither the host nor the world.
    """
    return (
        *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-{ADDRESS}:22"),
        *("-device", f"{NIC},netdev=net,romfile="),
        *qmp.options(socket),
    )


def _files(arch: Arch, keys: Keys) -> tuple[Entry, ...]:
    """Return what this guest has over its image."""
    place = programs.PLACE
    return (
        *programs.sftp_entries(arch),
        Entry(programs.DROPBEAR, data=programs.dropbear(arch) / "dropbear"),
        Entry(f"{place}/serve", data=ROOTFS / SERVE),
        Entry(f"{place}/host_key", 0o600, data=keys.dropbear_host_key),
        # dropbear wants a home that only its user can write to.
        Entry("/root", 0o700),
        Entry("/root/.ssh", 0o700),
        Entry("/root/.ssh/authorized_keys", 0o600, data=keys.authorized_keys),
    )


def _listens(records: Sequence[Record]) -> bool:
    return LISTENING in b"".join(one.payload for one in records if one.type == "out")
