# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls and what comes of them as bytes that mean the same on another host.

Values travel as pickles in which whatever belongs to a host is a reference: a kernel or an image
by the digests of its files, a machine by what it is to be, the folder for results by a name, a
stop by nothing, as each side has one of its own.  What is read back may name values of this
package alone: a pickle of anything else is refused.
"""

from __future__ import annotations

import importlib
import inspect
import io
import pickle
import stat
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pydantic import BaseModel

from pinrace import errors
from pinrace.arches import get_arch
from pinrace.errors import InfrastructureError, PinraceError, said
from pinrace.fleet.blobs import digest_of
from pinrace.fleet.needs import Needs, of_cell, of_machine
from pinrace.guest.machine import Machine, get_machine
from pinrace.host.accel import CHOSEN
from pinrace.host.qemu import choose_cpu, get_qemu
from pinrace.races.preempt.session import TCG_SCALE
from pinrace.races.preempt.symbols import Symbols
from pinrace.values import Cell, Image, Kernel

_PLAIN = {
    "builtins": {"frozenset", "set", "complex", "bytearray", "slice", "range"},
    "collections": {"OrderedDict", "Counter", "deque"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "_codecs": {"encode"},
}
OUT = "out"  # what the folder for results is called on the way
MOST_FILES = 10_000  # of a result's folder


class Source(Protocol):
    """What gives files by digest on the host where a call runs."""

    def folder(self, files: Mapping[str, str]) -> Path:
        """Return a folder with these files, name to digest; "->NAME" is a link."""


@dataclass
class Call:
    """A call that is ready to travel."""

    data: bytes = b""
    function: str = ""  # MODULE:NAME
    files: dict[str, Path] = field(default_factory=dict)  # by digest
    needs: Needs = field(default_factory=Needs)
    stop: threading.Event | None = None
    folder: Path | None = None


def name_of(function: Callable[..., object]) -> str:
    """Return how a call names a function; TypeError for one that has no name elsewhere."""
    name = f"{function.__module__}:{function.__qualname__}"
    if "<" in name or not name.startswith("pinrace."):
        raise TypeError(f"{name} cannot be called on another host")
    return name


def pack(function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Return a call as bytes, with what it needs.

    What is called while it goes on, as `on_second`, stays here and is not called.
    Raises TypeError for arguments that cannot travel.
    """
    call = Call(function=name_of(function))
    kwargs = {name: value for name, value in kwargs.items() if not name.startswith("on_")}
    folders = [one for one in (*args, *kwargs.values()) if isinstance(one, Path)]
    call.folder = next((one for one in folders if not one.is_file()), None)
    out = io.BytesIO()
    try:
        _Packer(out, call).dump((call.function, args, kwargs))
    except (pickle.PicklingError, AttributeError) as error:
        raise TypeError(f"{call.function}: {error}") from error
    call.data = out.getvalue()
    return call


def unpack(
    data: bytes, source: Source, folder: Path, stop: threading.Event
) -> tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]:
    """Return the function and its arguments as they are on this host.

    One that can be stopped gets the stop of this call, whether or not its caller had one.
    """
    name, args, kwargs = _Unpacker(data, source, folder, stop).load()
    module, _, attribute = name.partition(":")
    if not module.startswith("pinrace."):
        raise pickle.UnpicklingError(f"{name} is none of pinrace's functions")
    function = getattr(importlib.import_module(module), attribute)
    if "stop" in inspect.signature(function).parameters:
        kwargs["stop"] = stop
    return function, args, kwargs


@dataclass(frozen=True)
class Raised:
    """An error on its way; `kind` is a class of pinrace.errors."""

    kind: str
    what: str
    log: Path | None = None
    hint: str = ""

    @classmethod
    def of(cls, error: BaseException, folder: Path, host: str) -> Raised:
        """Return it with the host's name; what is none of pinrace's is the host's trouble."""
        if not isinstance(error, PinraceError):
            return cls("InfrastructureError", f"on {host}: {said(error)}")
        kind = type(error).__name__
        known = getattr(errors, kind, None) is type(error)
        kind = kind if known else "InfrastructureError"
        log = error.log
        if log and not log.is_relative_to(folder):
            return cls(kind, f"{error.what} (on {host}, log {log})", hint=error.hint)
        return cls(kind, f"{error.what} (on {host})", log, error.hint)

    def error(self) -> PinraceError:
        """Return it as what is raised here."""
        kind = getattr(errors, self.kind, None)
        if not (isinstance(kind, type) and issubclass(kind, PinraceError)):
            kind = InfrastructureError
        return kind(self.what, log=self.log, hint=self.hint)


