# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a guest's kernel has the feature that its series brings.

Every check of the suites is skipped where the kernel lacks the feature, as it must be on the
unpatched tree.  On a tree whose series brings it the same skips are a failure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pinrace.values import CaseResult, CaseStatus, Feature

CASE = "the kernel has what the series brings"
_RECORD = re.compile(r"^feature (\w+)=([01])$")


def lacking(
    feature: Feature, records: Sequence[str], cases: Sequence[CaseResult], *, own: bool
) -> CaseResult | None:
    """Return a failed case where a kernel that must have the feature shows that it does not.

    records: what the guest's program noted.  own: the suite is the series' own, which skips as a
    whole only where there is nothing to test.
    """
    found = filter(None, map(_RECORD.match, records))
    said = [match[2] for match in found if match[1] == feature.record]
    skipped = bool(cases) and all(case.status is CaseStatus.SKIP for case in cases)
    if said[:1] == ["0"] or (own and skipped):
        why = f"the series defines {feature.defines}, and this kernel does not know it"
        return CaseResult(CASE, CaseStatus.FAIL, why)
    return None
