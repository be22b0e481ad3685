# SPDX-License-Identifier: GPL-2.0-or-later
"""A stranger's series builds, takes nothing, and leaves nothing for the next one.

The kernel is a made-up one of a few files, whose makefile answers the targets that are asked for.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trees_common import git

from pinrace.errors import BuildError
from pinrace.host import sandbox
from pinrace.kbuild import kernel as kbuild
from pinrace.kbuild import objects
from pinrace.series.load import apply, load_series
from pinrace.trees.fetch import resolve
from pinrace.values import Kernel, Series, Tree

MAKEFILE = """\
VERSION = 7
PATCHLEVEL = 3
SUBLEVEL = 4
EXTRAVERSION =

tinyconfig:
	: > $(KCONFIG_CONFIG)
olddefconfig:
	:
main.o: kernel/fork.c
	$(CC) $(KCFLAGS) -g -c -o $(O)/main.o kernel/fork.c
	echo '  CC      main.o'
vmlinux: main.o
	mkdir -p $(O)/include/config $(O)/arch/x86/boot
	echo 7.3.4 > $(O)/include/config/kernel.release
	: > $(O)/System.map
	if [ -x $(O)/helper ]; then $(O)/helper $(O)/vmlinux; else gcc -o $(O)/vmlinux $(O)/main.o; fi
	cp $(O)/vmlinux $(O)/arch/x86/boot/bzImage
bzImage: vmlinux
.PHONY: tinyconfig olddefconfig vmlinux bzImage main.o
"""
MERGE = """\
#!/bin/sh
shift 3; draft=$1; shift
mktemp ./.tmp.XXXXXX > /dev/null || exit 1
cat "$@" | awk -F'[= ]' '/CONFIG_/ {k=$1=="#" ? $2 : $1; v[k]=$0} END {for (k in v) print v[k]}' \\
	> $draft
