# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways into a running guest: a login on each arch, and a debugger."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from pinrace.access.door import Door, open_door
from pinrace.access.keys import make_keys
from pinrace.access.login import LostError, Pty
from pinrace.arches import ARCHES, Arch
from pinrace.deadline import Deadline
from pinrace.guest.machine import get_machine
from pinrace.guest.outcome import Ending
from pinrace.host import tools
from pinrace.paths import PROJECT
from pinrace.values import Image

EVERY_ARCH = pytest.mark.parametrize("arch", ARCHES.values(), ids=list(ARCHES))
BootKernel = Callable[[str], Path]
AbiImage = Callable[[str], Image]
SECRET = "nothing of a session"


def guests_of(folder: Path) -> list[psutil.Process]:
    """The QEMU processes that write below a folder."""
    lines = [(p, " ".join(p.info["cmdline"] or [])) for p in psutil.process_iter(["cmdline"])]
    return [process for process, line in lines if "qemu-system" in line and str(folder) in line]


@EVERY_ARCH
def test_login(arch: Arch, boot_kernel: BootKernel, abi_image: AbiImage, tmp_path: Path) -> None:
    image = abi_image(arch.abis[0].name)
    with open_door(boot_kernel(arch.name), image, get_machine(arch), tmp_path / "guest") as door:
        guest = door.account
        said = guest.run(f"uname -m; echo {SECRET}; cat; echo no >&2; exit 7", data=b"typed\n")
        assert said.status == 7
        assert said.out.decode() == f"{arch.host_machine}\n{SECRET}\ntyped\n"
        assert said.err == b"no\n"
        assert guest.run("kill -9 $$").status == 255
        files_go_both_ways(door, tmp_path)
        two_sessions_at_once(door)
        others_are_refused(door)
        with guest.session("stty size", pty=Pty("vt220", 91, 33)) as session:
            assert session.channel.makefile("rb").read() == b"33 91\r\n"
            assert session.status() == 0
        the_console_is_the_kernels(door)
        ended = door.power_off()
    assert ended.ending is Ending.DONE, ended.reason
    assert not ended.damage
    assert not guests_of(tmp_path)
    assert not door.ssh_config.exists()


def files_go_both_ways(door: Door, folder: Path) -> None:
    sent, came = folder / "sent", folder / "came"
    sent.write_bytes(os.urandom(200_000))
    sent.chmod(0o750)
    door.account.put(sent, "/tmp/")
    door.account.get("/tmp/sent", came)
    assert came.read_bytes() == sent.read_bytes()
    assert came.stat().st_mode == sent.stat().st_mode


def two_sessions_at_once(door: Door) -> None:
    """Each waits for the other: one after the other they would never end."""
    door.account.run("mkfifo /tmp/a /tmp/b")
    with ThreadPoolExecutor(2) as pool:
        lines = [f"echo from-{one} > /tmp/{other} & cat /tmp/{one}" for one, other in ("ab", "ba")]
        first, second = pool.map(door.account.run, lines)
    assert (first.out, second.out) == (b"from-b\n", b"from-a\n")


def others_are_refused(door: Door) -> None:
    """A key of another run does not get in, and a guest of another run is not taken for ours."""
    own = door.account.keys
    stranger = dataclasses.replace(
        door.account, keys=dataclasses.replace(own, user=make_keys().user)
    )
    with pytest.raises(LostError, match="Authentication failed"):
        stranger.run("true")
    mistaken = dataclasses.replace(
        door.account, keys=dataclasses.replace(own, host=make_keys().host)
    )
    with pytest.raises(LostError, match="does not match"):
        mistaken.run("true")


def the_console_is_the_kernels(door: Door) -> None:
    line = re.compile(r"^\[ *\d+\.\d+\] the kernel goes on$", re.MULTILINE)
    door.account.run("echo the kernel goes on > /dev/kmsg")
    text = ""
    limit = Deadline.after(4 * door.live.machine.accel.scale)
    while not line.search(text):  # a kernel thread prints it, when it comes to it
        assert not limit.expired, text
        time.sleep(0.02)
        text = door.live.console.read_bytes().decode(errors="replace").replace("\r", "")
    assert SECRET not in text
    assert "from-a" not in text


def run_pinrace(*words: str, runs: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pinrace", *words],
        cwd=PROJECT,
        env={**os.environ, "PINRACE_RUNS": str(runs), "TMPDIR": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
        input="from stdin\n",
    )


@EVERY_ARCH
def test_ssh_exits_as_its_command(arch: Arch, abi_image: AbiImage, tmp_path: Path) -> None:
    abi_image(arch.abis[0].name)  # built before, so that this is about the command
    script = tmp_path / "script"
    script.write_text('#!/bin/sh\necho "$1"; cat; exit 42\n')
    script.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="p-") as short:  # QEMU's sockets lie there
        done = run_pinrace(
            *("ssh", "--arch", arch.name, "--put", f"{script}:/root/"),
            *("--get", f"/root/script:{tmp_path}/back", "--", "/root/script", "two  words"),
            runs=tmp_path / "runs",
            cwd=Path(short),
        )
        assert not list(Path(short).iterdir())
    assert (done.returncode, done.stdout) == (42, "two  words\nfrom stdin\n"), done.stderr
    assert (tmp_path / "back").read_text() == script.read_text()
    assert "Run /init" in (tmp_path / "runs/latest/guest/console.log").read_text(errors="replace")
    assert not guests_of(tmp_path)


@EVERY_ARCH
def test_gdb_stops_where_the_guest_gets_to(arch: Arch, abi_image: AbiImage, tmp_path: Path) -> None:
    if not any(map(shutil.which, tools.gdbs(arch))):
        pytest.skip(f"no {tools.gdbs(arch)[0]} is installed")
    abi_image(arch.abis[0].name)
    commands = ("hbreak seccomp_notify_pin_args", "continue", "bt 1", "detach")
    words = [word for command in commands for word in ("-ex", command)]
    with tempfile.TemporaryDirectory(prefix="p-") as short:
        done = run_pinrace(
            *("gdb", "--arch", arch.name, "--run", "pinsmoke", "--", "-nx", "-batch", *words),
            runs=tmp_path / "runs",
            cwd=Path(short),
        )
    assert done.returncode == 0, done.stderr
    assert re.search(r"hit Breakpoint 1, (?:0x\w+ in )?seccomp_notify_pin_args", done.stdout), done
    assert re.search(r"^#0 +(?:0x\w+ in )?seccomp_notify_pin_args.*kernel/", done.stdout, re.M)
    assert not guests_of(tmp_path)
