# SPDX-License-Identifier: GPL-2.0-or-later
"""The root file system is what its recipe says, to the byte."""

from __future__ import annotations

import shutil
import stat
import subprocess
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from pinrace.arches import get_abi, get_arch
from pinrace.errors import InfrastructureError
from pinrace.image import cpio, initramfs, recipe
from pinrace.image.cpio import Entry
from pinrace.values import Image


@dataclass(frozen=True)
class Found:
    """One member of an archive, as the kernel would see it."""

    mode: int
    uid: int
    gid: int
    mtime: int
    device: tuple[int, int]
    data: bytes


def unpack(archive: bytes) -> list[tuple[str, Found]]:
    """Read concatenated newc archives the way init/initramfs.c of the kernel does."""
    found = []
    at = 0
    while at < len(archive):
        if archive[at] == 0:
            at += 1
            continue
        assert at % 4 == 0, "a header must lie at a multiple of four"
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        _ino, mode, uid, gid, _nlink, mtime, size, _, _, major, minor, length, _check = fields
        name = archive[at + 110 : at + 110 + length - 1].decode()
        body = (at + 110 + length + 3) & ~3
        at = (body + size + 3) & ~3
        if name != "TRAILER!!!":
            member = Found(mode, uid, gid, mtime, (major, minor), archive[body : body + size])
            found.append((name, member))
    return found


def packed(entries: list[Entry]) -> bytes:
    out = BytesIO()
    cpio.write(entries, out.write)
    return out.getvalue()


ENTRIES = [
    Entry("/z/y/file", 0o640, data=b"12345"),
    Entry("/bin/link", 0o777, target="busybox"),
    Entry("/dev/console", 0o600, device=(5, 1)),
    Entry("/empty", 0o644, data=b""),
    Entry("/tmp", 0o1777),
]


def test_every_kind_of_entry() -> None:
    found = dict(unpack(packed(ENTRIES)))
    assert found["z/y/file"].mode == stat.S_IFREG | 0o640
    assert found["z/y/file"].data == b"12345"
    assert found["bin/link"].mode == stat.S_IFLNK | 0o777
    assert found["bin/link"].data == b"busybox"
    assert found["dev/console"].mode == stat.S_IFCHR | 0o600
    assert found["dev/console"].device == (5, 1)
    assert found["empty"].mode == stat.S_IFREG | 0o644
    assert found["tmp"].mode == stat.S_IFDIR | 0o1777
    assert all((f.uid, f.gid, f.mtime) == (0, 0, 0) for f in found.values())


def test_parents_come_first() -> None:
    names = [name for name, _ in unpack(packed(ENTRIES))]
    assert names == sorted(names)
    assert {"z", "z/y", "bin", "dev"} < set(names)


def test_same_bytes_whatever_the_order() -> None:
    first = packed(ENTRIES)
    assert first == packed(list(reversed(ENTRIES)))
    assert first != packed([*ENTRIES[1:], Entry("/z/y/file", 0o640, data=b"12346")])
    assert len(first) % cpio.PADDING == 0


def test_a_digest_without_some_files(tmp_path: Path) -> None:
    def digest(entries: list[Entry]) -> str:
        (tmp_path / "cpio").write_bytes(packed(entries))
        return cpio.digest_without(tmp_path / "cpio", ["/z/y"])

    whole = digest(ENTRIES)
    assert digest([*ENTRIES[1:], Entry("/z/y/file", 0o640, data=b"other")]) == whole
    assert digest([*ENTRIES[:3], Entry("/empty", 0o644, data=b"full"), ENTRIES[4]]) != whole
    assert (
        digest([ENTRIES[0], Entry("/bin/link", 0o777, target="elsewhere"), *ENTRIES[2:]]) != whole
    )
    (tmp_path / "cpio").write_bytes(b"0707no")
    with pytest.raises(InfrastructureError, match="damaged"):
        cpio.digest_without(tmp_path / "cpio", [])


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_reads_it() -> None:
    done = subprocess.run(["cpio", "-t"], input=packed(ENTRIES), capture_output=True, check=True)
    assert "z/y/file" in done.stdout.decode().splitlines()


def make_parts(folder: Path) -> dict[str, Path]:
    """Parts with the files that the recipe names."""
    parts = {}
    for part, names in (
        ("native", ["init"]),
        ("programs", ["bin/abiprobe", "bin/pinsmoke"]),
        ("busybox", ["busybox"]),
        ("selftests", ["bin/seccomp_bpf", "warnings.txt"]),
    ):
        parts[part] = folder / part
        for name in names:
            path = parts[part] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{part}: {name}".encode())
    return parts


def build(parts: dict[str, Path]) -> Image:
    return initramfs.build_image(get_arch("arm64"), get_abi("arm"), parts)


def test_image_holds_what_the_recipe_says(own_cache: Path, tmp_path: Path) -> None:
    image = build(make_parts(tmp_path))
    found = dict(unpack(image.path.read_bytes()))
    assert (image.arch, image.abi) == ("arm64", "arm")
    assert found["init"].data == b"native: init"
    assert found["init"].mode == stat.S_IFREG | 0o755
    assert found["pinrace/bin/pinsmoke"].data == b"programs: bin/pinsmoke"
    assert found["pinrace/selftests/seccomp_bpf"].data == b"selftests: bin/seccomp_bpf"
    assert "pinrace/selftests/warnings.txt" not in found
    assert found["bin/sh"].data == b"busybox"
    assert found["dev/console"].device == (5, 1)
    assert found["tmp"].mode == stat.S_IFDIR | 0o1777


def test_image_is_named_by_its_bytes(own_cache: Path, tmp_path: Path) -> None:
    parts = make_parts(tmp_path / "a")
    first = build(parts)
    again = build(make_parts(tmp_path / "b"))
    assert first == again
    (parts["native"] / "init").write_bytes(b"another")
    assert build(parts).digest != first.digest


def test_image_without_selftests(own_cache: Path, tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    del parts["selftests"]
    names = {name for name, _ in unpack(build(parts).path.read_bytes())}
    assert not any(name.startswith("pinrace/selftests/") for name in names)


@pytest.mark.parametrize("gone", ["native/init", "busybox/busybox", "selftests/bin/seccomp_bpf"])
def test_missing_file_is_an_error(own_cache: Path, tmp_path: Path, gone: str) -> None:
    parts = make_parts(tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(InfrastructureError, match="the image wants"):
        build(parts)


def test_missing_part_is_an_error(own_cache: Path, tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    del parts["busybox"]
    with pytest.raises(InfrastructureError, match="not been built"):
        build(parts)


def test_overlay_comes_after_the_image(own_cache: Path, tmp_path: Path) -> None:
    image = build(make_parts(tmp_path))
    plan = b"channel ttyS1\n"
    path = initramfs.overlay(image, {"/pinrace/plan": plan, "/new/x": b""}, tmp_path / "initrd")
    whole = path.read_bytes()
    assert whole.startswith(image.path.read_bytes())
    members = unpack(whole)
    assert [f.data for name, f in members if name == "pinrace/plan"] == [plan]
    assert dict(members)["new/x"].mode == stat.S_IFREG | 0o644
    assert dict(members)["new"].mode == stat.S_IFDIR | 0o755


@pytest.mark.parametrize(
    "text",
    [
        '[[directory]]\npath = "/x"\ncolour = "red"\n',
        '[[directory]]\npath = "/x"\nmode = "9"\n',
        "[[directory\n",
    ],
)
def test_malformed_recipe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "image.toml"
    path.write_text(text)
    with pytest.raises(InfrastructureError, match="no recipe"):
        recipe.load(path)
