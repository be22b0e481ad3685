# SPDX-License-Identifier: GPL-2.0-or-later
"""From a request to judged cells: build, boot, run, hold against the unpatched tree."""
