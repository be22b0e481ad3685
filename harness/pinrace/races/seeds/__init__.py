# SPDX-License-Identifier: GPL-2.0-or-later
"""A search over seeds for a run that fails, and the smallest such run near it."""
