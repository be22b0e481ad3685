# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs inside a guest, and how its output becomes case results."""
