# SPDX-License-Identifier: GPL-2.0-or-later
"""Suites beyond the built-in ones: how they are named, read and laid into a guest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.arches import ABIS, get_abi
from pinrace.cli import compare, main
from pinrace.cli import exec as exec_command
from pinrace.cli import test as test_command
from pinrace.engine.build import Built
from pinrace.errors import UserError
from pinrace.guest import extras
from pinrace.kbuild import collections, kconfig, quirks
from pinrace.kbuild.kconfig import Wanted
from pinrace.runs import collections as table
from pinrace.runs import journal
from pinrace.suites import auto, kselftest, kunit, ltp, own, registry
from pinrace.suites.suite import Suite
from pinrace.values import (
    CaseResult,
    CaseStatus,
    Cell,
    CellResult,
    Job,
    Kernel,
    PatchedTree,
    Request,
    Splat,
    Tree,
    Verdict,
)

X86 = get_abi("x86_64")


def test_names_of_selftests() -> None:
    """What begins like a collection's name and could lead out of the folder is refused."""
    assert registry.get_suite("kselftest:timers/posix_timers").many
    assert kselftest.suite("kselftest:net/*").path == "net/*"
    for name in ("kselftest:", "kselftest:../x", "kselftest:a/../../b", "kselftest:a b"):
        with pytest.raises(UserError):
            registry.get_suite(name)
    with pytest.raises(UserError, match="unknown suite"):
        registry.get_suite("kselftests")


def test_picking_tests() -> None:
    """A name picks by what it holds; a case picks its test."""
    jobs = tuple(Job(name, ("./x",), 45) for name in ("futex_wait", "futex_requeue"))
    assert [j.name for j in kselftest.pick(jobs, "WAIT")] == ["futex_wait"]
    assert [j.name for j in kselftest.pick(jobs, "futex_requeue/a\\|nothing/b")] == [
        "futex_requeue"
    ]
    assert kselftest.pick(jobs, "") == jobs
    assert kselftest.pick(jobs, "nothing") == ()


def test_the_folder_of_a_cell_is_one_folder() -> None:
    """Suites have names that a folder cannot have."""
    name = Cell("x86_64", "i386", "plain", "kselftest:net/af_unix").name
    assert name == "x86_64-i386-plain-kselftest-net-af_unix"


def test_settings_give_the_time_limit(tmp_path: Path) -> None:
    """0 means none to kselftest, and a cap here."""
    settings = tmp_path / "settings"
    assert kselftest._limit(settings) == kselftest.DEFAULT_SECONDS
    settings.write_text("# timeout=3\ntimeout=180\n")
    assert kselftest._limit(settings) == 180
    settings.write_bytes(b"# \xe9\ntimeout=0\n")
    assert kselftest._limit(settings) == kselftest.ENDLESS_SECONDS


def test_scripts_want_their_interpreter(tmp_path: Path) -> None:
    """A script for a shell that guests have is run; another says what it needs."""
    script = tmp_path / "a.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    made, why = kselftest._job(script, "/pinrace/kselftest/c/a.sh", "a.sh", 45, X86)
    assert made
    assert made.argv == ("/bin/sh", "./a.sh")  # it is not executable
    assert (made.cwd, made.direct, why) == ("/pinrace/kselftest/c", False, "")
    script.write_text("#!/usr/bin/env python3\n")
    assert kselftest._job(script, "/x/a.sh", "a.sh", 45, X86) == (
        None,
        "needs /usr/bin/env python3, which --land brings",
    )
    script.write_text("no script\n")
    assert kselftest._job(script, "/x/a.sh", "a.sh", 45, X86)[0] is None


def test_why_a_test_does_not_build() -> None:
    """The compiler's words about the test's own source, or the linker's before make gives up."""
    log = (
        "fuse_mnt.c:20:10: fatal error: fuse.h: No such file or directory\n"
        "make: *** [../lib.mk:200: /tmp/o/fuse_mnt] Error 1\n"
        "/usr/bin/ld: cannot find -lpopt: No such file or directory\n"
        "make: *** [../lib.mk:200: /tmp/o/mq_open_tests] Error 1\n"
    )
    assert "fuse.h" in collections.why_not(log, "fuse_mnt")
    assert "-lpopt" in collections.why_not(log, "mq_open_tests")
    assert collections.why_not(log, "other") == "does not build"


