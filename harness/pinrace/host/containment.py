# SPDX-License-Identifier: GPL-2.0-or-later
"""What contains a program that is not ours: namespaces, by bubblewrap or by unshare.

It sees the system's programs and libraries, what it is given, an empty HOME and an empty /tmp.
It has no network, no other process in its view, and no capability.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pinrace import procs, store
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.paths import cache_dir

HOME, TMP = "/tmp/home", "/tmp"  # noqa: S108 (inside)
TMP_BYTES = 2 << 30  # of /tmp inside, which is memory

# Of /etc only what compilers and scripts read: what root may read, a pinrace of root's may too.
_ETC = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "passwd", "group"),
    *("nsswitch.conf", "localtime", "timezone", "ssl/openssl.cnf", "perl", "debian_version"),
    *("os-release", "lsb-release", "locale.alias", "magic", "ccache.conf", "gcrypt"),
)
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
)
_PREFIX = (
    "bin",
    "lib",
    "lib32",
    "lib64",
    "libexec",
    "include",
)  # of a compiler installed elsewhere
_DEVICES = ("null", "zero", "full", "random", "urandom")
_PROBE_SECONDS = 60.0  # for `true`; the host may be busy


class Kind(StrEnum):
    """What this host offers, the best first."""

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "namespaces"
    NONE = "none"


class Containment(BaseModel):
    """What a host contains programs with."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    version: str = ""  # of bubblewrap or unshare, e.g. "bubblewrap 0.8.0"
    proc: bool = True  # whether it may have a /proc of its own; some containers forbid one
    reason: str = ""  # why it is not the best, for people

    def __str__(self) -> str:
        return "no sandbox" if self.kind is Kind.NONE else self.version


@dataclass(frozen=True)
class Bind:
    """A folder or file of the host's, and where it is inside."""

    source: Path
    at: Path
    writable: bool = False


def reads(*paths: Path) -> tuple[Bind, ...]:
    """Return what can be read, each where it is outside."""
    return tuple(Bind(path, path) for path in paths)


def writes(*paths: Path) -> tuple[Bind, ...]:
    """Return what can be written, each where it is outside."""
    return tuple(Bind(path, path, writable=True) for path in paths)


def command(
    how: Containment, argv: Iterable[str], binds: Iterable[Bind], cwd: Path | None
) -> list[str]:
    """Return the command line that runs argv contained; as it is where nothing contains."""
    wanted = sorted({*_system(), *binds}, key=lambda bind: (len(bind.at.parts), str(bind.at)))
    if how.kind is Kind.BUBBLEWRAP:
        return _bubblewrap(how, list(argv), wanted, cwd)
    if how.kind is Kind.NAMESPACES:
        return _unshare(how, list(argv), wanted, cwd)
    return list(argv)


def _bubblewrap(
    how: Containment, argv: list[str], binds: Iterable[Bind], cwd: Path | None
) -> list[str]:
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--size", str(TMP_BYTES), "--tmpfs", TMP, "--dir", HOME, "--dev", "/dev"]
    if how.proc:
        words += ["--proc", "/proc"]
    for bind in binds:
        if bind.source.is_symlink() and not bind.writable:
            words += ["--symlink", str(bind.source.readlink()), str(bind.at)]
        else:
            option = "--bind" if bind.writable else "--ro-bind"
            words += [option, str(bind.source), str(bind.at)]
    words += ["--symlink", TMP, "/var/tmp", "--remount-ro", "/", "--chdir", str(cwd or TMP), "--"]  # noqa: S108
    return [*words, *argv]


def _unshare(
    how: Containment, argv: list[str], binds: Iterable[Bind], cwd: Path | None
) -> list[str]:
    """Return a shell's lines that build the same root as bubblewrap does.

    Capabilities are given up in the end, or the mounts could be undone from inside.
    """
    root = cache_dir() / "host" / "root"
    root.mkdir(parents=True, exist_ok=True)
    lines = [
        "set -e",
        "PATH=$PATH:/usr/sbin:/sbin",
        f"cd {shlex.quote(str(root))}",
        "mount -t tmpfs -o mode=755,size=16m pinrace .",
        f"cd {shlex.quote(str(root))}",  # now into the new one
        "mkdir tmp dev dev/shm proc var old",
        f"mount -t tmpfs -o mode=1777,size={TMP_BYTES} pinrace tmp",
        "mkdir tmp/home; ln -s /tmp var/tmp; ln -s /proc/self/fd dev/fd",
    ]
    for name in _DEVICES:
        lines.append(f": > dev/{name}; mount --bind /dev/{name} dev/{name}")
    if how.proc:
        lines.append("mount -t proc proc proc")
    lines += [line for bind in binds for line in _mount(bind)]
    lines += [
        "pivot_root . old; umount -l old; rmdir old; mount -o remount,ro /",
        f"cd {shlex.quote(str(cwd or TMP))}",
        "exec setpriv --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all"
        ' -- "$@"',
    ]
    return [*_UNSHARE, "sh", "-c", "\n".join(lines), "sh", *argv]


