# SPDX-License-Identifier: GPL-2.0-or-later
"""Patch series: reading them from folders, mailboxes and lists, and applying them to trees."""
