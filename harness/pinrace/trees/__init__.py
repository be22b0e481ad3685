# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel trees and the series applied to them; identity is the git tree id."""
