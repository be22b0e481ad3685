# SPDX-License-Identifier: GPL-2.0-or-later
"""The pinrace command: one module a subcommand."""
