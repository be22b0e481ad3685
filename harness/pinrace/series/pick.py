# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mails of a mailbox are the series: one version of it, each patch once, none missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pinrace.errors import UserError
from pinrace.series.letters import Letter

_WHOLE = "save the whole thread, or name the message id of its cover letter"
_ONE = "keep the mails of one series in the box, or name its message id"


@dataclass(frozen=True)
class Picked:
    """The patches of a series in order, and what a person should know of the choice."""

    letters: tuple[Letter, ...]
    version: int = 1
    notes: tuple[str, ...] = ()


def name_of(letter: Letter) -> str:
    """Return how an error names a mail."""
    return f"'{letter.subject[:100]}'" if letter.subject else "a mail without a subject"


def pick(letters: Sequence[Letter], what: str, wanted: str = "") -> Picked:
    """Return the series that a mailbox holds: the latest version, or that of a message.

    wanted: a message id, "" for none.  Raises UserError when there is no series, more than one, or
    when a patch of it is missing or is there twice and differs.
    """
    named = next((one for one in letters if wanted and one.message_id == wanted), None)
    if wanted and named is None:
        raise UserError(f"the thread of {what} does not hold that message", hint=_WHOLE)
    patches = _once(one for one in letters if is_patch(one))
    if not patches:
        return _below_scissors(letters, what, named)
    version = named.place.version if named else max(one.place.version for one in patches)
    chosen = [one for one in patches if one.place.version == version]
    others = [one for one in patches if one.place.version != version]
    if named and is_patch(named) and named.place.number is None:
        return Picked((named,), version)
    if not named:
        _same_series(chosen, others, what)
    chosen, notes = _numbered_alone(chosen, letters, what, named)
    if any(one.place.number for one in chosen):
        picked = _complete(chosen, others, letters, what, named)
    else:
        picked = Picked(tuple(chosen))
    numbers = sorted({one.place.version for one in others if one not in picked.letters})
    if numbers and not picked.notes and not named:
        listed = ", ".join(f"v{number}" for number in numbers)
        notes.append(f"v{version} is taken, and {listed} left out")
    return replace(picked, version=version, notes=(*notes, *picked.notes))


def is_patch(letter: Letter) -> bool:
    """Whether a mail is a patch of a series: it holds a diff, and is no reply or cover letter."""
    return not letter.place.reply and letter.place.number != 0 and letter.diffs.size.files > 0


def _once(patches: Iterable[Letter]) -> list[Letter]:
    """Return the mails without those that came twice, as lists that share a mail send it."""
    found: dict[tuple[str, bytes], Letter] = {}
    for letter in patches:
        found.setdefault((letter.subject, letter.text.strip()), letter)
    return list(found.values())


def _below_scissors(letters: Sequence[Letter], what: str, named: Letter | None) -> Picked:
    """Return the one patch that stands below scissors in a mail; UserError without it."""
    found = [
        below
        for one in letters
        if (named is None or one is named) and (below := one.below_scissors) is not None
    ]
    if len(found) == 1:
        return Picked(
            tuple(found), found[0].place.version, (f"the patch below the scissors in {what}",)
        )
    covers = [one for one in letters if one.place.number == 0 and not one.place.reply]
    if covers:
        total = covers[0].place.total
        raise UserError(
            f"{what} holds the cover letter of {total} patches, and none of the patches",
            hint=_WHOLE,
        )
    if found:
        raise UserError(f"{what} holds {len(found)} patches below scissors", hint=_ONE)
    if any(one.diffs.size.files for one in letters):
        raise UserError(
            f"{what} holds diffs in replies only, and no patch that was sent as one", hint=_WHOLE
        )
    raise UserError(
        f"{what} holds no diff: there is no patch in it", hint="git format-patch makes a patch"
    )


def _same_series(chosen: Sequence[Letter], others: Sequence[Letter], what: str) -> None:
    """Raise UserError when what has another version is of another series."""
    senders = {one.sender for one in chosen}
    titles = {one.title.casefold() for one in chosen}
    ids = {one.message_id for one in (*chosen, *others)}
    for other in others:
        linked = any(ids & one.parents for one in (other, *chosen))
        if not linked and other.sender not in senders and other.title.casefold() not in titles:
            raise UserError(
                f"{what} holds more than one series: {name_of(chosen[0])} and {name_of(other)}",
                hint=_ONE,
            )


