# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine that runs the harness: tools, QEMU, accelerators, its budget."""
