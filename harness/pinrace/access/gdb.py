# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb on a guest's kernel: QEMU's stub, vmlinux, and the tree's own scripts."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pinrace import procs, store
from pinrace.access.live import FOR_EVER, LiveGuest
from pinrace.arches import Arch, get_arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.guest import qmp
from pinrace.guest.boot import Limits
from pinrace.guest.machine import Machine
from pinrace.host import sandbox, sockets, tools
from pinrace.kbuild import kconfig
from pinrace.kbuild import kernel as kbuild
from pinrace.kbuild.objects import is_shipped
from pinrace.kbuild.toolchain import BUILT_IN, REPRODUCIBLE
from pinrace.paths import cache_dir
from pinrace.trees.worktree import worktree
from pinrace.values import Image, Job, Kernel, PatchedTree

# Time stands still for a guest in a debugger, and not for us.
PATIENT = Limits(boot=FOR_EVER, step=FOR_EVER, panic=FOR_EVER)
IDLE = "exec sleep 2147483647"
_START_SECONDS = 30.0  # for QEMU itself; the host may be busy
# A kernel's file names scripts, and others lie beside it or in the current folder: gdb runs none,
# whatever paths the user's own gdbinit trusts.
QUIET = ("-q", "-iex", "set auto-load off")
_KIND = "gdb-scripts"
_LOADER = "vmlinux-gdb.py"


def find_gdb(arch: Arch) -> Path:
    """Return a gdb that knows the arch; InfrastructureError names the package that brings one."""
    names = tools.gdbs(arch)
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise InfrastructureError(
            f"no gdb for {arch.name} is installed", hint=f"apt-get install {names[0]}"
        )
    return Path(found)


def no_scripts(kernel: Kernel, tree: PatchedTree) -> str:
    """Return why the tree's scripts cannot be used on this kernel; "" when they can.

    gdb runs them on the host, outside of any sandbox.
    """
    if tree.base.insecure or (tree.series and not is_shipped(tree.series)):
        return "they are a stranger's, and gdb would run them on this host"
    if kernel.tree_id.startswith("prebuilt"):
        return "the kernel was built elsewhere"
    options = kconfig.parse(kernel.config.read_text())
    if options.get("CONFIG_DEBUG_INFO") != "y":
        return "the kernel has no debug information: --config DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y"
    if options.get("CONFIG_DEBUG_INFO_REDUCED") == "y":
        return "they need whole types: --config DEBUG_INFO_REDUCED=n (builds another kernel)"
    return ""


def scripts(kernel: Kernel, wanted: kbuild.Plan) -> Path:
    """Return what gdb sources to have the tree's own commands, made once for a kernel.

    A few constants in them come out of the kernel's headers, by the tree's own makefile, in an
    object folder for that alone: the warm one may be another configuration's.  Raises
    InfrastructureError when that fails.
    """

    def fill(draft: Path) -> None:
        obj = draft / "obj"
        obj.mkdir()
        shutil.copyfile(kernel.config, obj / ".config")
        log = cache_dir() / "logs" / f"{_KIND}-{kernel.digest}.log"
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        with worktree(wanted.tree.base) as place:
            place.checkout(wanted.tree.commit)
            # No compiler's cache: what little it compiles is thrown away.
            chain = [word.replace("=ccache ", "=") for word in wanted.chain.make_vars]
            argv = ["make", "-C", str(place.path), f"O={obj}", *chain]
            argv += [f"-j{wanted.options.parallel}", "scripts_gdb"]
            seen = (*sandbox.reads(place.path), *sandbox.writes(obj))
            sandbox.run(argv, binds=seen, env=REPRODUCIBLE, log_to=log, what="make scripts_gdb")
            # Copies, where make leaves links into the work tree.
            kept = draft / "scripts/gdb/linux"
            kept.mkdir(parents=True)
            for path in (obj / "scripts/gdb/linux").glob("*.py"):
                shutil.copyfile(path, kept / path.name)
            shutil.copyfile(place.path / "scripts/gdb" / _LOADER, draft / _LOADER)
        shutil.rmtree(obj)

    return store.make(_KIND, kernel.digest, fill) / _LOADER


def debug(
    kernel: Kernel,
    image: Image,
    machine: Machine,
    folder: Path,
    *,
    loader: Path | None,
    script: str = "",
    stopped: bool = False,
    words: Sequence[str] = (),
) -> int:
    """Boot a guest, give the terminal to a gdb that is attached to it, and return gdb's status.

    script: what the guest's shell runs; without one it idles.  stopped: before the guest's first
    instruction, else once it has booted.  words: gdb's own.  The guest ends with gdb.
    """
    gdb = find_gdb(get_arch(machine.arch))
    job = Job("run", ("/bin/sh", "-c", script or IDLE), FOR_EVER)
    with sockets.folder() as private:
        stub, control = private / "gdb", private / "qmp"
        path = str(stub).replace(",", ",,")
        more = ["-gdb", f"unix:path={path},server=on,wait=off", *qmp.options(control)]
        machine = replace(
            machine,
            cmdline=(*machine.cmdline, "nokaslr"),
            qemu_args=(*machine.qemu_args, *more, *(["-S"] if stopped else [])),
        )
        with LiveGuest(kernel.boot, image, [job], machine, folder, limits=PATIENT) as live:
            if stopped:
                _wait_for_qemu(live, control)
            else:
                limit = Deadline.after(Limits().boot * machine.accel.scale)
                live.wait_until(
                    lambda records: any(one.type == "start" for one in records),
                    "the guest does not boot",
                    limit,
                )
            return run_gdb(command_line(gdb, kernel, stub, loader, words))


def command_line(
    gdb: Path, kernel: Kernel, stub: Path, loader: Path | None, words: Sequence[str]
) -> list[str]:
    """Return gdb's command line: the kernel, the guest, the scripts, then what the user adds."""
    argv = [str(gdb), *QUIET]
    if kernel.vmlinux.is_file():
        argv.append(str(kernel.vmlinux))
        sources = kbuild.metadata(kernel).get("built_in")
        if sources:
            argv += ["-ex", f"set substitute-path {BUILT_IN} {sources}"]
    argv += ["-ex", f"target remote {stub}"]
    if loader:
        argv += ["-ex", f"source {loader}"]
    return [*argv, *words]


def _wait_for_qemu(live: LiveGuest, control: Path) -> None:
    """Wait until QEMU listens; a guest that has not begun says nothing itself."""
    limit = Deadline.after(_START_SECONDS)
    while not qmp.answers(control):
        if live.wait(0.02) is not None or limit.expired:
            raise InfrastructureError("QEMU does not start", log=live.console, hint="look there")


def run_gdb(argv: list[str]) -> int:
    """Run gdb on our terminal, in our process group; Ctrl-C is its own."""
    procs.log.info("%s", procs.show(argv))
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    process = subprocess.Popen([*procs.PDEATHSIG, *argv])
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
        signal.signal(signal.SIGINT, before)
