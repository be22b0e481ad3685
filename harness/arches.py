# SPDX-License-Identifier: GPL-2.0-or-later
"""Every fact about an architecture or an ABI, and the only place that has one.

The rest of the harness asks these tables and never which arch it deals with.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UserError


@dataclass(frozen=True)
class Abi:
    """One user-space ABI of an arch.

    Numbers: e_machine from elf.h, AUDIT_ARCH_* from include/uapi/linux/audit.h.
    """

    name: str
    arch: str
    bits: int
    cross: str  # prefix of gcc and binutils that build for it
    triple: str  # Debian's multiarch name, the folder below usr/lib
    deb_arch: str
    headers_arch: str  # ARCH= for `make headers` and the selftests
    elf_machine: int
    audit_arch: int
    packages: tuple[str, ...]  # Debian packages that bring its compiler and libc


@dataclass(frozen=True)
class Arch:
    """One architecture that kernels are built for and guests boot on."""

    name: str
    kernel_arch: str  # ARCH=
    cross: str  # CROSS_COMPILE= when the host is another arch
    deb_arch: str
    host_machine: str  # os.uname().machine of a host that runs it natively
    boot_target: str  # make target of the boot image, and where it appears
    boot_path: str
    boots_vmlinux: bool  # QEMU starts the ELF itself (PVH): no decompression
    qemu: str
    qemu_package: str
    machine: str
    cpus: tuple[str, ...]  # in order of preference; each has every ABI below
    console_tty: str
    channel_tty: str  # where results travel, beside the console
    channel_device: str  # QEMU device for it; its chardev is called `chan`
    machine_args: tuple[str, ...]
    cmdline: str
    packages: tuple[str, ...]
    abis: tuple[Abi, ...]

    def abi(self, name: str) -> Abi:
        """Return the ABI of that name; UserError when this arch has none."""
        for abi in self.abis:
            if abi.name == name:
                return abi
        known = ", ".join(a.name for a in self.abis)
        raise UserError(f"{self.name} has no ABI '{name}'", hint=f"its ABIs are: {known}")


_X86_64 = Arch(
    name="x86_64",
    kernel_arch="x86",
    cross="x86_64-linux-gnu-",
    deb_arch="amd64",
    host_machine="x86_64",
    boot_target="bzImage",
    boot_path="arch/x86/boot/bzImage",
    boots_vmlinux=True,
    qemu="qemu-system-x86_64",
    qemu_package="qemu-system-x86",
    machine="pc",
    cpus=("qemu64", "max"),
    console_tty="ttyS0",
    channel_tty="ttyS1",
    channel_device="isa-serial,chardev=chan",
    machine_args=(),
    cmdline="",
    packages=("gcc", "libc6-dev"),
    abis=(
        Abi(
            name="x86_64",
            arch="x86_64",
            bits=64,
            cross="x86_64-linux-gnu-",
            triple="x86_64-linux-gnu",
            deb_arch="amd64",
            headers_arch="x86",
            elf_machine=62,
            audit_arch=0xC000003E,
            packages=("gcc", "libc6-dev"),
        ),
        Abi(
            name="i386",
            arch="x86_64",
            bits=32,
            cross="i686-linux-gnu-",
            triple="i386-linux-gnu",
            deb_arch="i386",
            headers_arch="x86",
            elf_machine=3,
            audit_arch=0x40000003,
            packages=("gcc-i686-linux-gnu", "libc6-dev-i386-cross"),
        ),
    ),
)

_ARM64 = Arch(
    name="arm64",
    kernel_arch="arm64",
    cross="aarch64-linux-gnu-",
    deb_arch="arm64",
    host_machine="aarch64",
    boot_target="Image",
    boot_path="arch/arm64/boot/Image",
    boots_vmlinux=False,
    qemu="qemu-system-aarch64",
    qemu_package="qemu-system-arm",
    machine="virt,gic-version=3",
    cpus=("cortex-a57", "max"),  # AArch32 at EL0 in both; many later cores lack it
    console_tty="ttyAMA0",
    channel_tty="ttyS0",
    channel_device="pci-serial,chardev=chan",  # `virt` has one PL011, whatever -serial says
    machine_args=(),
    cmdline="",
    packages=("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
    abis=(
        Abi(
            name="arm64",
            arch="arm64",
            bits=64,
            cross="aarch64-linux-gnu-",
            triple="aarch64-linux-gnu",
            deb_arch="arm64",
            headers_arch="arm64",
            elf_machine=183,
            audit_arch=0xC00000B7,
            packages=("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
        ),
        Abi(
            name="arm",
            arch="arm64",
            bits=32,
            cross="arm-linux-gnueabihf-",
            triple="arm-linux-gnueabihf",
            deb_arch="armhf",
            headers_arch="arm",
            elf_machine=40,
            audit_arch=0x40000028,
            packages=("gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"),
        ),
    ),
)

ARCHES: dict[str, Arch] = {arch.name: arch for arch in (_X86_64, _ARM64)}
ABIS: dict[str, Abi] = {abi.name: abi for arch in ARCHES.values() for abi in arch.abis}


def get_arch(name: str) -> Arch:
    """Return the arch of that name; UserError when there is none."""
    try:
        return ARCHES[name]
    except KeyError:
        hint = f"the arches are: {', '.join(ARCHES)}"
        raise UserError(f"unknown arch '{name}'", hint=hint) from None


def get_abi(name: str) -> Abi:
    """Return the ABI of that name; UserError when there is none."""
    try:
        return ABIS[name]
    except KeyError:
        raise UserError(f"unknown ABI '{name}'", hint=f"the ABIs are: {', '.join(ABIS)}") from None
