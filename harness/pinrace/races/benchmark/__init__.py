# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon each way to look for races finds the same ten windows, in CPU time."""
