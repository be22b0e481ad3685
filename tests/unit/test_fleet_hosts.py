# SPDX-License-Identifier: GPL-2.0-or-later
"""What hosts have and calls need; the file of hosts, logins and certificates."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")


from pinrace.arches import ARCHES
from pinrace.cli.main import main
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.fleet import certs, cluster, hosts, needs, ssh, wire
from pinrace.fleet.trial import trial
from pinrace.guest.machine import Machine, Replay
from pinrace.host.accel import Accelerator
from pinrace.host.qemu import Qemu
from pinrace.paths import CONFIGS
from pinrace.values import NATIVE, Cell

CELL = Cell("x86_64", "i386", "plain", "trial")
HERE = {needs.SLOTS: 2.0, needs.MEMORY: 4096.0, "runs-x86_64": needs.PLENTY}


def machine(**more: Any) -> Machine:
    qemu = Qemu(
        path=Path("/nowhere/qemu"),
        version="9.9.9",
        build="QEMU",
        machines=frozenset({"q35"}),
        cpus=frozenset({"qemu64"}),
        devices=frozenset({"x"}),
    )
    accel = Accelerator(name="tcg", reason="", scale=10.0)
    return Machine("x86_64", qemu, "qemu64", accel, **more)


def test_needs_of_machines_and_cells() -> None:
    assert needs.of_machine(machine(smp=4)).slots == 4
    assert needs.of_machine(machine(smp=4, turns=True)).slots == 1
    replay = needs.of_machine(machine(replay=Replay(1)))
    assert "qemu-9.9.9" in replay.tags
    cell = Cell("arm64", "arm64", "plain", "model", on=NATIVE)
    assert needs.of_cell(cell).tags == {"native-arm64", "rich-arm64"}
    both = replay.and_(needs.of_cell(cell))
    assert both.resources["native-arm64"] == 1
    assert both.resources[needs.SLOTS] == 1
    call = wire.pack(trial, (cell, machine(smp=2)), {})
    assert call.needs.resources[needs.SLOTS] == 2
    assert {"native-arm64", "runs-x86_64"} <= call.needs.tags


@pytest.mark.parametrize(
    ("arch", "accel", "line", "rich"),
    [
        ("x86_64", "kvm", "flags : fpu pku ospke", True),
        ("x86_64", "kvm", "flags : fpu spkulation", False),
        ("arm64", "kvm", "Features : fp asimd mte mte3", True),
        ("arm64", "kvm", "Features : fp asimd", False),
        ("x86_64", "tcg", "flags : fpu pku", False),
    ],
)
def test_what_guests_can_have_is_what_the_cpu_says(
    arch: str, accel: str, line: str, rich: bool, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\n{line}\n")
    one = machine()
    how = one.accel.model_copy(update={"name": accel})
    assert needs._has_rich(ARCHES[arch], one.qemu, how, cpuinfo) is rich
    emulated = one.qemu.model_copy(update={"cpus": frozenset({"max"})})
    if accel == "tcg":
        assert needs._has_rich(ARCHES[arch], emulated, how, cpuinfo)


def test_what_no_host_can_serve_has_a_reason() -> None:
    want = needs.Needs(2, 512, frozenset({"runs-x86_64"}))
    assert needs.lacking(want, {"a": HERE}) == ""
    assert needs.lacking(want, {}) == "the fleet has no host"
    arm = needs.Needs(1, 1, frozenset({"native-arm64"}))
    assert needs.lacking(arm, {"a": HERE}) == "no host of the fleet has 'native-arm64'"
    assert "8 CPUs for one guest" in needs.lacking(needs.Needs(8), {"a": HERE})
    two = {"a": HERE, "b": {"native-arm64": 1.0, needs.SLOTS: 1.0, needs.MEMORY: 1.0}}
    assert "no single host" in needs.lacking(want.and_(arm), two)


HOSTS = """
address = "192.0.2.1"
[[host]]
name = "a"
address = "192.0.2.2"
host_key = "ssh-ed25519 AAAA"
"""


def test_a_file_of_hosts_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(HOSTS)
    (host,) = hosts.load(path).host
    assert (host.port, host.folder, host.slots) == (22, ".pinrace-fleet", 0)
    for more, why in (
        ('folder = "/"', "folder"),
        ('folder = "x/../pinrace"', "leads out"),
        ('folder = "a;pinrace"', "folder"),
        ("auto_add = true", "auto_add"),
        (HOSTS.partition("\n[[host]]")[1] + HOSTS.partition("[[host]]")[2], "two hosts"),
    ):
        path.write_text(HOSTS + more)
        with pytest.raises(UserError, match=why):
            hosts.load(path)
    path.write_text(HOSTS.replace("host_key", "key"))
    with pytest.raises(UserError, match="host_key"):
        hosts.load(path)


def test_the_example_of_hosts_is_one() -> None:
    assert {host.name for host in hosts.load(CONFIGS / "fleet/hosts.toml").host} == {"amd", "altra"}


@pytest.mark.parametrize(
    ("status", "code"), [(0, Exit.OK), (1, Exit.OK), (130, Exit.OK), (255, Exit.INFRA)]
)
def test_a_shell_that_ends_after_a_command_that_failed_is_no_trouble(
    status: int, code: Exit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts.toml").write_text(HOSTS)
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nexit {status}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["hosts", "shell", str(tmp_path / "hosts.toml")]) == code


def test_certificates_of_another_cluster_are_refused(tmp_path: Path) -> None:
    mine = certs.Authority("mine")
    server = mine.member("scheduler").write(tmp_path / "server")
    for name, who, good in (("friend", mine, True), ("stranger", certs.Authority("other"), False)):
        member = who.member(name).write(tmp_path / name)
        assert (member / certs.KEY).stat().st_mode & 0o777 == 0o600
        assert _shake(server, member) is good


def _shake(server: Path, client: Path) -> bool:
    """Whether a client and a server take each other's certificates, as dask has it."""
    kinds = certs.security(server), certs.security(client)
    there = kinds[0].get_listen_args("scheduler")["ssl_context"]
    here = kinds[1].get_connection_args("client")["ssl_context"]
    a_in, a_out, b_in, b_out = (ssl.MemoryBIO() for _ in range(4))
    ends = [
        here.wrap_bio(a_in, a_out, server_side=False),
        there.wrap_bio(b_in, b_out, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return False
            b_in.write(a_out.read())
            a_in.write(b_out.read())
    return True


def test_certificates_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no certificates"):
        certs.security(tmp_path)


@pytest.mark.parametrize("key", ["ssh-foo AAAA", "ssh-ed25519 AAAA", "ssh-ed25519 x"])
def test_a_key_that_is_none_is_said(key: str) -> None:
    host = hosts.Host(name="a", address="192.0.2.2", host_key=key)
    with pytest.raises(InfrastructureError, match="host a: no login"):
        ssh.connect(host)


class Odd(ssh.Login):
    """A host whose login shell prints more than it was asked for."""

    def __init__(self, answer: str) -> None:
        super().__init__(hosts.Host(name="a", address="192.0.2.2", host_key="ssh-ed25519 AAAA"))
        self._answer = answer

    def run(self, words: list[str], *, data: bytes = b"", seconds: float = 600.0) -> str:
        return self._answer


@pytest.mark.parametrize("answer", ["", "Welcome!", "{}", "[1]", '{"clock": 1}'])
def test_an_answer_of_a_host_that_is_none_is_said(answer: str) -> None:
    with pytest.raises(InfrastructureError, match="host a: asked what it is"):
        Odd(answer).probe()


def test_a_host_says_for_which_arches_it_has_qemu() -> None:
    done = subprocess.run([sys.executable, "-c", ssh._PROBE], capture_output=True, check=True)
    facts = Odd(done.stdout.decode()).probe()
    assert set(facts.qemu) == {arch.name for arch in ARCHES.values() if shutil.which(arch.qemu)}


def test_a_host_that_nothing_can_be_sent_to_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        up._leaving.set()
        raise UserError("an installed pinrace has no wheel to send")

    path = tmp_path / "hosts.toml"
    path.write_text(HOSTS.replace("192.0.2.1", "127.0.0.1", 1))
    up = cluster.Cluster(hosts.load(path), tmp_path)
    monkeypatch.setattr(cluster.Login, "__enter__", wrong)
    ready = threading.Event()
    up._keep_worker(up.hosts.host[0], ready)
    assert ready.is_set()
    assert up.failed == {"a": "an installed pinrace has no wheel to send"}
