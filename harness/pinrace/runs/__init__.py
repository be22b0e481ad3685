# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves behind: journal, tables, JUnit."""
