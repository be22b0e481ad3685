# SPDX-License-Identifier: GPL-2.0-or-later
"""What a maintainer runs on a series first: checkpatch, kernel-doc and sparse, of its own tree.

Only what is said of lines that the series adds counts: the rest was there before.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.errors import InfrastructureError
from pinrace.host import sandbox
from pinrace.kbuild import kconfig, userspace
from pinrace.kbuild.kernel import Plan, make, make_line, obj_folder
from pinrace.trees.git import in_store
from pinrace.trees.worktree import Worktree
from pinrace.values import PatchedTree

# sparse 0.6.4 does not know __typeof_unqual__, without which the tree's scripts/checker-valid.sh
# takes no checker.  A compiler that lacks it too (gcc before 14) has the kernel do without it.
_TEACH = "-D__typeof_unqual__=__typeof__"
# checkpatch does not know the macros of kselftest_harness.h.
_OWN_STYLE = f"{userspace.SELFTESTS}/"

_CHECKPATCH = ("scripts/checkpatch.pl", "--strict", "--no-summary", "--color=never")
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")
# Its last words, whatever it has found; and what kernel-doc says where it does not even begin.
_LAST_WORD = re.compile(r"has (?:no obvious )?style problems")
_UNREAD = re.compile(r"^(?:Error: Cannot find file|Traceback )", re.MULTILINE)
_LEVEL = re.compile(r"^(?:ERROR|WARNING|CHECK):\s*(.*)$")
_ABOUT = re.compile(r"^#\d+: FILE: (\S+?):(\d+):$")
DOC = re.compile(r"^(?:warning|error): (\S+?):(\d+) (.*)$", re.IGNORECASE)
SPARSE = re.compile(r"^(?:\.\./)*(?:src/)?(\S+?):(\d+):\d+: ((?:warning|error): .*)$")

Lines = Mapping[str, frozenset[int]]  # of each file: those that the series adds, from 1


@dataclass(frozen=True)
class Remark:
    """One thing that a tool says of a line that the series adds, or of a patch as a whole."""

    tool: str
    place: str  # "kernel/fork.c:12", or the name of a patch
    text: str
    counts: bool = True  # it is about the kernel's own code


def added_lines(tree: PatchedTree) -> Lines:
    """Return which lines of which files a series adds."""
    diff = in_store("diff", "-U0", "--no-color", tree.base.commit, tree.commit).output
    found: dict[str, set[int]] = {}
    file = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            file = line[4:].removeprefix("b/")
        elif match := _HUNK.match(line):
            first, count = int(match[1]), int(match[2] or 1)
            found.setdefault(file, set()).update(range(first, first + count))
    return {file: frozenset(lines) for file, lines in found.items() if lines}


def checkpatch(patches: Iterable[Path], base: Path) -> Iterator[Remark]:
    """Yield what the base tree's scripts/checkpatch.pl --strict says of each patch.

    base is a checkout without the series, which could bring a checker of its own.  Raises
    InfrastructureError when it comes to no end.
    """
    for patch in patches:
        place = patch.absolute()
        argv = [*_CHECKPATCH, str(place)]
        # The store has no history to look commits up in.
        env = {"GIT_DIR": "/nonexistent"}
        done = sandbox.run(
            argv,
            binds=sandbox.reads(base, place),
            cwd=base,
            env=env,
            check=False,
            what="checkpatch.pl",
        )
        if not _LAST_WORD.search(done.output):
            raise _broken("checkpatch.pl", patch.name, done.output)
        files = re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(errors="replace"), re.MULTILINE)
        counts = not all(file.startswith(_OWN_STYLE) for file in files)
        for remark in remarks_of_checkpatch(patch.name, done.output):
            own = remark.place.startswith(_OWN_STYLE)
            yield replace(remark, counts=counts and not own)


def remarks_of_checkpatch(patch: str, output: str) -> Iterator[Remark]:
    """Yield its remarks: `LEVEL: text`, and below that the line it is about, if it is about one."""
    text = ""
    for line in [*output.splitlines(), ""]:
        if match := _LEVEL.match(line):
            text = match[0]
        elif text and (about := _ABOUT.match(line)):
            yield Remark("checkpatch", f"{about[1]}:{about[2]}", text)
            text = ""
        elif text and not line:
            yield Remark("checkpatch", patch, text)
            text = ""


def kernel_doc(lines: Lines, base: Path, read: Callable[[str], bytes]) -> Iterator[Remark]:
    """Yield what the base tree's scripts/kernel-doc says of the sources that the series touches.

    base is as for checkpatch(), and read gives a file as the series leaves it.  Raises
    InfrastructureError when it does not read them all.
    """
    files = [f for f in lines if f.endswith((".c", ".h")) and not f.startswith("tools/")]
    if not files:
        return
    with tempfile.TemporaryDirectory(prefix="pinrace-doc-") as folder:
        for file in files:
            copy = Path(folder) / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(read(file))
        argv: list[str | Path] = [base / "scripts/kernel-doc", "-none", "-Wall", *files]
        here = Path(folder)
        done = sandbox.run(
            argv, binds=sandbox.reads(base, here), cwd=here, check=False, what="kernel-doc"
        )
        if done.status or _UNREAD.search(done.output):
            raise _broken("kernel-doc", " ".join(files), done.output)
        yield from remarks("kernel-doc", done.output, DOC, lines)


def sparse(wanted: Plan, place: Worktree, lines: Lines, checker: str) -> tuple[list[Remark], int]:
    """Return what sparse says of the sources that the series touches and a kernel is built of.

    And how many they are.  checker is what find_sparse() returned.  Raises InfrastructureError
    when sparse does not look at them all.
    """
    obj = obj_folder(place, wanted)
    obj.prepare()
    log = obj.log
    log.unlink(missing_ok=True)
    kconfig.configure(obj, wanted.want, wanted.chain)
    if not obj.has("vmlinux"):  # which files are part of it is not known before
        make(wanted, obj)
    objects = [f"{f[:-2]}.o" for f in lines if f.endswith(".c") and not f.startswith("tools/")]
    built = [name for name in objects if obj.has(name)]
    if not built:
        return [], 0
    argv = [*make_line(wanted, obj), "C=2", f"CHECK={checker}", *built]
    done = sandbox.run(
        argv, binds=obj.binds, env=obj.env(), log_to=log, check=False, what="make C=2"
    )
    checked = re.findall(r"^\s+CHECK\s", done.output, re.MULTILINE)
    if done.status or len(checked) < len(built):
        hint = "look there; then the same command again"
        raise InfrastructureError(f"make C=2 did not check {' '.join(built)}", log=log, hint=hint)
    said = done.output.replace(f"{place.path}/", "")
    return list(remarks("sparse", said, SPARSE, lines)), len(built)


def remarks(tool: str, output: str, pattern: re.Pattern[str], lines: Lines) -> Iterator[Remark]:
    """Yield what a tool's lines say of lines that the series adds, each once."""
    seen = set()
    for line in output.splitlines():
        match = pattern.match(line)
        if match and int(match[2]) in lines.get(match[1], ()):
            remark = Remark(tool, f"{match[1]}:{match[2]}", match[3])
            if remark not in seen:
                seen.add(remark)
                yield remark


def _broken(tool: str, what: str, output: str) -> InfrastructureError:
    """Return the error of a tool that did not do its work: its silence says nothing."""
    said = "\n".join(f"  {line}" for line in output.splitlines()[-5:])
    return InfrastructureError(f"{tool} could not check {what}:\n{said}", hint="pinrace doctor")


def find_sparse(base: Path) -> str:
    """Return the CHECK= that the base tree takes; InfrastructureError without any."""
    if not shutil.which("sparse"):
        raise InfrastructureError("sparse is not installed", hint="apt-get install sparse")
    for command in ("sparse", f"sparse {_TEACH}"):
        script: Sequence[str] = ("scripts/checker-valid.sh", *command.split())
        if not (base / script[0]).exists():
            return command
        if sandbox.run(script, cwd=base, check=False, what=script[0]).output.split() == ["1"]:
            return command
    raise InfrastructureError("the tree takes no sparse that is installed", hint="a newer one?")
