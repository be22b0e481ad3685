# SPDX-License-Identifier: GPL-2.0-or-later
"""Suites of one's own: a few lines of TOML, in a file or in the `series.toml` beside patches."""

from __future__ import annotations

import json
import shlex
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pinrace import store, userfile
from pinrace.arches import Abi
from pinrace.errors import UserError
from pinrace.guest.machine import Machine
from pinrace.image.cpio import Entry
from pinrace.kbuild import compile as compiling
from pinrace.kbuild import kconfig
from pinrace.kbuild.elf import is_elf
from pinrace.kbuild.libraries import Libraries, linked
from pinrace.kbuild.sysroot import libraries
from pinrace.kbuild.userspace import Source
from pinrace.paths import CONFIGS, inside
from pinrace.series import manifest
from pinrace.series.manifest import FILE
from pinrace.suites.brought import Brought
from pinrace.suites.formats import Format, Name, Patterns
from pinrace.suites.suite import Suite
from pinrace.values import Job, PatchedTree, Series

PLACE = "/pinrace/own"  # in the guest; each suite has a folder below
SCHEMA = CONFIGS / "suite.schema.json"
SERIES = "series"  # the name that stands for the suites beside a series


# Boot parameters after which a log without reports means nothing
_MUTES = ("loglevel=", "console=", "console_msg_format=", "printk.time=", "printk.console_suspend=")


def _parts(word: str) -> list[str]:
    """Return what the kernel reads in a boot parameter: blanks end one, and - and _ are one."""
    return [one.strip('"').replace("-", "_") for one in word.split()]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Regex(_Strict):
    """Patterns for the lines of a format regex; a group `name` is the case's name."""

    ok: userfile.Pattern = Field(default="", description="a case that passes")
    bad: userfile.Pattern = Field(default="", description="a case that fails")
    skip: userfile.Pattern = Field(default="", description="a case that is skipped")