def test_what_suites_ask_for_is_soft(tmp_path: Path) -> None:
    """It turns on what a fragment turns off, and may be refused; a fragment's own may not."""
    base = tmp_path / "base.config"
    base.write_text("CONFIG_A=y\nCONFIG_B=n\n# CONFIG_C is not set\n")
    want = Wanted((base,), (), ("CONFIG_B=y", "CONFIG_D=y", "CONFIG_A=n"))
    assert want.lifted == {"CONFIG_B": "y"}
    assert kconfig.missing(want, {"CONFIG_A": "y"}) == []
    assert kconfig.missing(want, {"CONFIG_B": "y", "CONFIG_D": "y"}) == ["CONFIG_A"]
    assert kconfig.refusals(want.soft, {"CONFIG_B": "y"}) == ["CONFIG_D"]
    assert Wanted((base,), ()).text == base.read_text()  # kernels that are there stay known


MAINTAINERS = """\
FUTEX SUBSYSTEM
M:\tSomebody <some@body>
F:\tkernel/futex/
F:\ttools/testing/selftests/futex/

EVERYTHING ELSE IN KERNEL
F:\tkernel/*.c
X:\tkernel/seccomp.c

THE REST
F:\t*
F:\t*/
"""


def test_sections_of_maintainers() -> None:
    """A slash takes all below, a star stays in its folder, and X leaves out."""
    futex, kernel = auto.parse(MAINTAINERS)
    assert futex.has("kernel/futex/core.c")
    assert not futex.has("kernel/futexes.c")
    assert kernel.has("kernel/fork.c")
    assert not kernel.has("kernel/futex/core.c")
    assert not kernel.has("kernel/seccomp.c")
    known = ("futex", "filesystems", "filesystems/epoll", "net", "net/can")
    assert auto._tests("tools/testing/selftests/futex/", known) == ["futex"]
    assert auto._tests("tools/testing/selftests/net/", known) == ["net"]
    assert auto._tests("tools/testing/selftests/net/can/x.c", known) == ["net/can"]
    assert auto._nearest("tools/testing/selftests/filesystems/epoll/a.c", known) == [
        "filesystems/epoll"
    ]


def test_calls_of_a_source() -> None:
    """A collection may be named like what the file defines."""
    text = "SYSCALL_DEFINE2(clone3, struct clone_args __user *, uargs, size_t, size)\n"
    text += "COMPAT_SYSCALL_DEFINE4(openat2, int, dfd)\n * SYSCALL_DEFINE1(no)\n"
    assert auto.syscalls(text) == {"clone3", "openat2"}


def test_namesakes_of_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name, the last word of it, or a folder that it lies in."""
    monkeypatch.setattr(auto, "_sources", lambda _: ("tools/testing/selftests/net/tls.c",))
    known = ("timers", "net", "ipc")
    for file, names in {
        "kernel/time/posix-cpu-timers.c": ["timers"],
        "ipc/sem.c": ["ipc"],
        "drivers/x/tls.c": ["net"],
        "mm/filemap.c": [],
    }.items():
        assert auto._namesakes(file, "commit", known) == names


def test_kunit_names() -> None:
    """A glob is one word, and the machine gets it on its command line."""
    assert kunit.suite("kunit:list_sort").native
    for name in ("kunit:", "kunit:a b", "kunit:x;y"):
        with pytest.raises(UserError):
            kunit.suite(name)


def test_lines_of_a_runtest_file() -> None:
    """What is more than words is the shell's, also where a quote has no end."""
    bare = "/opt/ltp/testcases/bin/a01"
    assert ltp._argv("a01 -c 'two words'") == (bare, "-c", "two words")
    for line in ("a01 | a02", "a01 -c 'no end"):
        assert ltp._argv(line) == ("/bin/sh", "-c", line)