"""
# Each line is what a hostile makefile could try; what it finds goes into its own object folder.
HOSTILE = r"""
LOOT = $(O)/loot
$(shell mkdir -p $(O); env > $(LOOT); cat CANARY >> $(LOOT) 2>&1; ls -A $$HOME >> $(LOOT))
$(shell ls CACHE/kernels CACHE/trees >> $(LOOT) 2>&1; ps ax >> $(LOOT) 2>&1)
$(shell touch CACHE/kernels/was-here CACHE/objects.git CACHE/ccache/was-here > /dev/null 2>&1)
$(shell (echo max_size = 1 > CACHE/ccache/ccache.conf) 2> /dev/null)
$(shell touch $(CURDIR)/was-here HOMEDIR/was-here > /dev/null 2>&1)
$(shell printf '\043!/bin/sh\ncp /bin/false $$1\n' > $(O)/helper; chmod +x $(O)/helper)
$(shell sed 's/^/NET /' /proc/net/dev >> $(LOOT))
"""


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755 if text.startswith("#!") else 0o644)


@pytest.fixture
def tree(own_cache: Path, tmp_path: Path) -> Tree:
    """A made-up kernel, as a git checkout."""
    folder = tmp_path / "linux"
    write(folder, "Makefile", MAKEFILE)
    write(folder, "Kconfig", 'mainmenu "x"\n')
    write(folder, "kernel/fork.c", "int main(void) { return 0; }\n")
    write(folder, "scripts/kconfig/merge_config.sh", MERGE)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    return resolve(str(folder), say=lambda line: None)


def a_series(tmp_path: Path, name: str, file: str, text: str) -> Series:
    """A series of one patch that leaves the file so."""
    folder = tmp_path / "linux"
    before = (folder / file).read_text()
    (folder / file).write_text(text)
    git(folder, "commit", "-qam", f"{name}: a harmless change")
    git(folder, "format-patch", "-q", "-1", "-o", str(tmp_path / name))
    git(folder, "reset", "-q", "--hard", "HEAD^")
    assert (folder / file).read_text() == before
    return load_series(tmp_path / name)


def built(tree: Tree, series: Series | None) -> Kernel:
    patched = apply(tree, series, say=lambda line: None)
    return kbuild.build(kbuild.plan(patched, "x86_64", kbuild.BuildOptions()))


def hostile(tmp_path: Path, cache: Path) -> Series:
    (tmp_path / "canary").write_text("SECRET-OF-THE-USER\n")
    words = {"CACHE": cache, "CANARY": tmp_path / "canary", "HOMEDIR": Path.home()}
    text = HOSTILE
    for word, value in words.items():
        text = text.replace(word, str(value))
    return a_series(tmp_path, "hostile", "Makefile", MAKEFILE + text)


needs_sandbox = pytest.mark.skipif(not sandbox.contained(), reason=f"here is {sandbox.said()}")


@needs_sandbox
def test_a_hostile_series_gets_nothing_and_poisons_nothing(
    tree: Tree, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "TOKEN-OF-THE-USER")
    monkeypatch.setenv("MAKEFLAGS", "-n")
    built(tree, None)
    before = sorted(path.relative_to(own_cache) for path in (own_cache / "ccache").rglob("*"))
    built(tree, hostile(tmp_path, own_cache))  # what it ships is its own affair
    shared = next((own_cache / "build").glob("*/x86_64-plain"))
    loot = next((own_cache / "build").glob("*/x86_64-plain+*/loot")).read_text()
    for secret in ("TOKEN-OF-THE-USER", "SECRET-OF-THE-USER", "objects.git"):
        assert secret not in loot
    cards = [line.split()[1] for line in loot.splitlines() if line.startswith("NET ")]
    assert cards[2:] == ["lo:"]
    assert not (shared / "helper").exists()
    assert not list(own_cache.rglob("was-here"))
    assert not (Path.home() / "was-here").exists()
    after = sorted(path.relative_to(own_cache) for path in (own_cache / "ccache").rglob("*"))
    assert before == after

    honest = a_series(tmp_path, "honest", "kernel/fork.c", "int main(void) { return 1; }\n")
    second = built(tree, honest).vmlinux.read_bytes()
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path / "empty"))
    again = resolve(str(tmp_path / "linux"), say=lambda line: None)
    assert again.tree_id == tree.tree_id
    fresh = built(again, honest)
    assert second == fresh.vmlinux.read_bytes()
    assert kbuild.metadata(fresh)["sandbox"] == sandbox.said()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("vmlinux", "ln -sf /etc/passwd $(O)/vmlinux"),
        ("System.map", "rm $(O)/System.map; mkfifo $(O)/System.map"),
        ("kernel.release", "mv $(O)/include $(O)/x; ln -s x $(O)/include"),
    ],
)
def test_an_output_that_is_no_file_is_refused(
    tree: Tree, tmp_path: Path, name: str, how: str
) -> None:
    text = MAKEFILE.replace("bzImage: vmlinux\n", f"bzImage: vmlinux\n\t{how}\n")
    with pytest.raises(BuildError, match=name):
        built(tree, a_series(tmp_path, "links", "Makefile", text))
    assert not [path for path in (tmp_path / "cache/kernels").iterdir() if path.name[0] != "."]


def test_only_what_the_project_ships_shares_a_folder(tree: Tree, tmp_path: Path) -> None:
    patched = apply(tree, None, say=lambda line: None)
    assert not objects.objects(tmp_path / "src", "x86_64-plain", patched).own
    ours = load_series(objects.KERNEL / "pin-args")
    assert objects.is_shipped(ours)
    copy = tmp_path / "pin-args"  # the name alone says nothing
    copy.mkdir()
    for patch in ours.patches:
        (copy / patch.name).write_bytes(patch.read_bytes())
    assert objects.is_shipped(load_series(copy))
    first = sorted(copy.iterdir())[0]
    first.write_bytes(first.read_bytes() + b"\n")
    assert not objects.is_shipped(load_series(copy))


def test_what_make_is_told_by_the_user_changes_nothing(
    tree: Tree, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = built(tree, None).vmlinux.read_bytes()
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path / "other"))
    for name, value in {"MAKEFLAGS": "-i", "KCFLAGS": "-O3", "CPATH": "/x", "O": "/x"}.items():
        monkeypatch.setenv(name, value)
    again = built(resolve(str(tmp_path / "linux"), say=lambda line: None), None)
    assert plain == again.vmlinux.read_bytes()
    assert os.environ["MAKEFLAGS"] == "-i"