class OwnSuite(_Strict):
    """One suite; paths are relative to the file that it is in."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")
    about: str = ""
    program: str = Field(
        default="",
        description="a C source, which is compiled static for each ABI, a binary or a script",
    )
    command: str = Field(
        default="", description="a line of shell, run where the program and the files are"
    )
    arguments: tuple[str, ...] = ()
    files: tuple[str, ...] = Field(default=(), description="patterns of what lies beside it")
    cflags: tuple[str, ...] = Field(default=(), description="for the compiler, e.g. -lcap")
    config: tuple[str, ...] = Field(default=(), description='what the kernel needs, "NAME=y"')
    timeout: float = Field(default=45, gt=0, le=86400, description="seconds at native speed")
    format: Name = "ktap"
    regex: Regex = Regex()
    env: dict[str, str] = {}
    memory: int = Field(default=0, ge=0, description="MiB of the guest, 0 for the usual")
    cmdline: tuple[str, ...] = Field(default=(), description="boot parameters of the kernel")
    sysctl: dict[str, str] = Field(default={}, description="set before it starts")

    @field_validator("cmdline")
    @classmethod
    def _is_heard(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if any(one == "quiet" or one.startswith(_MUTES) for one in _parts(word)):
                raise ValueError(f"{word} takes reports of the kernel off its console")
        return words

    @field_validator("sysctl")
    @classmethod
    def _stays_heard(cls, values: dict[str, str]) -> dict[str, str]:
        if any(name.replace("/", ".").strip(".") == "kernel.printk" for name in values):
            raise ValueError("kernel.printk takes reports of the kernel off its console")
        return values


class SuiteFile(_Strict):
    """A file of suites."""

    suite: tuple[OwnSuite, ...] = Field(min_length=1)

    @field_validator("suite")
    @classmethod
    def _names_differ(cls, suites: tuple[OwnSuite, ...]) -> tuple[OwnSuite, ...]:
        names = [one.name for one in suites]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"there are two suites called {', '.join(sorted(twice))}")
        return suites


@dataclass(frozen=True)
class Own(Suite):
    """A suite of a TOML file; folder is where its paths begin."""

    spec: OwnSuite = field(default_factory=lambda: OwnSuite(name="none"))
    folder: Path = Path()
    many: bool = True

    def soft(self, tree: PatchedTree) -> tuple[str, tuple[str, ...]]:
        """Return what the suite asks of Kconfig."""
        lines = tuple(
            word if word.startswith("CONFIG_") else f"CONFIG_{word}" for word in self.spec.config
        )
        return (f"own-{store.digest(*lines)[:6]}", lines) if lines else ("", ())

    def bring(self, tree: PatchedTree, abi: Abi, source: Source) -> Brought:
        """Compile what is a source, and gather the files."""
        place = f"{PLACE}/{self.spec.name}"
        files = {f"{place}/{name}": path for name, path in self._files()}
        direct, words = False, [*self.spec.arguments]
        if self.spec.program:
            path = compiling.program(inside(self.folder, self.spec.program), abi, self.spec.cflags)
            entry = f"{place}/{path.name}"
            files[entry] = path
            words = [f"./{path.name}", *words]
            direct = is_elf(path)
            files |= needed(path, abi) if direct else {}
        if self.spec.command or self.spec.sysctl:
            sets = [
                f"echo {shlex.quote(value)} > /proc/sys/{name.replace('.', '/')}\n"
                for name, value in self.spec.sysctl.items()
            ]
            line = self.spec.command or "exec " + shlex.join(words)
            words, direct = ["/bin/sh", "-c", f"{''.join(sets)}{line}"], False
        job = Job(
            self.spec.name,
            tuple(words),
            self.spec.timeout,
            tuple(self.spec.env.items()),
            cwd=place,
            direct=direct,
            records=False,
        )
        program = f"{place}/{Path(self.spec.program).stem}"
        # The folder is there without any file too: it is where the job starts.
        entries = (
            Entry(place, 0o755),
            *(
                Entry(name, _mode(path) | (0o111 if name.startswith(program) else 0), data=path)
                for name, path in sorted(files.items())
            ),
        )
        digest = store.digest(
            *(f"{e.path} {store.digest_file(e.data)}" for e in entries if isinstance(e.data, Path)),
            repr(job),
            self.spec.model_dump_json(),
        )
        patterns = Patterns(self.spec.regex.ok, self.spec.regex.bad, self.spec.regex.skip)
        return Brought(digest, (job,), entries, format=Format(self.spec.format, patterns))

    def jobs(self, brought: Brought, only: str = "") -> tuple[Job, ...]:
        """Return its job, which is run as a whole."""
        return brought.jobs

    def machine(self, usual: Machine) -> Machine:
        """Return the machine that it asks for."""
        return replace(
            usual,
            mem_mb=max(usual.mem_mb, self.spec.memory),
            cmdline=(*usual.cmdline, *self.spec.cmdline),
        )

    def _files(self) -> Iterable[tuple[str, Path]]:
        """Return the files beside the program, by their path in the folder."""
        for pattern in self.spec.files:
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                inside(self.folder, pattern)
            try:
                found = sorted(path for path in self.folder.glob(pattern) if path.is_file())
            except (IndexError, ValueError) as exc:  # as for "" and "**x", and for "."
                raise UserError(
                    f"suite {self.spec.name}: '{pattern}' is no pattern of files",
                    hint='files = ["data/*"]',
                ) from exc
            if not found:
                raise UserError(f"suite {self.spec.name}: no file {self.folder / pattern}")
            for path in found:
                inside(self.folder, str(path.relative_to(self.folder)))
                yield str(path.relative_to(self.folder)), path


def needed(path: Path, abi: Abi) -> dict[str, Path]:
    """Return the loader and the libraries of a program, by their place in the guest.

    Raises UserError for a program of another ABI, and for a library that is nowhere.
    """
    said = linked(path)
    if (said.machine, said.bits) != (abi.elf_machine, abi.bits):
        raise UserError(
            f"{path} is no program of {abi.name}",
            hint=f"give its source, or --abi for one that is ({abi.cross}gcc compiles for it)",
        )
    if not said.loader and not said.needs:
        return {}
    shared = Libraries(abi, (libraries(abi) / "usr/lib" / abi.triple,))
    if lacking := shared.add(path):
        raise UserError(
            f"{path.name} needs {', '.join(lacking)}, which no guest has",
            hint=f"link it with -static: {abi.cross}gcc -static",
        )
    return shared.files


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) | 0o444


def suite(spec: OwnSuite, folder: Path, name: str) -> Own:
    """Return the suite of a table; name is what the user calls it by."""
    if not spec.program and not spec.command:
        raise UserError(f"suite {spec.name} has neither a program nor a command")
    for word in spec.config:
        line = word if word.startswith("CONFIG_") else f"CONFIG_{word}"
        if not kconfig.parse(line):
            raise UserError(f"suite {spec.name}: '{word}' is no option", hint='write "NAME=y"')
    if spec.program and not inside(folder, spec.program).is_file():
        raise UserError(f"suite {spec.name}: there is no {folder / spec.program}")
    about = spec.about or f"{spec.program or spec.command}"
    everything = ("*",)  # whoever writes one for a series knows what it is about
    return Own(
        name,
        "",
        spec.timeout,
        about,
        about_files=everything,
        tests=everything,
        spec=spec,
        folder=folder,
    )


def load_file(path: Path) -> tuple[OwnSuite, ...]:
    """Return the suites of a file; UserError says what is wrong with it, and where."""
    hint = f"see {SCHEMA}"
    said = userfile.table(path, hint=hint)
    if path.name == FILE:
        said = {"suite": manifest.read(path.parent).own_suites}
    elif "suite" not in said:
        said = {"suite": [said]}
    return userfile.check(SuiteFile, said, path, "is no suite", hint=hint).suite


def find(name: str) -> list[Own]:
    """Return the suites that FILE.toml, or FILE.toml:NAME, stands for."""
    file, _, one = name.partition(".toml:")
    path = Path(f"{file}.toml" if one else name)
    specs = load_file(path)
    chosen = [spec for spec in specs if not one or spec.name == one]
    if not chosen:
        listed = ", ".join(spec.name for spec in specs)
        raise UserError(f"{path} has no suite '{one}'", hint=f"it has: {listed}")
    return [suite(spec, path.parent, f"{path}:{spec.name}") for spec in chosen]


def of_series(series: Series | None) -> list[str]:
    """Return the names of the suites that lie beside a series; UserError when there are none."""
    path = manifest.folder_of(series) / FILE if series else None
    brought = manifest.read(path.parent) if path else manifest.Manifest()
    if path is None or not brought.suite:
        what = "there is no series" if series is None else f"no [[suite]] in {path}"
        raise UserError(f"--suite {SERIES}: {what}", hint=f"see {SCHEMA}")
    own = [one.name for one in find(str(path))] if brought.own_suites else []
    return [*(one.name for one in brought.image_suites), *own]


def schema() -> str:
    """Return the JSON schema of such a file."""
    return json.dumps(SuiteFile.model_json_schema(), indent=2) + "\n"
