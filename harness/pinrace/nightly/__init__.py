# SPDX-License-Identifier: GPL-2.0-or-later
"""A matrix every night: what moved, what came of it, and what of that is new."""
