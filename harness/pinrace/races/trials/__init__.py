# SPDX-License-Identifier: GPL-2.0-or-later
"""What the torture program is asked, what it says, and what that is worth."""
