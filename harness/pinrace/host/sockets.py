# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders for unix sockets: the user's alone, and with a short name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pinrace.errors import InfrastructureError

# sun_path of unix(7) holds 108 bytes; what is left of them is for a folder's name and a socket's.
_LONGEST = 80
_PLACES = ("/tmp", "/var/tmp")  # noqa: S108 (a new folder of mode 0700 is made there)


@contextmanager
def folder() -> Iterator[Path]:
    """Hold a new folder that nobody else can enter, whose sockets' names are not too long.

    It is in TMPDIR unless that is too long.  Raises InfrastructureError when there is none.
    """
    places = (tempfile.gettempdir(), f"/run/user/{os.geteuid()}", *_PLACES)
    short = [place for place in places if len(os.fsencode(place)) <= _LONGEST]
    usable = next((place for place in short if os.access(place, os.W_OK | os.X_OK)), None)
    if usable is None:
        raise InfrastructureError(
            f"no folder for sockets has a name of {_LONGEST} bytes or less and can be written",
            hint="set TMPDIR to a shorter one",
        )
    with tempfile.TemporaryDirectory(prefix="pinrace-", dir=usable) as place:
        yield Path(place)
