# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of the words of checkpatch, kernel-doc and sparse; the texts are what they print."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from pinrace.cli import series_check
from pinrace.errors import BuildError, Exit, InfrastructureError
from pinrace.kbuild import checks
from pinrace.kbuild.checks import Remark
from pinrace.values import Series

CHECKPATCH = """\
WARNING: added, moved or deleted file(s), does MAINTAINERS need updating?
#106: 
new file mode 100644

WARNING: Missing a blank line after declarations
#209: FILE: tools/testing/selftests/seccomp/pin_args.h:99:
+	char big[1 << 18];
+	_Atomic int listener;		/* the task's number for it */

CHECK: Avoid CamelCase: <_Atomic>
#209: FILE: tools/testing/selftests/seccomp/pin_args.h:99:
+	_Atomic int listener;		/* the task's number for it */
"""  # noqa: W291

DOC = """\
Warning: include/uapi/linux/seccomp.h:124 missing initial short description on line:
 * struct seccomp_notif_addfd
Warning: kernel/seccomp.c:278 No description found for return value of 'seccomp_check_filter'
"""

SPARSE = """\
  CHECK   ../src/kernel/seccomp.c
../src/kernel/seccomp.c:120:9: warning: incorrect type in argument 1 (different address spaces)
../src/kernel/seccomp.c:120:9:    expected void const *
../src/kernel/seccomp.c:300:5: warning: symbol 'x' was not declared. Should it be static?
../src/kernel/seccomp.c:300:5: warning: symbol 'x' was not declared. Should it be static?
"""

LINES = {"kernel/seccomp.c": frozenset({278, 300})}


def test_remarks_of_checkpatch_have_their_place() -> None:
    found = list(checks.remarks_of_checkpatch("0007.patch", CHECKPATCH))
    header = "tools/testing/selftests/seccomp/pin_args.h:99"
    assert [one.place for one in found] == ["0007.patch", header, header]
    assert found[1].text == "WARNING: Missing a blank line after declarations"


def test_only_what_is_said_of_added_lines_counts() -> None:
    doc = list(checks.remarks("kernel-doc", DOC, checks.DOC, LINES))
    assert [one.place for one in doc] == ["kernel/seccomp.c:278"]
    sparse = list(checks.remarks("sparse", SPARSE, checks.SPARSE, LINES))
    assert [one.place for one in sparse] == ["kernel/seccomp.c:300"]
    assert re.search("not declared", sparse[0].text)


def tree_with(script: str, text: str, folder: Path) -> Path:
    """Make a tree whose script is another one."""
    path = folder / "scripts" / script
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return folder


def test_a_tool_that_does_not_work_is_no_clean_one(tmp_path: Path) -> None:
    patch = tmp_path / "0001-x.patch"
    patch.write_text("+++ b/kernel/seccomp.c\n")
    src = tree_with("checkpatch.pl", f"echo '{patch}: open failed'; exit 2", tmp_path)
    with pytest.raises(InfrastructureError, match="could not check 0001-x"):
        list(checks.checkpatch([patch], src))
    src = tree_with("checkpatch.pl", "echo 'x has no obvious style problems'", tmp_path)
    assert not list(checks.checkpatch([patch], src))
    for said in ("exit 1", "echo 'Error: Cannot find file kernel/seccomp.c'"):
        src = tree_with("kernel-doc", said, tmp_path)
        with pytest.raises(InfrastructureError, match=r"kernel-doc could not check kernel/seccomp"):
            list(checks.kernel_doc(LINES, src, lambda file: b""))


def test_remarks_on_the_selftest_do_not_fail() -> None:
    style = Remark("checkpatch", "0007.patch", "CHECK: x", counts=False)
    assert series_check.report([style], ["x86_64 plain"]) == Exit.OK
    assert series_check.report([style, Remark("sparse", "a.c:1", "y")], []) == Exit.KERNEL


def test_a_series_is_built_with_each_number_of_its_patches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second patch does not build alone, the third warns, the first is of no kernel."""
    files = ("tools/a.c", "kernel/b.c", "kernel/c.c", "kernel/d.c")
    patches = []
    for number, file in enumerate(files, 1):
        patches.append(tmp_path / f"{number:04}-x.patch")
        patches[-1].write_text(f"+++ b/{file}\n")
    said = {0: ["old"], 2: BuildError("make", log=None), 3: ["old", "new"], 4: ["old", "new"]}

    def plans(patched: int, asked: object) -> list[SimpleNamespace]:
        return [SimpleNamespace(count=patched, arch=SimpleNamespace(name="arm64"))]

    def warned(plan: SimpleNamespace) -> list[str]:
        found = said[plan.count]
        if isinstance(found, BuildError):
            raise found
        return found

    monkeypatch.setattr(
        series_check, "apply", lambda tree, part, say: len(part.patches) if part else 0
    )
    monkeypatch.setattr(series_check, "_plans", plans)
    monkeypatch.setattr(series_check, "_warnings", warned)
    series = Series("x", "0", tuple(patches))
    assert series_check.bisectable(None, series, None) == Exit.KERNEL  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0001-x.patch: nothing of it is built into a kernel"
    assert lines[2:4] == ["0003-x.patch: arm64 new", "0004-x.patch: arm64 builds"]
    assert lines[-1].startswith("2 builds fail or warn")
