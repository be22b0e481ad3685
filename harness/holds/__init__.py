# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds: one vCPU stopped at an instruction of a window while another runs, over QEMU's gdb stub."""
