# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways into a running guest that leave its console to the kernel: a login, and a debugger."""
