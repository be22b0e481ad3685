# SPDX-License-Identifier: GPL-2.0-or-later
"""From case results and a console to a verdict with a reason."""
