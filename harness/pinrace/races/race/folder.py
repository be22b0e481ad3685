# SPDX-License-Identifier: GPL-2.0-or-later
"""A race as a folder: race.toml says what it is, and beside it lie its program and its plant.

about  = "close() in the midst of F_SETLK leaves the lock"
tree   = "debian:7.3"          # as --tree takes it
broken = "plant.patch"         # patches that bring the fault back; "" when the tree has it
need   = ["PACKET=y"]          # kernel options, as --config takes them
flavor = "plain"               # or debug, where KASAN has to see it
kind   = "sides"               # sides: on rootfs/lib/race; program, syz, ltp: see program.py
abis   = ["x86_64", "arm64"]   # those on which it exists; all by default
gate   = true                  # race.c has an argument that a gate can stop at
waits  = "50ms"                # for so long a side may sleep before it counts as blocked
cpus   = 3                     # of the guest; one a side by default
sides  = 3                     # 2 by default

[[hold]]                       # the windows, where they are known
in     = "fcntl_setlk"         # or FILE:FUNCTION
side   = "a"
while  = "b"                   # who runs meanwhile, in this order
before = "b.do_settime,a.exit_notify"  # moves, as of a hold, that lead to where it begins

[lost]                         # what losing is; check and reports by default
check   = true                 # race.c's own check()
reports = true                 # any report of the kernel's: a warning, KASAN, a panic
titles  = ["^refcount_t"]      # but only those with such a title
console = ["Leaked POSIX lock"]  # lines on the console that no rule knows
hang    = false                # the guest makes no progress any more
exit    = [1]                  # of a program: exit statuses
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pinrace import store, userfile
from pinrace.arches import ABIS
from pinrace.errors import UserError
from pinrace.paths import KERNEL, given, inside
from pinrace.races.preempt import spec
from pinrace.races.preempt.windows import Window
from pinrace.races.replay.words import DIGITS

RACES = KERNEL / "races"  # where a bare name is looked for
FILE = "race.toml"
MEMBERS, SIZE = 1000, 64 << 20  # of a packed race at most; SIZE in bytes
TOKENS = "tokens.txt"  # of a packed race: what to replay, a line each
_NO_PART = (TOKENS, "README.md")  # of what the digest is made of
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_UNITS = {"ms": 0.001, "s": 1.0}


def _seconds(text: object) -> object:
    """Return the seconds of "50ms" or "2s"."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError("write it as 50ms or 2s")
    return float(match[1]) * _UNITS[match[2]]


def _matches_something(text: str) -> str:
    if re.match(text, ""):
        raise ValueError("a pattern that matches an empty line finds everything")
    return text