def _numbered_alone(
    chosen: list[Letter], letters: Sequence[Letter], what: str, named: Letter | None
) -> tuple[list[Letter], list[str]]:
    """Return the patches with a place in the series, where some have one, and notes.

    One without a place that answers another mail is somebody's proposal; one that stands alone
    raises UserError.
    """
    bare = [one for one in chosen if one.place.number is None]
    if not bare or len(bare) == len(chosen):
        return chosen, []
    ids = {one.message_id for one in letters}
    alone = [one for one in bare if not ids & one.parents]
    if alone and not named:
        with_place = next(one for one in chosen if one.place.number is not None)
        raise UserError(
            f"{what} holds more than one series: {name_of(with_place)} and {name_of(alone[0])}",
            hint=_ONE,
        )
    notes = [f"left out, as it has no place in the series: {name_of(one)}" for one in bare]
    return [one for one in chosen if one.place.number is not None], notes


def _complete(
    chosen: list[Letter],
    others: Sequence[Letter],
    letters: Sequence[Letter],
    what: str,
    named: Letter | None,
) -> Picked:
    """Return the patches 1 to n of n; UserError when one is missing or two claim its place."""
    if named:
        chosen = _of_the_same(chosen, letters, named)
    by_number: dict[int, Letter] = {}
    for one in chosen:
        number = one.place.number or 0
        if number in by_number:
            raise UserError(
                f"{what} holds two mails that differ and are both patch {number}:"
                f" {name_of(by_number[number])} and {name_of(one)}",
                hint=_ONE,
            )
        by_number[number] = one
    totals = {one.place.total for one in chosen}
    totals |= {
        one.place.total
        for one in letters
        if one.place.number == 0
        and not one.place.reply
        and one.place.version == chosen[0].place.version
        and (one.sender == chosen[0].sender or one.message_id in chosen[0].parents)
    }
    if len(totals) > 1:
        listed = " and ".join(sorted(str(total) for total in totals))
        raise UserError(f"the mails of {what} are of series of {listed} patches", hint=_ONE)
    total = totals.pop() or 0
    notes: tuple[str, ...] = ()
    if more := [one for number, one in by_number.items() if number > total]:
        if not named:
            raise UserError(
                f"{what} holds more patches than the series has: {name_of(more[0])}",
                hint="take that mail out of the box, or name the message id of the cover letter",
            )
        notes = tuple(f"left out, as it is behind the last one: {name_of(one)}" for one in more)
    missing = [number for number in range(1, total + 1) if number not in by_number]
    if missing:
        older = _rerolled(by_number, others, missing, total)
        if older is None:
            listed = ", ".join(f"{number}/{total}" for number in missing[:20])
            verb = "is" if len(missing) == 1 else "are"
            raise UserError(f"{listed} {verb} missing in {what}", hint=_WHOLE)
        news = ", ".join(f"{number} (v{one.place.version})" for number, one in by_number.items())
        olds = ", ".join(f"{number} (v{one.place.version})" for number, one in older.items())
        notes = (
            *notes,
            f"{what} is a reroll of a part: patch {news} is newer, patch {olds} as before;"
            " look whether they fit each other",
        )
        by_number |= older
    return Picked(tuple(by_number[number] for number in range(1, total + 1)), notes=notes)


def _of_the_same(chosen: list[Letter], letters: Sequence[Letter], named: Letter) -> list[Letter]:
    """Return of several series in a thread the one that a message is of."""
    numbers = [one.place.number for one in chosen]
    if len(set(numbers)) == len(numbers):
        return chosen
    covers = {one.message_id for one in letters if one.place.number == 0 and one.message_id}
    near = {named.message_id} | (named.parents & covers)
    return [one for one in chosen if one is named or near & one.parents] or chosen


def _rerolled(
    newer: dict[int, Letter], others: Sequence[Letter], missing: Sequence[int], total: int
) -> dict[int, Letter] | None:
    """Return the older patches that complete a reroll; None when it is no such thing.

    Each newer patch answers the older one of the same place.
    """
    version = next(iter(newer.values())).place.version
    older: dict[int, Letter] = {}
    for one in sorted(others, key=lambda letter: letter.place.version):
        if one.place.number and one.place.total == total and one.place.version < version:
            older[one.place.number] = one
    for number, one in newer.items():
        before = older.get(number)
        if before is None or not before.message_id or before.message_id not in one.parents:
            return None
    if any(number not in older for number in missing):
        return None
    return {number: older[number] for number in missing}
