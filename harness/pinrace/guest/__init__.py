# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel and an image under QEMU: boot, console, result channel, deadline."""
