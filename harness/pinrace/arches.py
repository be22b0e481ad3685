# SPDX-License-Identifier: GPL-2.0-or-later
"""Every fact about an architecture or an ABI, and the only place that has one.

The rest of the harness asks these tables and never which arch it deals with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pinrace.errors import UserError


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
class Debug:
    """What a debugger of kernel code needs; numbers are those of QEMU's gdb stub.

    Sources: QEMU's gdb-xml/i386-64bit.xml and aarch64-core.xml, and each arch's calling convention.
    """

    pc: int
    sp: int
    first: int  # holds the first argument of a function when it begins
    link: int | None  # holds where a function returns to when it begins; None: the stack does
    pushed: int  # bytes that a call leaves on the stack, 0 when it uses a register
    traps: str  # names of what an exception or an interrupt enters, as a regular expression
    quiet: str  # instructions that touch nothing but registers and call nothing, as objdump prints
    irq_stack_from_end: bool  # what a CPU notes of its interrupt stack: its end, else its begin


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
    boot_magic: tuple[int, bytes]  # where a boot image says what it is, and how
    boots_vmlinux: bool  # QEMU starts the ELF itself (PVH): no decompression
    elf_machine: int  # of vmlinux
    qemu: str
    qemu_package: str
    machine: str
    cpus: tuple[str, ...]  # in order of preference; each has every ABI below
    console_tty: str
    channel_tty: str  # where results travel, beside the console
    channel_device: str  # QEMU device for it; its chardev is called `chan`
    machine_args: tuple[str, ...]
    rich_args: tuple[str, ...]  # for a machine that has all that it can have
    rich_flag: str  # in /proc/cpuinfo of a CPU that lets guests under KVM have it
    cmdline: str
    live_cmdline: str  # what is added where a run need not repeat itself to the instruction
    kvm_cpu: str  # the model under KVM, which cannot run any model on any host
    probe_rom: bytes = field(repr=False)  # firmware that tells whether guests run, and how fast
    debug: Debug
    packages: tuple[str, ...]
    abis: tuple[Abi, ...]

    def abi(self, name: str) -> Abi:
        """Return the ABI of that name; UserError when this arch has none."""
        for abi in self.abis:
            if abi.name == name:
                return abi
        known = ", ".join(a.name for a in self.abis)
        raise UserError(f"{self.name} has no ABI '{name}'", hint=f"its ABIs are: {known}")


# The probe firmware prints PROBE_TICK before each of PROBE_ROUNDS loops and PROBE_END after
# them, on the first serial port.  One turn of a loop is a load, a store, a decrement and a branch.
PROBE_ROUNDS = 5
PROBE_TURNS = 20_000_000
PROBE_TICK = b"."
PROBE_END = b"!"

# 16-bit code at the start of a 64 KiB ROM; its reset vector, 16 bytes from the end, jumps there.
_X86_PROBE = bytes.fromhex(
    "fa"  # 00        cli
    "31c0"  # 01        xor  %ax,%ax
    "8ed8"  # 03        mov  %ax,%ds
    "baf803"  # 05        mov  $0x3f8,%dx          the first UART
    "b305"  # 08        mov  $PROBE_ROUNDS,%bl
    "b02e"  # 0a round: mov  $PROBE_TICK,%al
    "ee"  # 0c        out  %al,(%dx)
    "66b9002d3101"  # 0d        mov  $PROBE_TURNS,%ecx
    "66a10005"  # 13 loop:  mov  0x500,%eax
    "66a34005"  # 17        mov  %eax,0x540
    "6649"  # 1b        dec  %ecx
    "75f4"  # 1d        jne  loop
    "fecb"  # 1f        dec  %bl
    "75e7"  # 21        jne  round
    "b021"  # 23        mov  $PROBE_END,%al
    "ee"  # 25        out  %al,(%dx)
    "f4"  # 26 stop:  hlt
    "ebfd"  # 27        jmp  stop
)
_X86_PROBE_ROM = (_X86_PROBE.ljust(0xFFF0, b"\xf4") + bytes.fromhex("e90d00")).ljust(
    0x10000, b"\xf4"
)

# A64 code at address 0, the start of `virt`'s flash, with the MMU off.
_ARM64_PROBE_ROM = bytes.fromhex(
    "0020a1d2"  # 00        mov  x0, #0x09000000         PL011
    "0100a8d2"  # 04        mov  x1, #0x40000000         RAM
    "a5008052"  # 08        mov  w5, #PROBE_ROUNDS
    "c2058052"  # 0c round: mov  w2, #PROBE_TICK
    "020000b9"  # 10        str  w2, [x0]
    "03a08552"  # 14        mov  w3, #PROBE_TURNS & 0xffff
    "2326a072"  # 18        movk w3, #PROBE_TURNS >> 16, lsl #16
    "240040b9"  # 1c loop:  ldr  w4, [x1]
    "244000b9"  # 20        str  w4, [x1, #64]
    "63040071"  # 24        subs w3, w3, #1
    "a1ffff54"  # 28        b.ne loop
    "a5040071"  # 2c        subs w5, w5, #1
    "e1feff54"  # 30        b.ne round
    "22048052"  # 34        mov  w2, #PROBE_END
    "020000b9"  # 38        str  w2, [x0]
    "7f2003d5"  # 3c stop:  wfi
    "ffffff17"  # 40        b    stop
)

_X86_64 = Arch(
    name="x86_64",
    kernel_arch="x86",
    cross="x86_64-linux-gnu-",
    deb_arch="amd64",
    host_machine="x86_64",
    boot_target="bzImage",
    boot_path="arch/x86/boot/bzImage",
    boot_magic=(0x202, b"HdrS"),  # Documentation/arch/x86/boot.rst
    boots_vmlinux=True,
    elf_machine=62,
    qemu="qemu-system-x86_64",
    qemu_package="qemu-system-x86",
    machine="pc",
    cpus=("qemu64", "max"),
    console_tty="ttyS0",
    channel_tty="ttyS1",
    channel_device="isa-serial,chardev=chan",
    machine_args=(),
    rich_args=(),
    rich_flag="pku",  # protection keys
    cmdline="",
    # The kernel counts ticks of the PIT for 40 ms of the host's, and panics where there are none:
    # seen in one of a hundred boots on a busy host, in each of a QEMU that is stopped in pulses.
    live_cmdline="no_timer_check",
    kvm_cpu="qemu64",
    probe_rom=_X86_PROBE_ROM,
    debug=Debug(
        pc=16,
        sp=7,
        first=5,
        link=None,
        pushed=8,
        traps=r"asm_(exc|sysvec|common)_\w+",
        quiet=r"(lea|nop\w*|endbr64)\b.*|xchg %ax,%ax"
        r"|(mov[a-z]*|test|cmp|xor|and|or|add|sub|sh[lr]|sar|inc|dec|neg|not|imul|cmov\w+|set\w+"
        r"|j\w+|cltq|cltd|cqto)[bwlq]?( [^(:*]*)?",
        irq_stack_from_end=True,
    ),
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
    boot_magic=(0x38, b"ARM\x64"),  # Documentation/arch/arm64/booting.rst
    boots_vmlinux=False,
    elf_machine=183,
    qemu="qemu-system-aarch64",
    qemu_package="qemu-system-arm",
    machine="virt,gic-version=3",
    cpus=("cortex-a57", "max"),  # AArch32 at EL0 in both; many later cores lack it
    console_tty="ttyAMA0",
    channel_tty="ttyS0",
    channel_device="pci-serial,chardev=chan",  # `virt` has one PL011, whatever -serial says
    machine_args=(),
    rich_args=("mte=on",),
    rich_flag="mte",  # memory tags
    cmdline="",
    live_cmdline="",
    kvm_cpu="max",
    probe_rom=_ARM64_PROBE_ROM,
    debug=Debug(
        pc=32,
        sp=31,
        first=0,
        link=30,
        pushed=0,
        traps=r"vectors",
        quiet=r"(nop|bti|paciasp|autiasp)\b.*"
        r"|(mov[kzn]?|mvn|neg|adrp?|adds?|subs?|cmp|cmn|tst|ands?|orr|orn|eor|bics?|lsl|lsr|asr|madd"
        r"|mul|[su]bfx|[su]bfiz|bfi|bfxil|[su]xt[bhw]|cs\w+|cinc|ccmp|b|b\.\w+|cbn?z|tbn?z) [^\[]*",
        irq_stack_from_end=False,
    ),
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
