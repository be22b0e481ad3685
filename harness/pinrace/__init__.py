# SPDX-License-Identifier: GPL-2.0-or-later
"""pinrace: build a kernel with a series, boot it, and judge what its races did."""

__version__ = "0.2.0"
