# SPDX-License-Identifier: GPL-2.0-or-later
"""Which commit, release or patch brought a fault in."""
