# SPDX-License-Identifier: GPL-2.0-or-later
"""What guests take from Debian's packages: libcap to link with, and busybox for a shell.

The versions that were taken once are kept in a record, so that a second run neither asks the
network nor gets something else.  `pinrace cache` shows it; without it the newest are taken.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pinrace import store
from pinrace.arches import Abi, Arch
from pinrace.errors import InfrastructureError, UserError
from pinrace.kbuild.elf import check_program
from pinrace.paths import cache_dir
from pinrace.trees.apt import Deb, fetch_deb, host_suite, unpack_deb
from pinrace.trees.aptsource import SourcePackage, fetch_source

RECORD = "guest-debs.json"
Taken = TypeVar("Taken", Deb, SourcePackage)


def sysroot(abi: Abi) -> Path:
    """Return a folder with usr/include and usr/lib/TRIPLE of what programs of the ABI link with.

    Raises InfrastructureError when the package cannot be had.
    """
    deb = pinned("libcap-dev", abi.deb_arch)

    def fill(draft: Path) -> None:
        unpack_deb(deb, draft)
        library = draft / "usr/lib" / abi.triple / "libcap.a"
        if not library.is_file():
            raise InfrastructureError(f"{deb.path} holds no {library.name}", log=deb.path)

    return store.make("sysroots", store.digest(abi.name, deb.sha256), fill)


def busybox(arch: Arch) -> Path:
    """Return a folder that holds a static `busybox` of the arch.

    Raises InfrastructureError when the package cannot be had, or is not of that arch.
    """
    deb = pinned("busybox-static", arch.deb_arch)

    def fill(draft: Path) -> None:
        with tempfile.TemporaryDirectory(dir=draft) as place:
            unpack_deb(deb, Path(place))
            found = sorted(Path(place).glob("**/bin/busybox"))
            if not found:
                raise InfrastructureError(f"{deb.path} holds no busybox", log=deb.path)
            check_program(found[0], arch.abis[0])
            shutil.copy(found[0], draft / "busybox")

    return store.make("busybox", store.digest(arch.name, deb.sha256), fill)


def pinned(package: str, deb_arch: str) -> Deb:
    """Return the package in the version of the record, or the newest one and record that."""
    suite = host_suite()
    return _recorded(
        f"{suite}/{package}/{deb_arch}",
        lambda version: fetch_deb(package, suite, deb_arch, version),
    )


def pinned_source(package: str) -> SourcePackage:
    """Return the source package in the version of the record, as pinned() does."""
    suite = host_suite()
    return _recorded(
        f"{suite}/{package}/source", lambda version: fetch_source(package, suite, version)
    )


def _recorded(name: str, fetch: Callable[[str | None], Taken]) -> Taken:
    """Fetch the version of the record; or the newest, which fetch() takes for None."""
    path = cache_dir() / RECORD
    with store.locked("guest-debs"):
        record: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
        try:
            taken = fetch(record.get(name))
        except UserError:  # the archive has dropped that version
            if name not in record:
                raise
            taken = fetch(None)
        if record.get(name) != taken.version:
            store.write_json(path, {**record, name: taken.version})
    return taken
