# SPDX-License-Identifier: GPL-2.0-or-later
"""What a sweep over windows came to, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pinrace.races.preempt.windows import Window


@dataclass(frozen=True)
class Swept:
    """One window on one ABI."""

    abi: str
    window: Window
    holds: int
    given_up: int
    violations: int
    length: int | None  # instructions of the window, None where its end was not seen
    lost: int = 0  # guests that ended for no known reason
    reports: int = 0  # kernels that reported something

    @property
    def text(self) -> str:
        """Its square of the table."""
        bad = self.violations if not self.window.control else 0
        found = f"**{bad} violations**" if bad else f"{self.violations} violations"
        end = f"of {self.length}" if self.length is not None else "not to its end"
        parts = [f"{self.holds} holds {end}", f"{self.given_up} given up", found]
        parts += [f"**{self.lost} lost**"] if self.lost else []
        parts += [f"**{self.reports} reports**"] if self.reports else []
        return ", ".join(parts)


def markdown(swept: Sequence[Swept], facts: Mapping[str, str]) -> str:
    """Return the facts, and a row a window with a column an ABI.

    A hold is one CPU stopped before one instruction while the other one runs; instructions that
    nobody else can notice are left out, so there are fewer holds than instructions.
    """
    abis = list(dict.fromkeys(one.abi for one in swept))
    windows = list(dict.fromkeys(one.window for one in swept))
    squares = {(one.abi, one.window.name): one.text for one in swept}
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", f"| window | held in | the other one | {' | '.join(abis)} |"]
    lines += [f"|---|---|---|{'---|' * len(abis)}"]
    for window in windows:
        name = f"{window.name} (control)" if window.control else window.name
        other = f"{window.scenario}, until {window.until}"
        other += ", and the tracee" if window.settle else ""
        cells = [squares.get((abi, window.name), "not run") for abi in abis]
        lines.append(f"| {name} | `{window.window}` | {other} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
