# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a cache of its own for fast tests, the real kernels and images for guest tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pinrace.arches import ABIS
from pinrace.cli.options import DEFAULT_SERIES, DEFAULT_TREE
from pinrace.engine import build
from pinrace.series.load import load_series
from pinrace.trees.fetch import resolve
from pinrace.values import Image, Request


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a runs folder that nothing else uses."""
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "cache"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--flavor", action="append", default=[], help="of guest tests; plain if none")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail where pytest-xdist is told of groups and does not see them."""
    grouped = item.config.getoption("loadgroup", False) and item.get_closest_marker("xdist_group")
    if grouped and "@" not in item.nodeid:
        pytest.fail("its xdist_group is not heeded: this pytest-xdist does not know this pytest")


@cache
def lab(abi: str, flavor: str = "plain") -> build.Lab:
    """The kernel of an ABI's arch and its image, with the project's series, and without."""
    tree = resolve(DEFAULT_TREE, say=print)
    asked = Request((ABIS[abi].arch,), (abi,), (flavor,))
    return build.prepare(asked, tree, load_series(DEFAULT_SERIES), with_base=True)


@pytest.fixture(scope="session")
def get_lab() -> Callable[..., build.Lab]:
    """What cells run on, by ABI and flavor."""
    return lab


@pytest.fixture(scope="session")
def boot_kernel() -> Callable[[str], Path]:
    """The patched kernel of an arch, as QEMU boots it."""

    def find(arch: str) -> Path:
        native = next(abi.name for abi in ABIS.values() if abi.arch == arch)
        return lab(native).patched.kernels[arch, "plain"].boot

    return find


@pytest.fixture(scope="session")
def abi_image() -> Callable[[str], Image]:
    """The image of an ABI."""
    return lambda abi: lab(abi).patched.images[abi]
