# SPDX-License-Identifier: GPL-2.0-or-later
"""PIN_ARGS as a feature: whether a series brings it, and whether a guest's kernel has it.

Every check of the suites is skipped where the kernel lacks the feature, as it must be on the
unpatched tree.  On a tree whose series adds the ioctl the same skips are a failure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pinrace.values import CaseResult, CaseStatus, Series

CASE = "the kernel has what the series brings"
_DEFINES = re.compile(rb"^\+#\s*define\s+SECCOMP_IOCTL_NOTIF_PIN_ARGS\b", re.MULTILINE)
_RECORD = re.compile(r"^feature pin_args=([01])$")


def brought_by(series: Series | None) -> bool:
    """Whether a patch of the series defines the ioctl; OSError when one cannot be read."""
    patches = series.patches if series else ()
    return any(_DEFINES.search(patch.read_bytes()) for patch in patches)


def lacking(records: Sequence[str], cases: Sequence[CaseResult], *, own: bool) -> CaseResult | None:
    """Return a failed case where a kernel that must have the feature shows that it does not.

    records: what the guest's program noted.  own: the suite is the series' own, which skips as a
    whole only where there is nothing to test.
    """
    said = next((match[1] for line in records if (match := _RECORD.match(line))), "")
    skipped = bool(cases) and all(case.status is CaseStatus.SKIP for case in cases)
    if said == "0" or (own and skipped):
        why = "the series defines SECCOMP_IOCTL_NOTIF_PIN_ARGS, and this kernel does not know it"
        return CaseResult(CASE, CaseStatus.FAIL, why)
    return None
