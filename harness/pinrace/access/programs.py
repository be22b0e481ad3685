# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest runs to be logged into: dropbear from Debian's source, and an SFTP server.

Neither is in the images that tests run on: both come with the run that wants them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from pinrace import procs, store
from pinrace.arches import Arch
from pinrace.errors import InfrastructureError
from pinrace.image.cpio import Entry
from pinrace.kbuild.elf import check_program
from pinrace.kbuild.sysroot import pinned, pinned_source
from pinrace.kbuild.userspace import compiler_identity
from pinrace.paths import cache_dir
from pinrace.trees.aptsource import unpack_source
from pinrace.trees.debs import unpack_deb

PLACE = "/pinrace/access"  # in the guest; holds all that is only there for logging in
DROPBEAR = f"{PLACE}/dropbear"
SFTP_SERVER = f"{PLACE}/sftp-server"
_KIND = "access"

# Words for configure and lines for the sources.  Static, so that nothing of it depends on the
# image; no records of logins, for which a guest has no place; keys, and no passwords.
_CONFIGURE = (
    *("--enable-static", "--disable-zlib", "--enable-bundled-libtom", "--disable-syslog"),
    *("--disable-lastlog", "--disable-utmp", "--disable-utmpx", "--disable-wtmp"),
    *("--disable-wtmpx", "--disable-loginfunc", "--disable-pututline", "--disable-pututxline"),
    "--disable-shadow",
)
_OPTIONS = f"""\
#define DROPBEAR_SVR_PASSWORD_AUTH 0
#define DROPBEAR_SVR_AGENTFWD 0
#define MAX_UNAUTH_PER_IP 30
#define DO_MOTD 0
#define SFTPSERVER_PATH "{SFTP_SERVER}"
/* As rootfs/init/init.c has it for jobs. */
#define DEFAULT_ROOT_PATH "/pinrace/bin:/pinrace/selftests:/bin:/sbin:/usr/bin:/usr/sbin"
"""
_CFLAGS = "-O2 -g0"
_LDFLAGS = "-s -Wl,--build-id=none"


def dropbear(arch: Arch) -> Path:
    """Return a folder with a static `dropbear` for the arch's native ABI, built once.

    Raises InfrastructureError when the source cannot be had, or does not build.
    """
    abi = arch.abis[0]
    source = pinned_source("dropbear")
    options = (*_CONFIGURE, _OPTIONS, _CFLAGS, _LDFLAGS)
    key = store.digest("dropbear", abi.name, source.digest, compiler_identity(abi), *options)

    def fill(draft: Path) -> None:
        with tempfile.TemporaryDirectory(dir=draft) as place:
            build = Path(place)
            unpack_source(source, build)
            (build / "localoptions.h").write_text(_OPTIONS)
            log = cache_dir() / "logs" / f"dropbear-{abi.name}.log"
            log.parent.mkdir(exist_ok=True)
            log.unlink(missing_ok=True)
            host = abi.cross.rstrip("-")
            words = ["./configure", f"--host={host}", f"CC={abi.cross}gcc", *_CONFIGURE]
            words += [f"CFLAGS={_CFLAGS}", f"LDFLAGS={_LDFLAGS}"]
            jobs = f"-j{len(os.sched_getaffinity(0))}"
            for argv in (words, ["make", jobs, "PROGRAMS=dropbear"]):
                procs.run(
                    argv, cwd=build, log_to=log, what=f"building dropbear for {abi.name}",
                    hint="the log's last lines say what is wrong",
                )  # fmt: skip
            check_program(build / "dropbear", abi)
            shutil.copy(build / "dropbear", draft / "dropbear")

    return store.make(_KIND, key, fill)


def sftp_entries(arch: Arch) -> tuple[Entry, ...]:
    """Return Debian's SFTP server as files of a guest, with the C library that it is linked to.

    dropbear has none of its own; this one needs the C library and nothing else.  Raises
    InfrastructureError when a package cannot be had, or when it needs more than that.
    """
    debs = [pinned(name, arch.deb_arch) for name in ("openssh-sftp-server", "libc6")]

    def fill(draft: Path) -> None:
        for deb in debs:
            unpack_deb(deb, draft)

    key = store.digest("sftp", arch.name, *(deb.sha256 for deb in debs))
    root = store.make(_KIND, key, fill)
    server = root / "usr/lib/openssh/sftp-server"
    loader, needs = _linked(server)
    entries = [Entry(SFTP_SERVER, data=server), Entry(loader, data=_inside(root, loader))]
    for name in needs:
        found = [path for path in root.rglob(name) if path.is_file()]
        if not found:
            raise InfrastructureError(
                f"{server.name} of {debs[0].version} needs {name}", log=debs[0].path
            )
        entries.append(Entry(f"/{found[0].relative_to(root)}", data=found[0]))
    return tuple(entries)


def _inside(root: Path, path: str) -> Path:
    """Return what an absolute path of a system means below a root; its links are followed."""
    place = root / path.lstrip("/")
    if place.is_symlink() and (target := place.readlink()).is_absolute():
        return root / str(target).lstrip("/")
    return place


def _linked(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the loader that a program names, and the libraries that it needs."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        loader, needs = "", []
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                loader = segment.get_interp_name()
            if isinstance(segment, DynamicSegment):
                needs = [str(vars(tag)["needed"]) for tag in segment.iter_tags("DT_NEEDED")]
    if not loader:
        raise InfrastructureError(f"{path} names no loader", log=path)
    return loader, tuple(name for name in needs if name != Path(loader).name)
