# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest tests run on the flavors that are asked for: pytest tests/guest --flavor debug."""

from __future__ import annotations

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "flavor" in metafunc.fixturenames:
        metafunc.parametrize("flavor", metafunc.config.getoption("flavor") or ["plain"])
