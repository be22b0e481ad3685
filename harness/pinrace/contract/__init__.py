# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series promises: its statements held against kernels, and its cost."""
