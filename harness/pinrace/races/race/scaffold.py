# SPDX-License-Identifier: GPL-2.0-or-later
"""A new race's folder: what its author fills in."""

from __future__ import annotations

from pathlib import Path

from pinrace.errors import UserError
from pinrace.races.race.folder import FILE

KINDS = ("sides", "program", "syz", "ltp")

_TOML = """\
about = "what is lost, and by which two operations"
tree = "debian:7.3"
{plant}kind = "{kind}"
source = "{source}"
# need = ["PACKET=y"]          kernel options
# flavor = "debug"             where KASAN has to see it
# abis = ["x86_64", "arm64"]   where it exists
{more}
[lost]
check = {check}
# titles = ["^refcount_t"]     the kernel's reports that count; all by default
# console = ["Leaked POSIX"]   lines on the console that are no report otherwise
"""

_SIDES = """\
# gate = true                  race.c has an argument that a gate can stop at
# waits = "50ms"               how long a side may sleep
# control = true               race.c has a .control, which check() has to see

# [[hold]]
# in = "FUNCTION"              of the kernel, or FILE:FUNCTION
# side = "a"
"""

_C = """\
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "race.h"	/* rootfs/lib/race/race.h of pinrace says all */

static int fds[2];

/* Before each round. */
static void prepare(void)
{
	close(fds[0]);
	close(fds[1]);
	if (pipe(fds))
		race_die("pipe");
}

/* These two run at the same time, each on a CPU of its own. */
static void a(void)
{
	race_said.a = write(fds[1], "x", 1) == 1 ? 0 : errno;
}

static void b(void)
{
	race_said.b = close(fds[0]) ? errno : 0;
}

/* After both: what was lost, or NULL. */
static const char *check(void)
{
	return NULL;
}

RACE(.prepare = prepare, .a = a, .b = b, .check = check);
"""


def new(folder: Path, kind: str, *, source: Path | None, plant: Path | None) -> None:
    """Make the folder of a race.

    source: a C file to take as it is; without one, a race of kind sides gets one to fill in.
    Raises UserError when the folder is there already, or a file is missing.
    """
    if (folder / FILE).exists():
        raise UserError(f"{folder} is a race already", hint=f"edit {folder / FILE}")
    if source is None and kind != "sides":
        raise UserError(f"a race of kind {kind} needs a C file", hint="--source FILE.c")
    for path in filter(None, (source, plant)):
        if not path.is_file():
            raise UserError(f"there is no file {path}")
    folder.mkdir(parents=True, exist_ok=True)
    name = source.name if source else "race.c"
    (folder / name).write_text(source.read_text() if source else _C)
    if plant:
        (folder / "plant.patch").write_text(plant.read_text())
    (folder / FILE).write_text(
        _TOML.format(
            plant='broken = "plant.patch"\n' if plant else "",
            kind=kind,
            source=name,
            more=_SIDES if kind == "sides" else "# seconds = 30               that it runs\n",
            check="true" if kind == "sides" else "false",
        )
    )
