# SPDX-License-Identifier: GPL-2.0-or-later
"""Many machines: calls travel as values to hosts that run guests, over dask.distributed.

Only what is asked for imports this: `pip install pinrace[fleet]` brings what it needs.
"""