_UNSHARE = (
    *("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private", "--pid"),
    *("--net", "--ipc", "--uts", "--fork", "--kill-child", "--"),
)


def _mount(bind: Bind) -> Iterator[str]:
    """Yield the lines that bring something into the root that is the current folder."""
    at, source = shlex.quote(str(bind.at).lstrip("/")), shlex.quote(str(bind.source))
    parent = shlex.quote(str(bind.at.parent).lstrip("/") or ".")
    if bind.source.is_symlink() and not bind.writable:
        yield f"mkdir -p {parent}; ln -sfn {shlex.quote(str(bind.source.readlink()))} {at}"
        return
    if bind.source.is_dir():
        yield f"mkdir -p {at}"
    else:
        yield f"mkdir -p {parent}; [ -e {at} ] || : > {at}"
    yield f"mount --rbind {source} {at}"
    if not bind.writable:
        yield f"mount -o remount,bind,ro {at}"


def _system() -> Iterator[Bind]:
    """Yield what each program sees: the system's, and where else PATH leads."""
    places = [Path(name) for name in (*_SYSTEM, *(f"/etc/{name}" for name in _ETC))]
    yield from reads(*(place for place in places if place.is_symlink() or place.exists()))
    for _, seen in _path():
        yield from reads(*seen)


def path() -> str:
    """Return PATH as it is inside."""
    return os.pathsep.join(str(folder) for folder, _ in _path())


def _path() -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Yield the folders of PATH that count inside, and what has to be seen for each.

    Not those in the user's home, unless they are a compiler's: the rest of a home stays unseen.
    Nor the environment that pinrace itself runs in.
    """
    home = Path.home()
    for word in os.environ.get("PATH", os.defpath).split(os.pathsep):
        folder = Path(word)
        if not folder.is_absolute() or not folder.is_dir() or folder == Path(sys.prefix) / "bin":
            continue
        if any(folder.is_relative_to(place) for place in _SYSTEM):
            yield folder, ()
        elif compiler := tuple(_compiler(folder)):
            yield folder, compiler
        elif not folder.is_relative_to(home):
            yield folder, (folder,)


def _compiler(folder: Path) -> Iterator[Path]:
    """Yield what belongs to a compiler in a folder of its own, as in /opt/toolchain/bin."""
    prefix = folder.parent
    if folder.name == "bin" and any((prefix / "lib" / name).is_dir() for name in ("gcc", "clang")):
        yield from (prefix / name for name in _PREFIX if (prefix / name).is_dir())
        yield from (place for place in prefix.glob("*-linux-*") if place.is_dir())


def probe(*, forget: bool = False) -> Containment:
    """Return what this host contains programs with, found by running one.

    The answer holds until the host reboots; `forget` asks again.
    """
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    tools = [str(shutil.which(name)) for name in ("bwrap", "unshare")]
    key = store.digest("containment-1", boot_id, str(os.geteuid()), *tools)
    memo = cache_dir() / "host" / f"sandbox-{key}.json"
    memo.parent.mkdir(exist_ok=True)
    with store.locked(f"host-sandbox-{key}"):
        if not forget:
            try:
                return Containment.model_validate_json(memo.read_bytes())
            except (FileNotFoundError, ValidationError):
                pass
        found = _probe()
        store.write_json(memo, found.model_dump())
        return found


def _probe() -> Containment:
    """Try bubblewrap, then unshare, each with a /proc and without."""
    reasons = []
    for kind, program in ((Kind.BUBBLEWRAP, "bwrap"), (Kind.NAMESPACES, "unshare")):
        if not shutil.which(program):
            reasons.append(f"{program} is not installed")
            continue
        version = procs.run([program, "--version"], check=False, what=program).output.strip()
        for proc in (True, False):
            how = Containment(
                kind=kind, version=version.splitlines()[0], proc=proc, reason="; ".join(reasons)
            )
            said = _works(how)
            if not said:
                return how
        reasons.append(f"{program}: {said}")
    return Containment(kind=Kind.NONE, reason="; ".join(reasons))


# It must be able to write to what it is given, and to nothing else; and not see the cache.
_PROOF = """echo x > "$1/x" && test ! -e "$2" && ! (echo x > /usr/x) 2>/dev/null && echo contained
"""


def _works(how: Containment) -> str:
    """Return why it does not contain; "" when it does."""
    hidden = cache_dir() / "host"
    with tempfile.TemporaryDirectory(prefix="pinrace-sandbox-") as folder:
        argv = ["sh", "-c", _PROOF, "sh", folder, str(hidden)]
        try:
            done = procs.run(
                command(how, argv, writes(Path(folder)), None),
                deadline=Deadline.after(_PROBE_SECONDS),
                check=False,
                what=how.version,
            )
        except InfrastructureError as exc:
            return exc.what
        if done.status == 0 and done.output.split() == ["contained"]:
            return ""
        lines = done.output.strip().splitlines()
        return lines[-1] if lines else f"status {done.status}"
