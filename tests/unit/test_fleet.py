# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that travel: what they are made of, where they may run, what becomes of lost ones."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

from distributed import LocalCluster, get_worker

from pinrace import store
from pinrace.cli.main import main
from pinrace.engine import executor
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.fleet import certs, client, hosts, needs, wire, work
from pinrace.fleet.blobs import Blobs, digest_of
from pinrace.fleet.client import Fleet
from pinrace.fleet.durations import Durations
from pinrace.fleet.trial import trial
from pinrace.guest.machine import Machine, Replay
from pinrace.host.accel import Accelerator
from pinrace.host.qemu import Qemu
from pinrace.paths import CONFIGS
from pinrace.runs import summary
from pinrace.values import EMULATED, NATIVE, Cell, CellResult, Image, Kernel, Verdict

CELL = Cell("x86_64", "i386", "plain", "trial")
FAILS = next(n for n in range(1, 100) if int(store.digest(f"{CELL.name}-r{n}"), 16) % 7 == 0)
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


class Shelf:
    """Gives the files of a call from the same host."""

    def __init__(self, call: wire.Call, folder: Path) -> None:
        self.call, self.place = call, folder

    def folder(self, files: dict[str, str]) -> Path:
        self.place.mkdir(exist_ok=True)
        for name, digest in files.items():
            if digest.startswith("->"):
                (self.place / name).symlink_to(digest[2:])
            else:
                (self.place / name).write_bytes(self.call.files[digest].read_bytes())
        return self.place


