# SPDX-License-Identifier: GPL-2.0-or-later
"""What is submitted keeps to KCIDB's own schema, and loses nothing of a run."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pinrace.cli.main import main
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.runs import kcidb
from pinrace.runs.journal import Run
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Splat, Verdict

REPORT = Splat("kasan", "BUG: KASAN: use-after-free in f", 12, "text\0of it", "kasan: f < g")
CELLS = (
    CellResult(
        Cell("x86_64", "i386", "debug", "seccomp_bpf"),
        Verdict.FAIL,
        "the kernel reported a fault",
        (
            CaseResult("global.kcmp", CaseStatus.PASS),
            CaseResult("TRAP.dfl", CaseStatus.FAIL, "", ("# expected \0 1",)),
            CaseResult("a/b c/(plan)", CaseStatus.ERROR, "not seen"),
            CaseResult("late", CaseStatus.TIMEOUT),
            CaseResult("never", CaseStatus.SKIP),
            CaseResult("todo", CaseStatus.XFAIL),
        ),
        (REPORT,),
        known=("TRAP.dfl",),
        seconds=1.23456,
    ),
    CellResult(
        Cell("arm64", "arm64", "plain", "smoke"), Verdict.INCONCLUSIVE, "deaf", (), (REPORT,)
    ),
    CellResult(Cell("arm64", "arm", "plain", "smoke"), Verdict.MISS, "no QEMU"),
    CellResult(Cell("arm64", "arm", "plain", "gates"), Verdict.SKIP, "not here"),
)
TREE = {
    "label": "linux 7.3.4 + x",
    "tree_id": "a" * 40,
    "series_digest": "b" * 64,
    "patches": ["1"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Run.create(["pinrace", "test"], root=tmp_path / "runs", tree=TREE) as run:
        for cell in CELLS:
            place = run.cell_start(cell.cell)
            (place / "console.log").write_text("[    0.000000] Linux version\n")
            run.cell_end(CellResult(**{**vars(cell), "folder": place}))
        run.end(Exit.KERNEL)
    return run.folder


def test_every_cell_and_case_is_there(folder: Path) -> None:
    said = kcidb.report(folder, kcidb.Submitter("my_lab", "https://ci.example/runs/"))
    tests = {test["path"]: test for test in said["tests"]}
    assert len(said["tests"]) == len(CELLS) + 6
    top = "kselftest.seccomp.seccomp_bpf"
    wanted = {
        top: "FAIL",
        f"{top}.global.kcmp": "PASS",
        f"{top}.TRAP.dfl": "FAIL",
        f"{top}.a.b_c.plan": "ERROR",
        f"{top}.late": "FAIL",
        f"{top}.never": "SKIP",
        f"{top}.todo": "PASS",
        "pinrace.gates": "SKIP",
    }
    assert {path: tests[path]["status"] for path in wanted} == wanted
    assert [t["status"] for t in said["tests"] if t["path"] == "pinrace.smoke"] == ["ERROR", "MISS"]
    assert tests[f"{top}.TRAP.dfl"]["misc"]["pinrace"]["known"] is True
    assert tests[top]["log_url"] == (
        f"https://ci.example/runs/{folder.name}/cells/{CELLS[0].cell.name}/console.log"
    )
    assert {b["architecture"] + b["config_name"] for b in said["builds"]} == {
        "x86_64debug",
        "arm64plain",
    }


def test_one_bug_on_two_kernels_is_one_issue_with_two_incidents(folder: Path) -> None:
    said = kcidb.report(folder, kcidb.Submitter())
    (issue,) = said["issues"]
    assert issue["report_subject"] == REPORT.title
    assert [one["issue_id"] for one in said["incidents"]] == [issue["id"]] * 2
    assert len({one["id"] for one in said["incidents"]}) == 2


def test_what_breaks_the_schema_is_not_sent() -> None:
    with pytest.raises(InfrastructureError, match=r"KCIDB 5\.3"):
        kcidb.validated({"version": {"major": 5, "minor": 3}, "tests": [{"id": "no origin"}]})


def test_an_origin_is_a_word() -> None:
    with pytest.raises(UserError, match="My Lab"):
        kcidb.Submitter("My Lab")


class _Service(BaseHTTPRequestHandler):
    got: list[tuple[str | None, bytes]] = []  # noqa: RUF012 (a class of one test's)
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers["Authorization"], body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    _Service.got.clear()
    _Service.status = 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/submit"
    server.shutdown()
    server.server_close()


def test_it_goes_to_a_service_with_its_token(
    folder: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCIDB_TOKEN", "secret")
    assert main(["submit", str(folder), "--kcidb", "--to", service]) == Exit.OK
    ((authorization, body),) = _Service.got
    assert authorization == "Bearer secret"
    assert len(json.loads(body)["tests"]) == len(CELLS) + 6


def test_a_service_that_refuses_is_an_infrastructure_error(folder: Path, service: str) -> None:
    _Service.status = 403
    assert main(["submit", str(folder), "--kcidb", "--to", service]) == Exit.INFRA


@pytest.mark.parametrize(
    "to",
    [
        "http://kcidb.example/submit",
        "http://localhost.kcidb.example/submit",
        "http://127.0.0.1.kcidb.example/submit",
        "http://127.0.0.1@kcidb.example/submit",
        "http://[127.0.0.1/submit",
    ],
)
def test_no_token_goes_over_plain_http(folder: Path, to: str) -> None:
    assert main(["submit", str(folder), "--kcidb", "--to", to]) == Exit.USAGE


def test_it_goes_to_a_command_or_a_file(folder: Path, tmp_path: Path) -> None:
    piped, written = tmp_path / "piped", tmp_path / "written"
    assert main(["submit", str(folder), "--kcidb", "--pipe", f"tee {piped}"]) == Exit.OK
    assert main(["submit", str(folder), "--kcidb", "-o", str(written)]) == Exit.OK
    assert json.loads(piped.read_text()) == json.loads(written.read_text())
    assert main(["submit", str(folder), "--kcidb", "--pipe", "false"]) == Exit.INFRA
    assert main(["submit", str(folder), "--kcidb", "-o", str(tmp_path / "no/x")]) == Exit.USAGE


def test_a_run_that_was_brought_here_is_only_read(folder: Path, tmp_path: Path) -> None:
    brought = tmp_path / "downloads" / "a-run"
    shutil.copytree(folder, brought)
    assert main(["submit", str(brought), "--kcidb", "--output", str(tmp_path / "out")]) == Exit.OK
    assert [path.name for path in brought.parent.iterdir()] == ["a-run"]
