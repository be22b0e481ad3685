# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls and results as bytes: what travels, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")


from pinrace.errors import InfrastructureError, UserError
from pinrace.fleet import wire
from pinrace.fleet.blobs import digest_of
from pinrace.fleet.trial import trial
from pinrace.values import Cell, Image, Kernel

CELL = Cell("x86_64", "i386", "plain", "trial")


class Shelf:
    """Gives the files of a call from the same host."""

    def __init__(self, call: wire.Call, folder: Path) -> None:
        self.call, self.place = call, folder

    def folder(self, files: dict[str, str]) -> Path:
        self.place.mkdir(exist_ok=True)
        for name, digest in files.items():
            if digest.startswith("->"):
                (self.place / name).symlink_to(digest[2:])
            else:
                (self.place / name).write_bytes(self.call.files[digest].read_bytes())
        return self.place


def test_a_kernel_travels_by_the_digests_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "bzImage").write_bytes(b"boots")
    (folder / "boot").symlink_to("bzImage")
    kernel = Kernel("d", "x86_64", "plain", "t", "7.3", folder)
    out = tmp_path / "out"
    call = wire.pack(trial, (CELL, kernel, out), {"stop": threading.Event()})
    assert list(call.files) == [digest_of(b"boots")]
    stop = threading.Event()
    there = tmp_path / "there"
    function, args, kwargs = wire.unpack(
        call.data, Shelf(call, there), tmp_path / "elsewhere", stop
    )
    assert function is trial
    assert args[1] == Kernel("d", "x86_64", "plain", "t", "7.3", there)
    assert args[1].boot.read_bytes() == b"boots"
    assert args[2] == tmp_path / "elsewhere"
    assert kwargs == {"stop": stop}


def test_an_image_travels_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "initramfs.cpio"
    path.write_bytes(b"files")
    call = wire.pack(trial, (Image("i", "x86_64", "i386", path),), {})
    _, args, _ = wire.unpack(call.data, Shelf(call, tmp_path / "x"), tmp_path, threading.Event())
    assert args[0].path.read_bytes() == b"files"
    assert args[0].path.name == "initramfs.cpio"


def test_what_cannot_travel_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        wire.pack(lambda: None, (), {})
    with pytest.raises(TypeError, match="cannot be called"):
        wire.pack(os.getcwd, (), {})
    with pytest.raises(TypeError, match="cannot travel"):
        wire.pack(trial, ((tmp_path / "a", Path("/proc/self")),), {})
    with pytest.raises(TypeError):
        wire.pack(trial, (lambda: None,), {})


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def test_a_pickle_that_names_anything_but_values_is_refused(tmp_path: Path) -> None:
    for evil in (Evil(), subprocess.run, trial):
        with pytest.raises(pickle.UnpicklingError, match="no value"):
            wire.unpack_result(pickle.dumps((evil, None, "h")), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "pinrace.nightly.watch\nTypeAdapter",  # evaluates a string that it is given
        "pinrace.report.render\nEnvironment",
        "pinrace.guest.qmp\nMonitor",
        "pinrace.fleet.serve\nWorker",
        "pinrace.store\nos.system",
    ],
)
def test_no_class_that_pinrace_imports_comes_out_of_a_pickle(name: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    data = f"(c{name}\n(Vopen('{ran}', 'w')\ntRNVhost\nt.".encode()
    with pytest.raises(pickle.UnpicklingError, match="no value"):
        wire.unpack_result(data, tmp_path)
    assert not ran.exists()


def test_a_result_leads_to_no_place_outside_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "there" / "out"
    data = wire.pack_result((out / "console.log", out), None, out, "a", 2.5)
    assert wire.unpack_result(data, tmp_path / "here") == (
        (tmp_path / "here/console.log", tmp_path / "here"),
        "a",
        2.5,
    )
    buffer = io.BytesIO()

    class Packer(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("out", "../../etc") if isinstance(value, Path) else None

    Packer(buffer).dump((Path("x"), None, "a"))
    with pytest.raises(pickle.UnpicklingError, match="leads out"):
        wire.unpack_result(buffer.getvalue(), tmp_path)


def test_an_error_keeps_its_kind_and_says_where(tmp_path: Path) -> None:
    far = InfrastructureError("no QEMU", log=Path("/var/log/x"), hint="pinrace doctor")
    with pytest.raises(InfrastructureError, match=r"no QEMU.*on a, log /var/log/x") as told:
        wire.unpack_result(wire.pack_result(None, far, tmp_path, "a"), tmp_path)
    assert told.value.hint == "pinrace doctor"
    with pytest.raises(UserError, match="wrong"):
        wire.unpack_result(wire.pack_result(None, UserError("wrong"), tmp_path, "a"), tmp_path)

    class OddError(Exception):
        pass

    with pytest.raises(InfrastructureError, match="OddError"):
        wire.unpack_result(wire.pack_result(None, OddError("x"), tmp_path, "a"), tmp_path)


def test_an_archive_brings_files_and_nothing_else(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as out:
        for name, kind in (("good", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            out.addfile(entry)
    wire.unpack_folder(archive, tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["good"]
    with tarfile.open(archive, "w") as out:
        out.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(InfrastructureError):
        wire.unpack_folder(archive, tmp_path / "to")
    assert not (tmp_path / "outside").exists()
