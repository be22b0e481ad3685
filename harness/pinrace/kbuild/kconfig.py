# SPDX-License-Identifier: GPL-2.0-or-later
"""A .config from tinyconfig and fragments, read back: what was asked for is what is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pinrace import procs
from pinrace.arches import Arch
from pinrace.errors import BuildError, InfrastructureError, UserError
from pinrace.host import sandbox
from pinrace.kbuild import configured
from pinrace.kbuild.objects import Objects
from pinrace.kbuild.toolchain import Toolchain
from pinrace.paths import CONFIGS

_OPTION = re.compile(r"^(CONFIG_\w+)=(.*)$")
_UNSET = re.compile(r"^# (CONFIG_\w+) is not set$")
# A fragment's comment that lists options which only some trees have.
_OPTIONAL = re.compile(r"^# optional: (.*)$", re.MULTILINE)
# A flavor's comment that names what it stands on instead of base and the arch's fragment.
_STANDS_ON = re.compile(r"^# on: (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Wanted:
    """A configuration as it is asked for; `text` identifies it."""

    fragments: tuple[Path, ...]
    extra: tuple[str, ...]  # "CONFIG_X=y", from the command line
    soft: tuple[str, ...] = ()  # "CONFIG_X=y", what suites ask for and may be refused

    @property
    def text(self) -> str:
        """All of it, in the order in which later lines win."""
        must = "".join(p.read_text() for p in self.fragments) + "\n".join(self.extra)
        return must + "".join(f"\n# soft\n{line}" for line in self.soft)

    @property
    def options(self) -> dict[str, str]:
        """What each option must be in the end; "n" where it must be off."""
        own = parse("".join(p.read_text() for p in self.fragments))
        left = {name: value for name, value in own.items() if name not in self.lifted}
        return left | parse("\n".join(self.extra))

    @property
    def lifted(self) -> dict[str, str]:
        """What the fragments turn off, and a suite wants on."""
        off = parse("".join(p.read_text() for p in self.fragments))
        wants = parse("\n".join(self.soft))
        return {name: value for name, value in wants.items() if off.get(name) == "n"}

    @property
    def optional(self) -> frozenset[str]:
        """Options that a tree may lack altogether."""
        return frozenset(word for line in _OPTIONAL.findall(self.text) for word in line.split())


def parse(text: str) -> dict[str, str]:
    """Return the options of a .config or a fragment; "n" for those that are not set."""
    options = {}
    for line in text.splitlines():
        if match := _OPTION.match(line):
            options[match[1]] = match[2]
        elif match := _UNSET.match(line):
            options[match[1]] = "n"
    return options


def flavors() -> tuple[str, ...]:
    """Return the names of the flavors, which are the files in configs/flavor."""
    return tuple(sorted(p.stem for p in (CONFIGS / "flavor").glob("*.config")))


def wanted(
    arch: Arch, flavor: str, extra: Iterable[str] = (), soft: tuple[str, ...] = ()
) -> Wanted:
    """Return what to ask for; UserError for an unknown flavor or an option that is none.

    soft: lines of a .config that suites ask for.  They turn on what the fragments turn off, never
    off what they turn on, and what Kconfig refuses of them is no error: refusals() has it.
    """
    if flavor not in flavors():
        hint = f"the flavors are: {', '.join(flavors())}"
        raise UserError(f"unknown flavor '{flavor}'", hint=hint)
    lines = []
    for word in extra:
        line = word if word.startswith("CONFIG_") else f"CONFIG_{word}"
        if not _OPTION.match(line):
            raise UserError(f"'{word}' is no option", hint="write it as --config NAME=y")
        lines.append(line)
    own = parse("\n".join(lines))
    if len(own) != len(set(lines)):
        raise UserError(
            "the options given contradict each other: " + " ".join(lines),
            hint="give each option once",
        )
    own_base = _STANDS_ON.search((CONFIGS / "flavor" / f"{flavor}.config").read_text())
    below = (own_base[1],) if own_base else ("base", f"arch/{arch.name}")
    parts = (*below, f"flavor/{flavor}")
    return Wanted(tuple(CONFIGS / f"{part}.config" for part in parts), tuple(lines), soft)


def refusals(soft: Iterable[str], got: Mapping[str, str]) -> list[str]:
    """Return the options that suites asked for and a kernel's configuration does not have."""
    asked = parse("\n".join(soft)).items()
    return [name for name, value in asked if value != "n" and got.get(name, "n") == "n"]


