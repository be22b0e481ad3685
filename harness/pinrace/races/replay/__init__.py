# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that come back exactly: the token that names one, and the proof that this host can."""
