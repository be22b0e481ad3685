# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways into a guest, as far as they need none."""

from __future__ import annotations

import dataclasses
import os
import shutil
import stat
import subprocess
from pathlib import Path

import paramiko
import pytest

from pinrace.access import gdb, keys, login, programs
from pinrace.arches import ARCHES
from pinrace.cli import main, ssh
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest import qmp
from pinrace.host import tools
from pinrace.values import Kernel, PatchedTree, Series, Tree

# As QEMU 7.2 prints it, with a connection open.
USERNET = """\
Hub -1 (net):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   12       127.0.0.1 34261       10.0.2.15    22     0     0
  TCP[HOST_FORWARD]  10       127.0.0.1 34263       10.0.2.15    22     0     0
"""


def test_what_follows_two_dashes_is_the_guests() -> None:
    args = main.parser("ssh").parse_args(["ssh", "--arch", "arm64", "--", "ls", "-v", "--smp"])
    assert (args.arch, args.cmd, args.verbose) == (["arm64"], ["ls", "-v", "--smp"], 0)
    args = main.parser("gdb").parse_args(["gdb", "-S", "--", "-batch", "-ex", "bt"])
    assert (args.stopped, args.gdb_words) == (True, ["-batch", "-ex", "bt"])
    assert main.parser("ssh").parse_args(["ssh"]).cmd == []


@pytest.mark.parametrize("words", [["a b", "$c"], ["sh", "-c", "exit 7"], ["it's", ""]])
def test_several_words_stay_what_they_are(words: list[str]) -> None:
    line = login.command_line(["printf", "%s\\n", *words])
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert said == "".join(f"{word}\n" for word in words)


def test_one_word_is_a_line_for_the_shell() -> None:
    assert login.command_line(["a && b; exit 3"]) == "a && b; exit 3"


def test_copies(tmp_path: Path) -> None:
    odd = tmp_path / "a:b"
    odd.touch()
    puts, gets = ssh.copies([f"{odd}:/tmp/"], [f"/tmp/x:{tmp_path}", f"/tmp/y:{tmp_path}/z:z"])
    assert puts == [(odd, "/tmp/")]
    assert gets == [("/tmp/x", tmp_path), ("/tmp/y", tmp_path / "z:z")]
    for put in ("nothing", f"{odd}:", ":/tmp", f"{tmp_path}:/tmp", "/no/such:/tmp/x"):
        with pytest.raises(UserError, match="--put"):
            ssh.copies([put], [])
    for get in ("/tmp/x", "/tmp/x:", ":x", "/tmp/x:/no/such/folder/x"):
        with pytest.raises(UserError, match="--get"):
            ssh.copies([], [get])


def test_the_port_is_the_forwards() -> None:
    assert qmp.parse_port(USERNET) == 34263
    with pytest.raises(InfrastructureError, match="forwards no port"):
        qmp.parse_port("")
    with pytest.raises(InfrastructureError, match="forwards no port"):
        qmp.parse_port(USERNET.replace("34263", "    0"))


def test_a_qemu_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    assert not qmp.answers(tmp_path / "qmp")
    with pytest.raises(InfrastructureError, match="which port"):
        qmp.forwarded_port(tmp_path / "qmp")


def test_keys_are_of_one_run() -> None:
    one, two = keys.make_keys(), keys.make_keys()
    assert len({key.get_base64() for key in (one.user_key(), one.host_key(), two.user_key())}) == 3


def test_both_sides_have_the_same_keys() -> None:
    made = keys.make_keys()
    kind, user, *_ = made.authorized_keys.split()
    assert (kind, user.decode()) == (b"ssh-ed25519", made.user_key().get_base64())
    # string "ssh-ed25519", string of 64 bytes, whose second half is the public key
    stored = made.dropbear_host_key
    assert stored[:15] == b"\0\0\0\x0bssh-ed25519"
    assert stored[15:19] == b"\0\0\0\x40"
    assert len(stored) == 19 + 64
    public = paramiko.Message(made.host_key().asbytes())
    assert public.get_text() == "ssh-ed25519"
    assert stored[-32:] == public.get_string()