def test_a_local_command_imports_nothing_of_a_fleet() -> None:
    code = (
        "import sys; from pinrace.cli.main import main, parser; parser();"
        "from pinrace.engine import batch, executor; executor.call(len, 'x');"
        "print([m for m in sys.modules if m.split('.')[0] in ('dask', 'distributed')"
        " or m.startswith('pinrace.fleet')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_kernel_travels_by_the_digests_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "bzImage").write_bytes(b"boots")
    (folder / "boot").symlink_to("bzImage")
    kernel = Kernel("d", "x86_64", "plain", "t", "7.3", folder)
    out = tmp_path / "out"
    call = wire.pack(trial, (CELL, kernel, out), {"stop": threading.Event()})
    assert list(call.files) == [digest_of(b"boots")]
    stop = threading.Event()
    there = tmp_path / "there"
    function, args, kwargs = wire.unpack(
        call.data, Shelf(call, there), tmp_path / "elsewhere", stop
    )
    assert function is trial
    assert args[1] == Kernel("d", "x86_64", "plain", "t", "7.3", there)
    assert args[1].boot.read_bytes() == b"boots"
    assert args[2] == tmp_path / "elsewhere"
    assert kwargs == {"stop": stop}


def test_an_image_travels_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "initramfs.cpio"
    path.write_bytes(b"files")
    call = wire.pack(trial, (Image("i", "x86_64", "i386", path),), {})
    _, args, _ = wire.unpack(call.data, Shelf(call, tmp_path / "x"), tmp_path, threading.Event())
    assert args[0].path.read_bytes() == b"files"
    assert args[0].path.name == "initramfs.cpio"


def test_what_cannot_travel_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        wire.pack(lambda: None, (), {})
    with pytest.raises(TypeError, match="cannot be called"):
        wire.pack(os.getcwd, (), {})
    with pytest.raises(TypeError, match="cannot travel"):
        wire.pack(trial, ((tmp_path / "a", Path("/proc/self")),), {})
    with pytest.raises(TypeError):
        wire.pack(trial, (lambda: None,), {})


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def test_a_pickle_that_names_anything_but_values_is_refused(tmp_path: Path) -> None:
    for evil in (Evil(), subprocess.run, trial):
        with pytest.raises(pickle.UnpicklingError, match="no value"):
            wire.unpack_result(pickle.dumps((evil, None, "h")), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "pinrace.nightly.watch\nTypeAdapter",  # evaluates a string that it is given
        "pinrace.report.render\nEnvironment",
        "pinrace.guest.qmp\nMonitor",
        "pinrace.fleet.serve\nWorker",
        "pinrace.store\nos.system",
    ],
)
def test_no_class_that_pinrace_imports_comes_out_of_a_pickle(name: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    data = f"(c{name}\n(Vopen('{ran}', 'w')\ntRNVhost\nt.".encode()
    with pytest.raises(pickle.UnpicklingError, match="no value"):
        wire.unpack_result(data, tmp_path)
    assert not ran.exists()


def test_a_result_leads_to_no_place_outside_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "there" / "out"
    data = wire.pack_result((out / "console.log", out), None, out, "a")
    assert wire.unpack_result(data, tmp_path / "here") == (
        (tmp_path / "here/console.log", tmp_path / "here"),
        "a",
    )
    buffer = io.BytesIO()

    class Packer(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("out", "../../etc") if isinstance(value, Path) else None

    Packer(buffer).dump((Path("x"), None, "a"))
    with pytest.raises(pickle.UnpicklingError, match="leads out"):
        wire.unpack_result(buffer.getvalue(), tmp_path)


def test_an_error_keeps_its_kind_and_says_where(tmp_path: Path) -> None:
    far = InfrastructureError("no QEMU", log=Path("/var/log/x"), hint="pinrace doctor")
    with pytest.raises(InfrastructureError, match=r"no QEMU.*on a, log /var/log/x") as told:
        wire.unpack_result(wire.pack_result(None, far, tmp_path, "a"), tmp_path)
    assert told.value.hint == "pinrace doctor"
    with pytest.raises(UserError, match="wrong"):
        wire.unpack_result(wire.pack_result(None, UserError("wrong"), tmp_path, "a"), tmp_path)

    class OddError(Exception):
        pass

    with pytest.raises(InfrastructureError, match="OddError"):
        wire.unpack_result(wire.pack_result(None, OddError("x"), tmp_path, "a"), tmp_path)


def test_an_archive_brings_files_and_nothing_else(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as out:
        for name, kind in (("good", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            out.addfile(entry)
    wire.unpack_folder(archive, tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["good"]
    with tarfile.open(archive, "w") as out:
        out.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(InfrastructureError):
        wire.unpack_folder(archive, tmp_path / "to")
    assert not (tmp_path / "outside").exists()


def test_blobs_are_what_their_digest_says(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "a", largest=1000)
    digest = blobs.add(b"x" * 900)
    other = Blobs(tmp_path / "b", largest=1000)
    other.receive(digest, blobs.pieces(digest))
    assert other.content(digest) == b"x" * 900
    assert other.size(digest) < 100
    with pytest.raises(InfrastructureError, match="digest"):
        Blobs(tmp_path / "c").receive(digest_of(b"y"), blobs.pieces(digest))
    with pytest.raises(InfrastructureError, match="cut short"):
        Blobs(tmp_path / "d").receive(digest, iter([blobs.read(digest, 0)[:-4]]))
    with pytest.raises(InfrastructureError, match="damaged"):
        Blobs(tmp_path / "e").receive(digest, iter([b"no gzip at all"]))
    with pytest.raises(InfrastructureError, match="larger"):
        blobs.add(b"x" * 1001)
    assert not list((tmp_path / "a/drafts").iterdir())


def test_a_small_upload_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    big = Blobs(tmp_path / "big")
    digest = big.add(b"\0" * (1 << 20))
    small = Blobs(tmp_path / "small", largest=1 << 16)
    small.append("up", 0, big.read(digest, 0))
    with pytest.raises(InfrastructureError, match="larger"):
        small.commit("up", digest)
    assert not small.has(digest)


def test_names_of_blobs_lead_nowhere(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    for name in ("../x", "", ".", "a/b"):
        with pytest.raises(ValueError, match="is no"):
            blobs.append(name, 0, b"")
        with pytest.raises(ValueError, match="is no"):
            blobs.path(name)


def test_a_call_counts_once(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    first, second = blobs.add(b"first"), blobs.add(b"second")
    assert blobs.publish("call", first) == first
    assert blobs.publish("call", second) == first
    assert blobs.published("call") == first
    blobs.drop("call")
    assert blobs.published("call") == ""
    assert not blobs.has(first)


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


def test_what_no_host_can_serve_has_a_reason() -> None:
    want = needs.Needs(2, 512, frozenset({"runs-x86_64"}))
    assert needs.lacking(want, {"a": HERE}) == ""
    assert needs.lacking(want, {}) == "the fleet has no host"
    arm = needs.Needs(1, 1, frozenset({"native-arm64"}))
    assert needs.lacking(arm, {"a": HERE}) == "no host of the fleet has 'native-arm64'"
    assert "8 CPUs for one guest" in needs.lacking(needs.Needs(8), {"a": HERE})
    two = {"a": HERE, "b": {"native-arm64": 1.0, needs.SLOTS: 1.0, needs.MEMORY: 1.0}}
    assert "no single host" in needs.lacking(want.and_(arm), two)


def test_cells_of_native_hosts_have_a_name_of_their_own() -> None:
    assert CELL.name == "x86_64-i386-plain-trial"
    assert Cell("arm64", "arm64", "plain", "x", 2, NATIVE).name == "arm64-arm64-plain-x-native-r2"


def test_native_and_emulated_results_stand_apart() -> None:
    results = [
        CellResult(Cell("arm64", "arm64", "plain", "x", on=on), verdict, "why")
        for on, verdict in ((NATIVE, Verdict.FAIL), (EMULATED, Verdict.PASS))
    ]
    head, native, emulated = summary.table(results)
    assert "  on " in head
    assert native.split()[:5] == ["arm64", "arm64", "native", "x", "FAIL"]
    assert emulated.split()[:5] == ["arm64", "arm64", "emulated", "x", "PASS"]
    one = replace(results[0], cell=replace(results[0].cell, on=""))
    assert " on " not in summary.table([one])[0]


def test_durations_are_kept_without_repetitions(tmp_path: Path) -> None:
    one = Durations(tmp_path / "d.json")
    one.note(10, "m:run_cell", CELL, tmp_path)
    one.note(20, "m:run_cell", Cell("x86_64", "i386", "plain", "trial", 5))
    one.save()
    again = Durations(tmp_path / "d.json")
    assert again.expected("m:run_cell", CELL) == 15
    assert again.expected("m:confirm", CELL) == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    patch = pytest.MonkeyPatch()
    patch.setenv("PINRACE_CACHE", str(tmp_path_factory.mktemp("cache")))
    resources = HERE | {"runs-x86_64": needs.PLENTY}
    with LocalCluster(
        n_workers=2,
        threads_per_worker=4,
        processes=False,
        dashboard_address=None,
        resources=resources,
        silence_logs=50,
    ) as made:
        yield made
    patch.undo()


@pytest.fixture
def fleet(cluster: LocalCluster) -> Iterator[Fleet]:
    with Fleet(cluster.scheduler_address, patience=20) as made:
        yield made


@pytest.mark.xdist_group("fleet")
def test_calls_run_on_workers_and_come_back_with_their_files(fleet: Fleet, tmp_path: Path) -> None:
    numbers = (1, 2, 3, FAILS)
    cells = [Cell("x86_64", "i386", "plain", "trial", number) for number in numbers]
    with executor.use(fleet), executor.threads(1) as threads:

        def one(cell: Cell) -> CellResult:
            folder = tmp_path / cell.name
            return executor.call(trial, cell, 0.05, folder, stop=threading.Event())

        results = list(threads.map(one, cells))
    here = [trial(cell, 0, tmp_path) for cell in cells]
    assert [one.verdict for one in results] == [one.verdict for one in here]
    assert {Verdict.PASS, Verdict.FAIL} == {one.verdict for one in results}
    for one in results:
        assert one.folder == tmp_path / one.cell.name
        assert (one.folder / "console.log").read_text().startswith(one.cell.name)
        assert "ran on" in one.notes[-1]
    assert fleet.expected(trial, cells[0]) > 0


@pytest.mark.xdist_group("fleet")
def test_what_no_host_serves_is_said_at_once(fleet: Fleet, tmp_path: Path) -> None:
    cell = Cell("arm64", "arm64", "plain", "trial", on=NATIVE)
    with pytest.raises(InfrastructureError, match="no host of the fleet has 'native-arm64'"):
        fleet.call(trial, cell, 1.0, tmp_path)


@pytest.mark.xdist_group("fleet")
def test_an_error_of_a_call_is_its_own(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"the process of .* ended with 1 \(on "):
        fleet.call(trial, CELL, -1.0, tmp_path)
    assert fleet.again == 0


@pytest.mark.xdist_group("fleet")
def test_a_stop_travels(fleet: Fleet, tmp_path: Path) -> None:
    stop = threading.Event()
    raised: list[BaseException] = []

    def call() -> None:
        try:
            fleet.call(trial, CELL, 300.0, tmp_path, stop=stop)
        except BaseException as error:
            raised.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    while not work.running():
        time.sleep(0.01)
    stop.set()
    caller.join()
    assert not work.running()
    assert "it was stopped" in str(raised[0]) or isinstance(raised[0], KeyboardInterrupt)


@pytest.mark.xdist_group("fleet")
def test_an_operator_that_is_gone_ends_its_calls(cluster: LocalCluster, tmp_path: Path) -> None:
    gone = Fleet(cluster.scheduler_address, patience=20)

    def call() -> None:
        with contextlib.suppress(InfrastructureError, KeyboardInterrupt):
            gone.call(trial, CELL, 300.0, tmp_path)

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    while not work.running():
        time.sleep(0.01)
    gone._client.close()
    while work.running():
        time.sleep(0.01)


@pytest.mark.xdist_group("fleet")
def test_a_call_that_was_lost_and_had_ended_is_not_run_again(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lost, ran = Fleet._digest, [], []
    unpack = wire.unpack

    def note(*args: Any) -> Any:
        function, values, words = unpack(*args)
        ran.append(values[0])
        return function, values, words

    monkeypatch.setattr(wire, "unpack", note)

    def lose(self: Fleet, future: Any) -> str:
        found = real(self, future)
        if not lost:
            lost.append(found)
            raise client._LostError("on purpose")
        return found

    monkeypatch.setattr(Fleet, "_digest", lose)
    fleet.call(trial, CELL, 0.0, tmp_path)
    assert lost
    assert fleet.again == 1
    assert ran == [CELL]


@pytest.mark.xdist_group("fleet")
def test_a_host_without_room_gives_a_call_back(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = [0]
    monkeypatch.setattr(work, "_SLOW", 0.0)
    monkeypatch.setattr(work, "room", lambda _: rooms.pop() if rooms else 1 << 40)
    result = fleet.call(trial, CELL, 0.0, tmp_path)
    assert result.cell == CELL
    assert fleet.again == 1


@pytest.mark.xdist_group("fleet")
def test_a_host_that_cannot_even_start_things_is_avoided(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = wire.unpack

    def broken(*args: Any) -> Any:
        if str(get_worker().name) == "0":
            raise OSError("this host has no processes left")
        return real(*args)

    monkeypatch.setattr(wire, "unpack", broken)
    monkeypatch.setattr(work, "_SLOW", 0.0)
    for _ in range(3):
        assert fleet.call(trial, CELL, 0.0, tmp_path).notes[-1].startswith("ran on 1")


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
