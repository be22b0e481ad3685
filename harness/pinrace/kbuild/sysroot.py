# SPDX-License-Identifier: GPL-2.0-or-later
"""What guests take from Debian's packages: libcap to link with, and busybox for a shell.

The versions that were taken once are kept in a record, so that a second run neither asks the
network nor gets something else.  `pinrace cache` shows it; without it the newest are taken.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from pinrace import store
from pinrace.arches import Abi, Arch
from pinrace.errors import InfrastructureError, PinraceError, UserError
from pinrace.kbuild.elf import check_program
from pinrace.paths import CONFIGS, cache_dir
from pinrace.trees.apt import fetch_deb, host_suite
from pinrace.trees.aptsource import SourcePackage, fetch_source
from pinrace.trees.debs import Deb, unpack_deb

log = logging.getLogger("pinrace")

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


def libraries(abi: Abi) -> Path:
    """Return such a folder with all libraries of configs/libraries.toml that Debian has.

    Raises InfrastructureError when libcap, which the tree's own suites need too, cannot be had.
    """
    debs = [pinned("libcap-dev", abi.deb_arch)]
    for package in _packages():
        try:
            debs.append(pinned(package, abi.deb_arch))
        except PinraceError as error:
            log.warning("%s for %s: %s", package, abi.name, str(error).splitlines()[0])

    def fill(draft: Path) -> None:
        for deb in debs:
            unpack_deb(deb, draft)

    key = store.digest("libraries", abi.name, *(deb.sha256 for deb in debs))
    return store.make("sysroots", key, fill)


@cache
def _packages(path: Path = CONFIGS / "libraries.toml") -> tuple[str, ...]:
    """Return the packages that the file lists; InfrastructureError when it is malformed."""
    try:
        said = tomllib.loads(path.read_text())["packages"]
        return tuple(str(name) for name in said)
    except (tomllib.TOMLDecodeError, OSError, KeyError, TypeError) as exc:
        raise InfrastructureError(f"{path} is no list of packages: {exc}") from exc


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