@pytest.mark.skipif(
    not shutil.which("ssh"), reason="needs OpenSSH's client, which pinrace does not"
)
def test_the_files_for_openssh(tmp_path: Path) -> None:
    config = keys.make_keys().write_config(tmp_path, 4022)
    assert stat.S_IMODE((tmp_path / "id_ed25519").stat().st_mode) == 0o600
    words = ["ssh", "-F", str(config), "-G", "guest"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in ("hostname 127.0.0.1", "port 4022", "user root", "hostkeyalias guest"):
        assert line in said
    assert any(line in said for line in ("stricthostkeychecking true", "stricthostkeychecking yes"))
    subprocess.run(["ssh-keygen", "-y", "-f", tmp_path / "id_ed25519"], check=True)


def test_what_a_program_is_linked_to(tmp_path: Path) -> None:
    loader, needs = programs._linked(Path("/bin/true").resolve())
    assert Path(loader).name.startswith("ld-linux")
    assert needs == ("libc.so.6",)
    root = tmp_path
    (root / "lib64").mkdir()
    (root / "lib64/ld.so").symlink_to("/lib/x/ld.so")
    assert programs._inside(root, "/lib64/ld.so") == root / "lib/x/ld.so"


PLAIN = PatchedTree(Tree("x", "7.3", "t", "c", "here", "ok"), None, "t", "c")
KERNEL = "CONFIG_DEBUG_INFO=y\n# CONFIG_DEBUG_INFO_REDUCED is not set\n"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (KERNEL, ""),
        (KERNEL.replace("# CONFIG_DEBUG_INFO_REDUCED is not set", ""), ""),
        ("CONFIG_DEBUG_INFO=y\nCONFIG_DEBUG_INFO_REDUCED=y\n", "DEBUG_INFO_REDUCED=n"),
        ("# CONFIG_DEBUG_INFO is not set\n", "no debug information"),
    ],
)
def test_whether_the_trees_scripts_can_work(config: str, why: str, tmp_path: Path) -> None:
    kernel = Kernel("k", "arm64", "plain", "t", "7.3.4", tmp_path)
    kernel.config.write_text(config)
    assert why in gdb.no_scripts(kernel, PLAIN)
    assert bool(why) == bool(gdb.no_scripts(kernel, PLAIN))
    assert "elsewhere" in gdb.no_scripts(dataclasses.replace(kernel, tree_id="prebuilt-x"), PLAIN)


def test_a_strangers_scripts_do_not_run_in_gdb(tmp_path: Path) -> None:
    kernel = Kernel("k", "arm64", "plain", "t", "7.3.4", tmp_path)
    kernel.config.write_text(KERNEL)
    patch = tmp_path / "0001-x.patch"
    patch.write_text("a stranger's\n")
    series = dataclasses.replace(PLAIN, series=Series("x", "d", (patch,)))
    insecure = dataclasses.replace(PLAIN, base=dataclasses.replace(PLAIN.base, insecure=True))
    for tree in (series, insecure):
        assert "stranger" in gdb.no_scripts(kernel, tree)


def test_the_users_words_come_last(tmp_path: Path) -> None:
    kernel = Kernel("k", "arm64", "plain", "t", "7.3.4", tmp_path)
    kernel.vmlinux.touch()
    (tmp_path / "metadata.json").write_text('{"built_in": "/somewhere/built"}')
    stub, loader = tmp_path / "gdb", tmp_path / "vmlinux-gdb.py"
    line = gdb.command_line(Path("/bin/gdb"), kernel, stub, loader, ["-batch", "-ex", "bt"])
    attach, source = ["-ex", f"target remote {stub}"], ["-ex", f"source {loader}"]
    user = ["-batch", "-ex", "bt"]
    where = ["-ex", "set substitute-path /pinrace /somewhere/built"]
    assert line == ["/bin/gdb", *gdb.QUIET, str(kernel.vmlinux), *where, *attach, *source, *user]
    kernel.vmlinux.unlink()
    line = gdb.command_line(Path("/bin/gdb"), kernel, stub, None, [])
    assert line == ["/bin/gdb", *gdb.QUIET, *attach]


def test_a_gdb_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for arch in ARCHES.values():
        native = os.uname().machine == arch.host_machine
        package = "gdb" if native else "gdb-multiarch"
        with pytest.raises(InfrastructureError) as caught:
            gdb.find_gdb(arch)
        assert caught.value.hint.endswith(f"install {package}")
        assert [tool.packages for tool in tools.optional() if arch.name in tool.why] == [(package,)]
    tool = tmp_path / "gdb-multiarch"
    tool.write_text("")
    tool.chmod(0o755)
    assert {gdb.find_gdb(arch) for arch in ARCHES.values()} == {tool}
    assert all(tool.present() for tool in tools.optional() if "gdb" in tool.why)
