# SPDX-License-Identifier: GPL-2.0-or-later
"""Initramfs images: recipes, programs, byte-reproducible archives."""
