# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to look for a race, to replay it and to measure how soon each finds one."""
