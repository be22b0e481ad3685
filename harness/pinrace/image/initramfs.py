# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the initramfs of an ABI once, and lay a run's own files over it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from pinrace import store
from pinrace.arches import Abi, Arch
from pinrace.image import cpio, recipe
from pinrace.image.recipe import Files
from pinrace.kbuild import sysroot, userspace
from pinrace.series import manifest
from pinrace.values import Image, PatchedTree

FILE_NAME = "initramfs.cpio"
OTHER = "/pinrace/selftests/other"  # in the guest: what is wanted of the arch's other ABI


def build_image(
    arch: Arch, abi: Abi, parts: Mapping[str, Path], more: Sequence[Files] = ()
) -> Image:
    """Return the image of these parts, whose names rootfs/image.toml uses, and more files of them.

    Not compressed: under TCG the guest would take longer to unpack it than QEMU to load it.
    Its digest is that of its bytes, so that parts that come out the same give the same image.
    Raises InfrastructureError for a missing part.
    """
    whole = BytesIO()
    cpio.write(recipe.load().entries(parts, more), whole.write)
    key = store.digest(whole.getvalue())

    def fill(draft: Path) -> None:
        (draft / FILE_NAME).write_bytes(whole.getvalue())

    path = store.make("images", key, fill) / FILE_NAME
    return Image(key, arch.name, abi.name, path)


def guest_image(arch: Arch, abi: Abi, tree: PatchedTree, source: userspace.Source) -> Image:
    """Return the image for an ABI of a tree, whose files `source` gives if they are needed.

    Its init and shell are the arch's native ones; the programs and the tree's own selftests are
    the ABI's, and beside them lies what the recipe wants of the arch's other ABI.  Raises
    BuildError when the tree's headers or selftests do not build, and InfrastructureError when the
    programs of the guest do not.
    """
    native = arch.abis[0]
    headers = {
        name: userspace.headers(source, tree.tree_id, name)
        for name in {native.headers_arch, abi.headers_arch}
    }
    programs = userspace.build_programs(abi, headers[abi.headers_arch])
    parts = {
        "native": userspace.build_programs(native, headers[native.headers_arch]),
        "programs": programs,
        "busybox": sysroot.busybox(arch),
    }
    more: tuple[Files, ...] = ()
    if tests := manifest.shipped()[manifest.default_folder()].selftests:
        folders = {
            each: userspace.build_selftests(source, tree.tree_id, each, tests.collection)
            for each in arch.abis
        }
        parts["selftests"] = folders.pop(abi)
        mixed = f"bin/{tests.mixed}"
        for folder in folders.values():
            if tests.mixed and (folder / mixed).exists():
                parts["other"] = folder
                more = (Files(part="other", pattern=mixed, into=OTHER),)
    return build_image(arch, abi, parts, more)


def overlay(
    image: Image, files: Mapping[str, bytes], into: Path, more: Sequence[cpio.Entry] = ()
) -> Path:
    """Write an initramfs of the image and, over it, these files (absolute path to content).

    `into` is the file to write; it is returned.  The files get mode 0644; `more` is for others.
    """
    entries = [*(cpio.Entry(path, 0o644, data=data) for path, data in files.items()), *more]
    with into.open("wb") as out:
        with image.path.open("rb") as base:
            shutil.copyfileobj(base, out)
        cpio.write(entries, out.write)
    return into
