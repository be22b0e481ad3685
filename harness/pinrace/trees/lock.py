# SPDX-License-Identifier: GPL-2.0-or-later
"""The lock file: which exact version and content each named tree stands for."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from pinrace import paths
from pinrace.errors import InfrastructureError, UserError

HEADER = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# Written by `pinrace fetch`: the exact trees that runs use.  A version that the archive no longer
# has is replaced by the newest of its series, and the command that does so says it.
"""


@dataclass(frozen=True)
class Pin:
    """What a spec stands for; tree_id is "" until the tree was imported once."""

    suite: str
    version: str
    sha256: str  # of the deb
    tree_id: str = ""


def path() -> Path:
    """Return the lock file that is read: the user's own, or else the one that pinrace ships."""
    installed_first_time = paths.INSTALLED and not paths.LOCK_FILE.exists()
    return paths.SHIPPED_LOCK_FILE if installed_first_time else paths.LOCK_FILE


def read() -> dict[str, Pin]:
    """Return the pins by spec; none when there is no file.  UserError when it is not well made."""
    file = path()
    hint = f"restore it: git checkout -- {file}"
    try:
        table = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise UserError(f"cannot read {file}: {exc}", hint=hint) from exc
    pins = {}
    for spec, entry in table.items():
        try:
            pin = Pin(**entry)
        except TypeError as exc:
            raise UserError(f"{file}: '{spec}' is not well made: {exc}", hint=hint) from exc
        if not all(isinstance(getattr(pin, f.name), str) for f in fields(pin)) or not re.fullmatch(
            r"[0-9a-f]{64}", pin.sha256
        ):
            raise UserError(f"{file}: '{spec}' is not well made", hint=hint)
        pins[spec] = pin
    return pins


def write(spec: str, pin: Pin) -> None:
    """Pin a spec; the file appears whole, sorted, and only when something changed.

    The caller holds the lock "trees-lock".  InfrastructureError when it cannot be written.
    """
    pins = read()
    if pins.get(spec) == pin:
        return
    pins[spec] = pin
    text = HEADER
    for name in sorted(pins, key=_natural):
        text += f"\n[{json.dumps(name)}]\n"
        for field in fields(Pin):
            text += f"{field.name} = {json.dumps(getattr(pins[name], field.name))}\n"
    file = paths.LOCK_FILE
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text)
        draft.replace(file)
    except OSError as exc:
        draft.unlink(missing_ok=True)
        raise InfrastructureError(
            f"cannot write {file}: {exc.strerror}", hint="is the project's folder writable?"
        ) from exc


def _natural(spec: str) -> list[tuple[int, str]]:
    """Sort 6.12 after 6.1 and before 7.2."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", spec)]
