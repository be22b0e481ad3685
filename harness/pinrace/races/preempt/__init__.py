# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds: one CPU stopped in a window while another one runs, by QEMU's gdb stub."""