def configure(obj: Objects, want: Wanted, chain: Toolchain) -> None:
    """Write .config by the own scripts of the work tree, a clean checkout.

    A .config that is the same as before keeps its time, so that make rebuilds nothing for it.
    Raises BuildError when an option asked for is not granted, and InfrastructureError when the
    tree takes no configuration from this compiler.
    """
    src, log = obj.src, obj.log
    asked = configured.asked(want.text, chain)
    if configured.holds(obj, asked):
        return
    draft = obj.inside / DRAFT
    make = ["make", "-C", str(src), f"O={obj.inside}", *chain.make_vars]
    soft, more = obj.state / "soft.config", obj.state / "extra.config"
    soft.write_text("".join(f"{line}\n" for line in want.soft))
    lifted = (f"{name}={value}" for name, value in want.lifted.items())
    more.write_text("".join(f"{line}\n" for line in (*lifted, *want.extra)))
    env = {**obj.env(), "KCONFIG_CONFIG": str(draft)}
    seen = (*obj.binds, *sandbox.reads(*want.fragments, soft, more))
    (obj.path / DRAFT).unlink(missing_ok=True)

    def run(argv: Sequence[str | Path], what: str, *, check: bool = True) -> procs.Completed:
        return sandbox.run(
            argv, binds=seen, cwd=obj.inside, env=env, log_to=log, check=check, what=what
        )

    began = run([*make, "tinyconfig"], "make tinyconfig", check=False)
    if began.status:
        _raise_no_start(began.output, chain, obj)
    script = src / "scripts/kconfig/merge_config.sh"
    parts = (draft, soft, *want.fragments, more)
    run([script, "-m", "-O", obj.inside, *parts], "merge_config.sh")
    run([*make, "olddefconfig"], "make olddefconfig")
    text = sandbox.output(obj.path, DRAFT).read_text()
    refused = missing(want, parse(text))
    if refused:
        raise BuildError(explain(src, want, parse(text), refused), log=log, hint=_HINT)
    final = obj.path / ".config"
    if not obj.has(".config") or sandbox.output(obj.path, ".config").read_text() != text:
        final.unlink(missing_ok=True)
        final.write_text(text)
    configured.note(obj, asked)


DRAFT = "pinrace.config"
_NO_START = "another compiler, perhaps: --llvm=-19 for clang-19"


def _raise_no_start(output: str, chain: Toolchain, obj: Objects) -> NoReturn:
    """Say why a tree's Kconfig did not start: the compiler's wrapper, or its own words."""
    compiler = next(word[3:] for word in chain.make_vars if word.startswith("CC=")).split()
    probe: list[str | Path] = [
        *compiler,
        "-x",
        "c",
        "-c",
        "-o",
        obj.inside / "pinrace.probe.o",
        "-",
    ]
    tried = sandbox.run(
        probe, binds=obj.binds, env=obj.env(), stdin=b"int x;\n", check=False, what=compiler[0]
    )
    if tried.status:
        said = tried.output.strip().splitlines()
        raise InfrastructureError(
            f"'{' '.join(compiler)}' compiles nothing: {said[-1] if said else tried.status}",
            log=obj.log,
            hint="see to CCACHE_DIR, TMPDIR and the room on their disks",
        )
    raise InfrastructureError(refusal(output), log=obj.log, hint=_NO_START)


def refusal(output: str) -> str:
    """Say why a tree's Kconfig does not even start: its own words in the frame of asterisks."""
    framed = [x.strip("* ") for x in output.splitlines() if re.match(r"\*\*\*( |$)", x)]
    said = "\n".join(f"  {line}" for line in framed if line)
    return "make tinyconfig failed" + (f":\n{said}" if said else "")


_HINT = "ask for what it depends on too (--config NAME=y, or the fragments in configs/)"


def missing(want: Wanted, got: Mapping[str, str]) -> list[str]:
    """Return the options whose value is another than the one asked for."""
    return [
        name
        for name, value in want.options.items()
        if got.get(name, "n") != value and not (name in want.optional and name not in got)
    ]


def explain(src: Path, want: Wanted, got: Mapping[str, str], refused: Iterable[str]) -> str:
    """Say of each refused option what it is instead and what it depends on."""
    lines = ["the tree's Kconfig did not grant what the configuration asks for:"]
    for name in refused:
        lines.append(f"  {name}={want.options[name]} is {got.get(name, 'n')}")
        lines += [f"    {line}" for line in dependencies(src, name, got)]
    return "\n".join(lines)


def dependencies(src: Path, name: str, got: Mapping[str, str]) -> list[str]:
    """Return one line for each place that defines an option: what it depends on, and its state."""
    symbol = name.removeprefix("CONFIG_")
    grep = ["grep", "-rnE", rf"^\s*(menu)?config {symbol}$", "--include=Kconfig*", "."]
    places = procs.run(grep, cwd=src, check=False, what="grep").output.splitlines()
    if not places:
        return ["no Kconfig of this tree defines it"]
    lines = []
    for place in places:
        file, number, _ = place.split(":", 2)
        needs = _depends(src / file, int(number))
        state = [
            f"{word}={got.get(f'CONFIG_{word}', 'n')}"
            for word in dict.fromkeys(re.findall(r"[A-Z][A-Z0-9_]+", " ".join(needs)))
        ]
        said = f"depends on {' && '.join(needs)} ({', '.join(state)})" if needs else _NO_NEEDS
        lines.append(f"{file.removeprefix('./')}:{number}: {said}")
    return lines


_NO_NEEDS = "names no dependency: something selects it, or a menu or choice around it decides"


def _depends(file: Path, number: int) -> list[str]:
    """Return the `depends on` expressions of the entry that starts on that line."""
    needs = []
    for line in file.read_text().replace("\\\n", " ").splitlines()[number:]:
        if re.match(r"\s*(menu)?config |\s*(help|choice|endif|endmenu|menu)\b", line):
            break
        if match := re.match(r"\s+depends on (.*)", line):
            needs.append(match[1].strip())
    return needs