def test_own_suites_of_a_file(tmp_path: Path) -> None:
    """One table or many; each is a suite with a name of its own."""
    (tmp_path / "a.sh").write_text("#!/bin/sh\necho ok\n")
    (tmp_path / "data").write_text("1")
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nprogram = "a.sh"\nfiles = ["data"]\nformat = "exit"\n'
        'config = ["FUTEX=y"]\nsysctl = { "vm.nr_hugepages" = "4" }\ncmdline = ["nosmt"]\n'
    )
    (name,) = registry.names([str(file)])
    suite = registry.get_suite(name)
    assert isinstance(suite, own.Own)
    brought = suite.bring(None, X86, None)  # type: ignore[arg-type]
    place = "/pinrace/own/mine"
    assert {e.path for e in brought.files} == {place, f"{place}/a.sh", f"{place}/data"}
    assert next(e for e in brought.files if e.path.endswith(".sh")).mode & 0o111
    (one,) = brought.jobs
    assert one.argv[:2] == ("/bin/sh", "-c")
    assert one.argv[2].startswith("echo 4 > /proc/sys/vm/nr_hugepages\n")
    assert suite.soft(None)[1] == ("CONFIG_FUTEX=y",)  # type: ignore[arg-type]
    file.write_text('[[suite]]\nname="a"\ncommand="true"\n[[suite]]\nname="b"\ncommand="false"\n')
    assert [n.rsplit(":", 1)[1] for n in registry.names([str(file)])] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        'name = "a b"\ncommand = "true"\n',
        'name = "a"\n',
        'name = "a"\nprogram = "nowhere"\n',
        'name = "a"\ncommand = "true"\ntimout = 3\n',
        'name = "a"\ncommand = "true"\nformat = "tap"\n',
        'name = "a"\ncommand = "true"\ntimeout = 0\n',
        'name = "a"\ncommand = "true"\nconfig = ["FUTEX y"]\n',
        'name = "a"\ncommand = "true"\nformat = "regex"\nregex = { ok = "(" }\n',
        'name = "a"\ncommand = "true"\ncmdline = ["nosmt", "quiet"]\n',
        'name = "a"\ncommand = "true"\ncmdline = ["loglevel=3"]\n',
        'name = "a"\ncommand = "true"\nsysctl = { "kernel.printk" = "1" }\n',
        '[[suite]]\nname = "a"\ncommand = "x"\n[[suite]]\nname = "a"\ncommand = "y"\n',
        "name = \n",
    ],
)
def test_own_suites_that_are_none(tmp_path: Path, text: str) -> None:
    """What is wrong is a usage error that names the file."""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"mine\.toml|suite a"):
        own.find(str(file))


@pytest.mark.parametrize("pattern", ["", "**x", ".", "nowhere/*", "../x"])
def test_files_that_are_none(tmp_path: Path, pattern: str) -> None:
    """A pattern is a user's, whatever pathlib makes of it."""
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "a"\ncommand = "true"\nfiles = ["{pattern}"]\n')
    with pytest.raises(UserError):
        own.find(str(file))[0].bring(None, X86, None)  # type: ignore[arg-type]


def test_the_schema_is_that_of_the_model() -> None:
    """own.schema() makes it."""
    assert own.SCHEMA.read_text() == own.schema()


def test_the_committed_lists_are_sound() -> None:
    """Quirks validate, and what all collections share is a fragment."""
    assert quirks.quirk("futex").skip
    assert quirks.quirk("nothing") == quirks.Quirk()
    assert len(kconfig.parse(kselftest.COMMON.read_text())) > 40


def test_put_wants_a_place_that_stays(tmp_path: Path) -> None:
    """/tmp is mounted over what an image has there."""
    file = tmp_path / "f"
    file.write_text("x")
    assert exec_command.put(str(file), "x86_64")[0].path == "/root/f"
    assert exec_command.put(f"{file}:/etc/", "x86_64")[0].path == "/etc/f"
    for word in (f"{file}:/tmp/x", f"{file}:rel", str(tmp_path / "no")):
        with pytest.raises(UserError):
            exec_command.put(word, "x86_64")


