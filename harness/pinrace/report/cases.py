# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of a cell as the tree that its program printed, within what a page can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pinrace.judge.match import keyed
from pinrace.report import text
from pinrace.report.limits import LINE, NAME, SENTENCE, Purse, Share
from pinrace.report.model import Cases, Fold, Node
from pinrace.suites import ktap
from pinrace.values import CaseResult, CaseStatus, CellResult

KTAP = "ktap.txt"

_LONGEST = 4 << 20  # bytes of KTAP that are read again for its tree; more is shown as a list
_NODE = 160  # bytes that a node takes beside its texts
_PLAIN = 16  # the same of one that passed and said nothing
_LINES = 200  # of a case that is bad
_FEW = 20  # of one that is good


def read(result: CellResult, folder: Path | None, share: Share) -> Cases:
    """Return the cases: the judged ones, nested as in the cell's KTAP where the two agree."""
    judged = dict(keyed(result.cases))
    tree = _tree(folder / KTAP) if folder else ()
    keys = _keys(tree)
    if not tree or set(keys.values()) != judged.keys():
        tree = tuple(ktap.Result(None, c.name, c.status, c.reason, c.lines) for c in result.cases)
        keys = {id(one): key for one, key in zip(tree, judged, strict=True)}
    builder = _Builder(result, share, judged, keys)
    items = tuple(_folded(builder.nodes(tree)))
    return Cases(items, builder.left_out)


def _tree(path: Path) -> tuple[ktap.Result, ...]:
    """Return what the program printed; nothing when there is none or too much."""
    try:
        if not 0 < path.stat().st_size <= _LONGEST:
            return ()
        return ktap.parse(path.read_bytes().decode(errors="replace")).results
    except OSError:
        return ()


def _keys(tree: Iterable[ktap.Result]) -> dict[int, str]:
    """Return the keys of the results that are cases, by what id() says of the result."""
    pairs = [pair for top in tree for pair in top.judged()]
    keys = [key for key, _ in keyed(case for _, case in pairs)]
    return {id(one): key for (one, _), key in zip(pairs, keys, strict=True)}


class _Builder:
    """Turns results into nodes while there is room.

    judged: the cases by their keys; keys: those of results, by what id() says of them.
    """

    def __init__(
        self,
        result: CellResult,
        share: Share,
        judged: Mapping[str, CaseResult],
        keys: Mapping[int, str],
    ) -> None:
        self.judged, self.keys = judged, keys
        self.sets = {
            "new": frozenset(result.new),
            "known": frozenset(result.known),
            "fixed": frozenset(result.fixed),
        }
        self.bad, self.good = Purse(share.bad_cases), Purse(share.good_cases)
        self.left_out = 0

    def nodes(self, results: Iterable[ktap.Result]) -> Iterator[Node]:
        """Return the nodes that there is room for."""
        for result in results:
            case = self.judged.get(self.keys.get(id(result), ""))
            status = case.status if case else result.status
            purse = self.bad if _shows_bad(result, case) else self.good
            if purse.left < _PLAIN:
                self.left_out += len(result.flatten())
                continue
            before = self.left_out
            node = self._node(result, case, status)
            if purse.take(_size(node)):
                yield node
            else:
                self.left_out = before + len(result.flatten())

    def _node(self, result: ktap.Result, case: CaseResult | None, status: CaseStatus) -> Node:
        lines = [line for line in result.lines if not ktap.says_nothing(line)]
        most = _LINES if status.bad or result.status.bad else _FEW
        shown = [text.fit(line, LINE) for line in lines[:most]]
        if len(lines) > most:
            shown.append(f"… {len(lines) - most} more lines")
        key = self.keys.get(id(result))
        tags = [tag for tag, names in self.sets.items() if key in names]
        if case and case.status is not result.status:
            tags.append(f"flaky: {result.status.value} at first")
        return Node(
            name=text.fit(result.name, NAME),
            status=status,
            reason=text.fit(case.reason if case else result.reason, SENTENCE),
            lines=tuple(shown),
            tags=tuple(tags),
            children=tuple(_folded(self.nodes(result.children))),
        )


def _shows_bad(result: ktap.Result, case: CaseResult | None) -> bool:
    """Whether something in it went wrong."""
    if result.status.bad or (case and case.status.bad):
        return True
    return any(_shows_bad(child, None) for child in result.children)


def _size(node: Node) -> int:
    """Return about how many bytes a node takes, without its children."""
    texts = (node.name, node.reason, *node.lines)
    plain = node.status is CaseStatus.PASS and not (node.lines or node.reason or node.children)
    return sum(text.size(t) + 1 for t in texts) + (_PLAIN if plain else _NODE)


def _folded(nodes: Iterable[Node]) -> list[Node | Fold]:
    """Put what passed, and stands together, into folds."""
    items: list[Node | Fold] = []
    passed: list[Node] = []
    for node in nodes:
        if _quiet(node):
            passed.append(node)
            continue
        items += _fold(passed)
        passed = []
        items.append(node)
    return items + _fold(passed)


def _fold(passed: list[Node]) -> list[Fold]:
    return [Fold(tuple(passed))] if passed else []


def _quiet(node: Node) -> bool:
    """Whether nothing in it needs to be looked at."""
    inner = (n for c in node.children for n in (c.nodes if isinstance(c, Fold) else (c,)))
    return node.status is CaseStatus.PASS and not node.tags and all(_quiet(n) for n in inner)