Seconds = Annotated[float, BeforeValidator(_seconds)]
Pattern = Annotated[userfile.Pattern, AfterValidator(_matches_something)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class HoldIn(_Strict):
    """One window: a side is held at each instruction of a function while others run."""

    function: str = Field(alias="in")
    side: str = Field(default="a", pattern="^[abc]$")
    runners: str = Field(default="", alias="while", pattern="^[abc]*$")
    first: int = Field(default=0, ge=0)
    last: int | None = None
    until: str = spec.DONE
    before: str = ""
    against: str = ""
    abis: tuple[str, ...] = ()  # where it has this name; all by default


class Lost(_Strict):
    """What losing looks like."""

    check: bool = True
    reports: bool = True
    titles: tuple[Pattern, ...] = ()
    console: tuple[Pattern, ...] = ()
    hang: bool = False
    exit: tuple[int, ...] = ()


class Race(_Strict):
    """All of a race.toml; `folder` is where it lies."""

    about: str = Field(min_length=1)
    tree: str = "debian:7.3"
    broken: str = ""
    need: tuple[str, ...] = ()
    flavor: str = "plain"
    kind: Literal["sides", "program", "syz", "ltp"] = "sides"
    source: str = "race.c"
    args: tuple[str, ...] = ()  # of a program
    seconds: float = Field(default=30.0, gt=0)  # of the guest's, that a program runs
    abis: tuple[str, ...] = tuple(ABIS)
    gate: bool = False
    control: bool = False  # race.c has a .control that check() has to see
    waits: Seconds = 0.0
    sides: int = Field(default=2, ge=2, le=3)
    cpus: int = Field(default=0, ge=0, le=8)
    rounds: int = Field(default=1000, ge=1)  # of one boot that replays
    hold: tuple[HoldIn, ...] = ()
    lost: Lost = Lost()
    folder: Path = Path()

    @property
    def name(self) -> str:
        """What results call it: its folder's name."""
        return re.sub(r"[^a-z0-9-]+", "-", self.folder.name.lower()).strip("-") or "race"

    @property
    def digest(self) -> str:
        """Of all that the folder holds, but notes and tokens: what a token is good for."""
        files = sorted(p for p in self.folder.rglob("*") if p.is_file() and _is_part(p))
        parts = [part for p in files for part in (str(p.relative_to(self.folder)), p.read_bytes())]
        return store.digest(*parts)[:DIGITS]

    @property
    def smp(self) -> int:
        """CPUs of the guest."""
        return max(self.cpus, self.sides)

    @property
    def side_names(self) -> tuple[str, ...]:
        """The sides."""
        return ("a", "b", "c")[: self.sides]

    @property
    def plant(self) -> Path | None:
        """The patch that brings the fault back, None when the tree itself has it."""
        return self.folder / self.broken if self.broken else None

    @property
    def by_rounds(self) -> bool:
        """Whether its program goes round by round, and says which one was lost."""
        return self.kind in ("sides", "ltp")

    def windows(self, abi: str) -> tuple[Window, ...]:
        """Return the windows to hold in on an ABI."""
        return tuple(
            Window(
                name=f"w{number}-{re.sub(r'[^a-z0-9]+', '-', one.function.lower()).strip('-')}",
                scenario=self.name if self.name[0].isalpha() else f"r{self.name}",
                window=one.function,
                side=one.side,
                first=one.first,
                last=one.last,
                until=one.until,
                before=one.before,
                against=one.against,
                runners=one.runners
                or "".join(side for side in self.side_names if side != one.side),
            )
            for number, one in enumerate(self.hold, 1)
            if not one.abis or abi in one.abis
        )


def _is_part(path: Path) -> bool:
    return path.name not in _NO_PART and not path.name.startswith(".")


def load(text: str | Path) -> Race:
    """Return the race of a folder, or of a name in kernel/races.

    Raises UserError for a folder that is none, and says what is wrong with its race.toml.
    """
    folder = given(text)
    if not folder.exists() and (RACES / str(text)).is_dir():
        folder = RACES / str(text)
    path = folder / FILE
    said = userfile.table(path, hint="pinrace race new FOLDER makes one")
    said["folder"] = folder.resolve()
    race = userfile.check(Race, said, path, "does not say what a race is")
    return _checked(race)


def _checked(race: Race) -> Race:
    """Refuse what pydantic cannot know to be wrong."""
    path = race.folder / FILE
    for abi in race.abis:
        if abi not in ABIS:
            raise UserError(f"{path}: there is no ABI '{abi}'", hint=", ".join(ABIS))
    for name in (race.source, race.broken):
        inside(race.folder, name)
    for place in race.folder.rglob("*"):
        if place.is_symlink() and _is_part(place):
            inside(race.folder, str(place.relative_to(race.folder)))
    if not (race.folder / race.source).is_file():
        raise UserError(f"{path} names {race.source}, which is not in {race.folder}")
    if race.plant is not None and not race.plant.exists():
        raise UserError(f"{path} names {race.broken}, which is not in {race.folder}")
    for one in race.hold:
        for function in filter(None, (one.function, one.against)):
            spec.parse_function(function)
        led = spec.parse(one.before).moves if one.before else ()
        used = {one.side, *one.runners, *(move.side for move in led)}
        if not used <= set(race.side_names):
            raise UserError(f"{path}: a hold names side {max(used)}, and sides = {race.sides}")
    if race.gate and not race.by_rounds:
        raise UserError(f"{path}: a {race.kind} has no gate")
    return race


@contextmanager
def opened(text: str) -> Iterator[Race]:
    """Hold a race that is a folder, a name in kernel/races, or a .tar of `pinrace race pack`.

    Raises UserError for what is none of these.
    """
    path = given(text)
    if not path.is_file():
        yield load(text)
        return
    with tempfile.TemporaryDirectory(prefix="pinrace-race-") as place:
        try:
            with tarfile.open(path, "r:") as archive:  # what is compressed may have no end
                _small(path, archive)
                archive.extractall(place, filter="data")
        except (tarfile.TarError, OSError) as exc:
            raise UserError(f"{path} is no packed race: {exc}") from exc
        found = sorted(Path(place).glob(f"*/{FILE}"))
        if len(found) != 1:
            raise UserError(f"{path} holds {len(found)} races, not one")
        yield load(found[0].parent)


def _small(path: Path, archive: tarfile.TarFile) -> None:
    """Refuse what no race needs, before any of it is written; sparse files count as a whole."""
    members, size = 0, 0
    for member in archive:
        members, size = members + 1, size + member.size
        if members > MEMBERS or size > SIZE:
            raise UserError(f"{path} holds more than {MEMBERS} files or {SIZE >> 20} MiB")


def pack(race: Race, out: Path, tokens: list[str]) -> None:
    """Write a .tar of the folder and of the commands that replay its tokens."""
    with tempfile.TemporaryDirectory(prefix="pinrace-race-") as place:
        listed = Path(place) / TOKENS
        listed.write_text("".join(f"{line}\n" for line in tokens))
        with tarfile.open(out, "w") as archive:
            for path in sorted(p for p in race.folder.rglob("*") if p.is_file()):
                if path.name != TOKENS and not path.name.startswith("."):
                    archive.add(path, f"{race.folder.name}/{path.relative_to(race.folder)}")
            if tokens:
                archive.add(listed, f"{race.folder.name}/{TOKENS}")