def result(verdict: Verdict, *cases: CaseResult, suite: str = "gates") -> CellResult:
    """A cell of a run."""
    return CellResult(Cell("x86_64", "i386", "plain", suite), verdict, "because", cases)


def test_two_runs_are_held_against_each_other() -> None:
    """Worse cases decide, then what cannot be compared any more."""
    one = CaseResult("a", CaseStatus.PASS), CaseResult("b", CaseStatus.FAIL)
    two = CaseResult("a", CaseStatus.FAIL), CaseResult("b", CaseStatus.PASS)
    (change,) = compare.compare([result(Verdict.PASS, *one)], [result(Verdict.FAIL, *two)])
    assert (change.worse, change.better) == (("a",), ("b",))
    assert compare.verdict([change]) == 1
    assert "PASS -> FAIL" in compare.lines(change)[0]
    (change,) = compare.compare([result(Verdict.PASS, one[0])], [result(Verdict.PASS)])
    assert change.gone == ("a",)
    assert compare.verdict([change]) == 4
    (change,) = compare.compare([result(Verdict.PASS, *one)], [result(Verdict.PASS, *one)])
    assert change.same
    assert compare.verdict([change]) == 0
    changes = compare.compare([result(Verdict.PASS)], [result(Verdict.PASS, suite="smoke")])
    assert [change.verdicts for change in changes] == [("PASS", ""), ("", "PASS")]
    assert compare.verdict(changes) == 4
    (change,) = compare.compare([result(Verdict.PASS)], [result(Verdict.FAIL)])  # it hung
    assert compare.verdict([change]) == 1


@pytest.mark.parametrize(("rule", "code"), [("oops", 1), ("trace", 0)])
def test_a_report_makes_a_run_worse_where_it_counts(rule: str, code: int) -> None:
    """A stack that nothing explains is a note, here as in a verdict."""
    splat = Splat(rule, "title", 1, "text", "fingerprint")
    good = result(Verdict.PASS, CaseResult("a", CaseStatus.PASS))
    (change,) = compare.compare([good], [replace(good, splats=(splat,))])
    assert compare.verdict([change]) == code


def test_what_kconfig_refuses_a_suite_is_said(tmp_path: Path) -> None:
    """Of its own wishes alone; a kernel that the user built keeps no configuration."""
    kernel = Kernel("d", "x86_64", "plain", "t", "7.3.4", tmp_path)
    cell = Cell("x86_64", "x86_64", "plain", "kselftest:mm")
    tree = PatchedTree(Tree("v", "7.3", "1" * 40, "2" * 40, "o", ""), None, "1" * 40, "2" * 40)
    asks = {"kselftest:mm": ("CONFIG_A=y", "CONFIG_B=y")}
    built = Built(tree, {("x86_64", "plain"): kernel}, {}, asks=asks)
    assert built.lacks(cell) == ()
    (tmp_path / "config").write_text("CONFIG_A=y\n# CONFIG_B is not set\n")
    assert built.lacks(cell) == ("CONFIG_B",)
    assert built.lacks(replace(cell, suite="smoke")) == ()


def run_of(root: Path, argv: list[str], *results: CellResult, series: str | None = None) -> Path:
    """A run's folder, as the journal writes it."""
    facts = {"tree": {"label": "linux 7.3", "series": series}}
    machines = {"x86_64": {"accelerator": "tcg"}}
    with journal.Run.create(argv, root=root, machines=machines, **facts) as run:
        for one in results:
            run.cell_end(one)
        run.end(0)
    return run.folder


