# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m harness` is `pinrace`."""

import sys

from harness.cli.main import main

sys.exit(main())
