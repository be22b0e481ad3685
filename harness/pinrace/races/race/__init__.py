# SPDX-License-Identifier: GPL-2.0-or-later
"""A race of one's own: a folder, its program, and the ways to look for a loss."""