def pack_result(
    value: object, error: BaseException | None, folder: Path, host: str, seconds: float = 0.0
) -> bytes:
    """Return what came of a call, and in how many seconds."""
    raised = None if error is None else Raised.of(error, folder, host)
    out = io.BytesIO()
    _Packer(out, Call(folder=folder), result=True).dump((value, raised, host, seconds))
    return out.getvalue()


def unpack_result(data: bytes, folder: Path | None) -> tuple[object, str, float]:
    """Return what a call returned, where, and in how many seconds, or raise what it raised.

    folder: what its folder is here.
    """
    place = folder or Path("/nonexistent")
    value, raised, host, seconds = _Unpacker(data, None, place, threading.Event()).load()
    if isinstance(raised, Raised):
        raise raised.error()
    return value, str(host), float(seconds)


class _Packer(pickle.Pickler):
    """Pickles values, and notes what has to travel beside them."""

    def __init__(self, out: io.BytesIO, call: Call, *, result: bool = False) -> None:
        super().__init__(out, protocol=5)
        self._call, self._result = call, result

    def persistent_id(self, value: Any) -> tuple[Any, ...] | None:
        """Return the reference of what belongs to a host."""
        if isinstance(value, Path):
            return self._path(value)
        if self._result:
            return None
        if isinstance(value, Cell):
            self._call.needs = self._call.needs.and_(of_cell(value))
            return None
        if isinstance(value, Machine):
            self._call.needs = self._call.needs.and_(of_machine(value))
            return ("machine", _facts(value))
        if isinstance(value, Kernel):
            return ("kernel", _without(value, "folder"), self._files(value.folder))
        if isinstance(value, Image):
            files = {value.path.name: self._file(value.path)}
            return ("image", _without(value, "path"), files, value.path.name)
        if isinstance(value, Symbols):
            return ("symbols", {value.path.name: self._file(value.path)}, value.path.name)
        if isinstance(value, threading.Event):
            self._call.stop = value
            return ("stop",)
        return None

    def _path(self, path: Path) -> tuple[Any, ...] | None:
        folder = self._call.folder
        if folder and path.is_relative_to(folder):
            return (OUT, str(path.relative_to(folder)))
        if self._result:
            return ("elsewhere", str(path))
        if path.is_file():
            return ("file", {path.name: self._file(path)}, path.name)
        raise TypeError(f"{path} is a place of this host and cannot travel")

    def _files(self, folder: Path) -> dict[str, str]:
        """Note the files of a folder; links within it stay links."""
        found = {}
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                found[path.name] = f"->{path.readlink()}"
            elif path.is_file() and path.name != "build.log":
                found[path.name] = self._file(path)
        return found

    def _file(self, path: Path) -> str:
        digest = known_digest(path)
        self._call.files[digest] = path
        return digest


