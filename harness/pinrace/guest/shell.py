# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest for a person: a shell on its console, in this very terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from pathlib import Path

from pinrace import procs
from pinrace.arches import get_arch
from pinrace.guest.machine import Machine, argv
from pinrace.guest.plan import PLAN_PATH, shell_plan
from pinrace.image.initramfs import overlay
from pinrace.values import Image

STDIN = 0
HELP = "`exit` or Ctrl-D leaves the guest; Ctrl-A X kills it; Ctrl-A C is QEMU's monitor, and back"


def interactive(boot: Path, image: Image, machine: Machine, folder: Path) -> int:
    """Boot a kernel and give the terminal to its shell; return QEMU's exit status.

    The folder gets qemu.txt (the command line).  The terminal is as it was afterwards, however
    QEMU ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    initrd = overlay(image, {PLAN_PATH: shell_plan(get_arch(machine.arch))}, folder / "initrd")
    words = [*argv(machine, boot, initrd), *machine.qemu.confined]
    (folder / "qemu.txt").write_text(procs.show(words) + "\n")
    procs.log.info("%s", procs.show(words))
    print(f"{machine.arch}: {HELP}", file=sys.stderr)
    before = termios.tcgetattr(STDIN) if os.isatty(STDIN) else None
    # In our own process group, or the terminal would stop it when it reads.
    process = subprocess.Popen([*procs.PDEATHSIG, *words])
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # before QEMU has the terminal; afterwards the guest gets Ctrl-C
    finally:
        process.kill()
        process.wait()
        if before is not None:
            termios.tcsetattr(STDIN, termios.TCSADRAIN, before)
        initrd.unlink(missing_ok=True)
