# SPDX-License-Identifier: GPL-2.0-or-later
"""From a patched tree to kernels, headers and the programs built against them."""