class _Unpacker(pickle.Unpickler):
    """Reads values back, as they are on this host."""

    def __init__(
        self, data: bytes, source: Source | None, folder: Path, stop: threading.Event
    ) -> None:
        super().__init__(io.BytesIO(data))
        self._source, self._folder, self._stop = source, folder, stop

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of values; UnpicklingError for anything that could do something."""
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.startswith("pinrace.") and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and _is_value(found):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no value that travels")

    def persistent_load(self, reference: Any) -> Any:
        """Return what a reference means here."""
        kind, *rest = reference
        if kind == OUT:
            return self._folder / _inside(rest[0])
        if kind == "elsewhere":
            return Path(rest[0])
        if kind == "stop":
            return self._stop
        if self._source is None:
            raise pickle.UnpicklingError(f"a result holds no {kind}")
        if kind == "machine":
            return here(rest[0])
        if kind == "kernel":
            return Kernel(**rest[0], folder=self._source.folder(rest[1]))
        if kind == "image":
            return Image(**rest[0], path=self._source.folder(rest[1]) / _inside(rest[2]))
        if kind in ("file", "symbols"):
            path = self._source.folder(rest[0]) / _inside(rest[1])
            return Symbols(path) if kind == "symbols" else path
        raise pickle.UnpicklingError(f"unknown reference '{kind}'")


def _is_value(found: type) -> bool:
    """Whether a class of pinrace's holds values, and starts nothing; not one that it imports."""
    plain = is_dataclass(found) or issubclass(found, Enum | BaseModel | tuple | BaseException)
    return plain and found.__module__.startswith("pinrace.")


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise pickle.UnpicklingError(f"{name} leads out of its folder")
    return path


def _without(value: Kernel | Image, left_out: str) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in fields(value) if one.name != left_out}


_OF_A_HOST = ("qemu", "accel")


def _facts(machine: Machine) -> dict[str, Any]:
    """Return a machine without what is this host's: its QEMU, and how fast guests are here."""
    facts = {
        one.name: getattr(machine, one.name)
        for one in fields(machine)
        if one.name not in _OF_A_HOST
    }
    accel = machine.accel
    chosen = accel.name == "tcg" and accel.reason in CHOSEN
    return facts | {"kvm": accel.name == "kvm", "scale": accel.scale, "chosen": chosen}


def here(facts: dict[str, Any]) -> Machine:
    """Return the machine of those facts with this host's QEMU and accelerator.

    One that replays keeps its time limits: they are in its token.  Another has this host's.
    """
    told = dict(facts)
    kvm, scale, chosen = told.pop("kvm"), told.pop("scale"), told.pop("chosen")
    arch = get_arch(told["arch"])
    mine = get_machine(
        arch,
        smp=told["smp"],
        mem_mb=told["mem_mb"],
        cmdline=told["cmdline"],
        replay=told["replay"],
        turns=told["turns"],
    )
    if chosen and mine.accel.name != "tcg":
        update = {"name": "tcg", "reason": CHOSEN[0], "scale": TCG_SCALE}
        mine = replace(mine, accel=mine.accel.model_copy(update=update))
    cpu = told["cpu"]
    same = (mine.accel.name == "kvm") == kvm and cpu in get_qemu(arch).cpus
    mine = replace(
        mine,
        cpu=cpu if same else choose_cpu(arch, mine.qemu, mine.accel.name),
        qemu_args=told["qemu_args"],
        rich=told["rich"],
    )
    if mine.replay:
        mine = replace(mine, accel=mine.accel.model_copy(update={"scale": scale}))
    return mine


_digests: dict[tuple[str, int, int], str] = {}


def known_digest(path: Path) -> str:
    """Return the sha256 of a file, read once for as long as it does not change."""
    told = path.stat()
    key = (str(path), told.st_mtime_ns, told.st_size)
    if key not in _digests:
        _digests[key] = digest_of(path)
    return _digests[key]


def pack_folder(folder: Path, into: Path, limit: int) -> None:
    """Write an archive of a folder's files; InfrastructureError when they are too large."""
    size = count = 0
    with tarfile.open(into, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            found = path.lstat()
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                continue
            size, count = size + found.st_size, count + 1
            if size > limit or count > MOST_FILES:
                raise InfrastructureError(
                    f"a result of {size >> 20} MiB in {count} files is more than may travel:"
                    f" {limit >> 20} MiB in {MOST_FILES} files"
                )
            archive.add(path, str(path.relative_to(folder)), recursive=False)


def unpack_folder(archive: Path, folder: Path) -> None:
    """Unpack the files of such an archive below a folder; nothing else, and nothing outside."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:") as stream:
            plain = [one for one in stream if one.isreg() or one.isdir()]
            stream.extractall(folder, members=plain, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise InfrastructureError(f"the files of a result cannot be unpacked: {error}") from error