def test_the_table_of_collections(tmp_path: Path) -> None:
    """The newest run of a cell counts; what was not run says so; other runs are no part of it."""
    tmp_path.chmod(0o700)
    good, bad = CaseResult("t/a", CaseStatus.PASS), CaseResult("t/b", CaseStatus.FAIL, "a | b")
    end = CaseResult("t", CaseStatus.FAIL, "exit=1")
    futex, other = "kselftest:futex", "kselftest:ipc"
    folders = [
        run_of(tmp_path, ["pinrace"], result(Verdict.PASS, good, suite=futex)),
        run_of(tmp_path, ["pinrace"], result(Verdict.FAIL, good, bad, end, suite=futex)),
        run_of(tmp_path, ["pinrace", "-k", "a"], result(Verdict.PASS, good, suite=futex)),
        run_of(tmp_path, ["pinrace"], result(Verdict.PASS, good, suite=futex), series="mine"),
        run_of(tmp_path, ["pinrace"], result(Verdict.MISS, suite=other)),
        run_of(tmp_path, ["pinrace"], result(Verdict.PASS, good, suite="smoke")),
    ]
    found = table.rows(folders, [other])
    assert [(row.suite, row.abi) for row in found if row.result] == [(futex, "i386")]
    assert len(found) == 2 * len(ABIS)
    lines = table.table(found)
    assert "| kselftest:futex | i386 | 3 | 1 | 0 | 2 | 0 | t: a \\| b |" in lines
    assert "| kselftest:ipc | x86_64, i386, arm64, arm | not run | | | | | |" in lines
    assert "| kselftest:futex | x86_64, arm64, arm | not run | | | | | |" in lines
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.insert(page, table.page(found))
    assert page.read_text().startswith(f"before\n{table.BEGIN}\n\nTree: linux 7.3.")
    assert page.read_text().endswith(f"{table.END}\nafter\n")
    page.write_text("nothing")
    with pytest.raises(UserError, match="no place"):
        table.insert(page, table.page(found))


def test_a_folder_of_the_host(tmp_path: Path) -> None:
    """Read-only unless asked; the guest mounts it first; what it holds is part of a baseline."""
    one = extras.share(str(tmp_path))
    assert (one.place, one.writable) == (f"/mnt/{tmp_path.name}", False)
    assert extras.share(f"{tmp_path}:/data:rw").writable
    before = one.state
    (tmp_path / "a,b").mkdir()
    assert one.state != before
    for word in ("/nowhere", f"{tmp_path}:rel", f"{tmp_path}:/a/../b", f"{tmp_path}:/a b"):
        with pytest.raises(UserError):
            extras.share(word)
    (mount,) = extras._mounts((one,))
    assert f"version=9p2000.L,ro share0 {one.place}" in mount.argv[2]
    assert extras._devices((extras.share(f"{tmp_path / 'a,b'}:/x"),))[1].startswith(
        f"local,path={tmp_path}/a,,b,"
    )
    assert "readonly=on" in extras._devices((one,))[1]


def test_a_file_that_goes_while_a_folder_is_looked_at_is_no_error() -> None:
    """This folder lists the very descriptor that lists it."""
    assert extras.Share(Path("/proc/self/fd"), "/mnt/fd").state


def test_extras_that_are_none() -> None:
    """Words that a command line of a kernel cannot have."""
    for wrong in ({"append": ("a b",)}, {"sysctl": ("a",)}, {"sysctl": ("a=b c",)}, {"mem_mb": 5}):
        with pytest.raises(UserError):
            extras.Extras(**wrong)  # type: ignore[arg-type]
    asked = Request(("x86_64",), ("x86_64",), extra=("A=y",))
    assert extras.Extras(mem_mb=600).ask(asked) == asked
    shares = (extras.Share(Path("/usr"), "/mnt/usr"),)
    assert "9P_FS=y" in extras.Extras(shares=shares).ask(asked).extra


@pytest.mark.parametrize("more", [["--suite", "kselftest:futex"], ["--mem", "600"]])
def test_what_no_token_names_is_refused_before_a_build(more: list[str]) -> None:
    """A replay is of pinrace's own suites, on its own machine."""
    words = ["test", "--deterministic", "--abi", "x86_64", *more]
    args = main.parser("test").parse_args(words)
    with pytest.raises(UserError, match="--deterministic"):
        test_command.run(args)


def test_a_case_that_is_left_out_is_run_when_it_is_picked() -> None:
    suite = Suite("s", "/bin/s", 5, "", picks=True, left_out=(("slow", "takes a minute"),))
    assert suite.job().argv == ("/bin/s", "-T", "slow")
    assert "-T" not in " ".join(suite.job("slow").argv)
