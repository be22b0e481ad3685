# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m pinrace` is `pinrace`."""

import sys

from pinrace.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
