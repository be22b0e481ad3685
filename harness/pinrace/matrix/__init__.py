# SPDX-License-Identifier: GPL-2.0-or-later
"""A matrix: many trees, flavors and configurations, run leg by leg and resumed where it ended."""
