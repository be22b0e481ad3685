# SPDX-License-Identifier: GPL-2.0-or-later
"""Race torture: many actors, random operations from one seed, and a verdict that says its bound."""
