# SPDX-License-Identifier: GPL-2.0-or-later
"""The suites that every image has: those of the shipped series' manifests."""

from __future__ import annotations

from pinrace.series import manifest
from pinrace.series.manifest import ImageSuite
from pinrace.suites.suite import PROGRAMS, SELFTESTS, Suite


def _suite(spec: ImageSuite) -> Suite:
    """Return the suite of a table."""
    return Suite(
        spec.name,
        f"{PROGRAMS}/{spec.guest}" if spec.guest else f"{SELFTESTS}/{spec.selftest}",
        spec.timeout,
        spec.about,
        brought_by_series=spec.brought,
        own_limits=spec.own_limits,
        picks=spec.picks,
        left_out=tuple(spec.left_out.items()),
        rich=spec.rich,
        about_files=spec.files,
        tests=spec.tests,
        kcidb=spec.kcidb,
    )


SUITES: dict[str, Suite] = {
    spec.name: _suite(spec) for one in manifest.shipped().values() for spec in one.image_suites
}
