# SPDX-License-Identifier: GPL-2.0-or-later
"""New series in, a verdict a series out, each once: a mailbox, a feed, a Patchwork server."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pinrace import net
from pinrace.engine import batch
from pinrace.errors import BuildError, Exit, InfrastructureError, UserError
from pinrace.nightly import patchwork, sources, watch
from pinrace.runs.journal import Run
from pinrace.values import CellResult, Tree, Verdict

DIFF = "---\n a | 2 +-\n\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y{}\n-- \n2.39\n"


def _mail(number: str, subject: str, *, answers: str = "", body: str = "words\n") -> str:
    parent = f"In-Reply-To: <{answers}>\nReferences: <{answers}>\n" if answers else ""
    return (
        f"From mboxrd@z Thu Jan  1 00:00:00 1970\nFrom: A <a@a.example>\nSubject: {subject}\n"
        f"Message-ID: <{number}>\nDate: Tue, 1 Dec 2026 10:00:0{len(number) % 10} +0000\n{parent}\n"
        f"{body}\n"
    )


def _series(name: str, patches: int = 2) -> str:
    cover = _mail(f"{name}-0@a.example", f"[PATCH 0/{patches}] {name}: cover")
    mails = [
        _mail(
            f"{name}-{n}@a.example",
            f"[PATCH {n}/{patches}] {name}: change {n}",
            answers=f"{name}-0@a.example",
            body=DIFF.format(f"{name}{n}"),
        )
        for n in range(1, patches + 1)
    ]
    answer = _mail(f"{name}-r@b.example", f"Re: [PATCH 0/2] {name}", answers=f"{name}-0@a.example")
    return "".join([cover, *mails, answer])


class _Server(ThreadingHTTPServer):
    """A Patchwork server and an archive in one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.series: list[dict[str, Any]] = []
        self.checks: list[tuple[str, str, dict[str, Any]]] = []
        self.files: dict[str, bytes] = {}
        self.broken = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, number: int, name: str, *, whole: bool = True) -> None:
        self.files[f"/series/{number}/mbox/"] = _series(name).encode()
        patches = [{"id": number * 10 + n, "msgid": f"<{name}-{n}@a.example>"} for n in (1, 2)]
        self.series.append(
            {
                "id": number,
                "name": f"{name}: cover",
                "received_all": whole,
                "mbox": f"{self.url}/series/{number}/mbox/",
                "cover_letter": {"id": number * 10, "msgid": f"<{name}-0@a.example>"},
                "patches": patches,
            }
        )


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/api/1.2/series/":
            query = {key: value[0] for key, value in parse_qs(url.query).items()}
            assert query["project"] == "seccomp"
            assert query["order"] == "-id"
            size, page = int(query["per_page"]), int(query["page"])
            rows = sorted(self.server.series, key=lambda one: -int(one["id"]))
            rows = rows[(page - 1) * size : page * size]
            self._answer(200 if rows or page == 1 else 404, json.dumps(rows).encode())
        elif url.path in self.server.files:
            self._answer(200, self.server.files[url.path])
        else:
            self._answer(404, b"{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.broken:
            self._answer(503, b"{}")
        elif self.headers["Authorization"] != "Token secret":
            self._answer(403, b"{}")
        elif body["state"] not in ("pending", "success", "warning", "fail"):
            self._answer(400, b"{}")
        else:
            self.server.checks.append((self.path, self.headers["Content-Type"], body))
            self._answer(201, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setenv(net.PLAIN_HTTP, "1")
    monkeypatch.setenv(patchwork.TOKEN, "secret")
    with _Server() as it:
        thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield it
        it.shutdown()
        thread.join()


@pytest.fixture
def ran(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Verdict | Exception]:
    """Series by name, with what comes of each; the kernels and guests are left out here."""
    verdicts: dict[str, Verdict | Exception] = {}
    seen: list[str] = []

    def run(todo: batch.Batch, argv: Sequence[str]) -> tuple[Run, list[CellResult]]:
        assert todo.series is not None
        assert len(todo.series.patches) == 2
        name = todo.series.patches[0].read_text().split("change")[0].rpartition("] ")[2][:-2]
        seen.append(name)
        verdict = verdicts.get(name, Verdict.PASS)
        if isinstance(verdict, Exception):
            raise verdict
        with Run.create(argv, tree={"version": "7.3", "series": name}) as record:
            result = CellResult(todo.cells[0], verdict, "because")
            record.cell_end(result)
            record.end(0)
        return record, [result]

    tree = Tree("debian:7.3", "7.3", "t" * 40, "c" * 40, "here", "signature ok")
    monkeypatch.setattr(batch, "run", run)
    monkeypatch.setattr(watch, "resolve", lambda *a, **k: tree)
    verdicts["seen"] = seen  # type: ignore[assignment]
    return verdicts


def _file(tmp_path: Path, source: str, **more: Any) -> watch.WatchFile:
    path = tmp_path / "watch.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    path.write_text("\n".join(['name = "w"', 'suites = ["smoke"]', *lines, "[source]", source]))
    return watch.load(path)


def test_a_mailbox_is_cut_into_series(tmp_path: Path) -> None:
    box = tmp_path / "list.mbox"
    alone = _mail("solo@a.example", "[PATCH] solo: one", body=DIFF.format("s"))
    talk = _mail("talk@a.example", "A question on [PATCH]es")
    box.write_text(_series("one") + talk + alone + _series("two"))
    source = sources.Source(kind="mbox", path=str(box))
    found = sources.look(source)
    assert [one.message for one in found] == [
        "one-0@a.example", "solo@a.example", "two-0@a.example",
    ]  # fmt: skip
    assert found[0].thread.count(b"Message-ID: <one-") == 4
    assert b"two-" not in found[0].thread


def test_each_series_of_a_mailbox_once(
    tmp_path: Path, ran: dict[str, Any], own_cache: Path
) -> None:
    box = tmp_path / "list.mbox"
    box.write_text(_series("old"))
    it = _file(tmp_path, f'kind = "mbox"\npath = "{box}"')
    assert watch.run(it, ["pinrace"]) == []
    box.write_text(_series("old") + _series("new") + _series("bad"))
    ran["bad"] = Verdict.FAIL
    steps = watch.run(it, ["pinrace"])
    assert [(s.state, s.verdict) for s in steps] == [
        ("done", Verdict.PASS), ("done", Verdict.FAIL),
    ]  # fmt: skip
    assert watch.exit_code(steps) is Exit.KERNEL
    assert watch.run(it, ["pinrace"]) == []
    assert ran["seen"] == ["new", "bad"]


def test_what_cannot_be_run_is_tried_again_and_left(tmp_path: Path, ran: dict[str, Any]) -> None:
    box = tmp_path / "list.mbox"
    box.write_text(_series("new"))
    ran["new"] = InfrastructureError("no QEMU")
    it = _file(tmp_path, f'kind = "mbox"\npath = "{box}"', backlog=3)
    states = [watch.run(it, ["pinrace"])[0].state for _ in range(watch.TRIES)]
    assert states == ["tried", "tried", "left"]
    assert watch.run(it, ["pinrace"]) == []


def test_a_series_that_is_not_whole_yet_waits(tmp_path: Path, ran: dict[str, Any]) -> None:
    box = tmp_path / "list.mbox"
    whole = _series("new")
    mails = whole.split("From mboxrd@z")
    box.write_text("From mboxrd@z".join(mails[:3]))
    it = _file(tmp_path, f'kind = "mbox"\npath = "{box}"', backlog=1)
    (step,) = watch.run(it, ["pinrace"])
    assert step.state == "tried"
    box.write_text(whole)
    (step,) = watch.run(it, ["pinrace"])
    assert step.state == "done", step


def test_checks_go_to_each_patch_once(tmp_path: Path, server: _Server, ran: dict[str, Any]) -> None:
    server.add(1, "old")
    source = f'kind = "patchwork"\nurl = "{server.url}"\nproject = "seccomp"'
    it = _file(tmp_path, source, checks=True, pages="https://ci.example/runs")
    assert watch.run(it, ["pinrace"]) == []
    server.add(2, "good")
    server.add(3, "half", whole=False)
    server.add(4, "worse")
    ran["worse"] = BuildError("make fails")
    server.broken = True
    steps = watch.run(it, ["pinrace"])
    assert [step.state for step in steps] == ["judged", "judged"]
    assert watch.exit_code(steps) is Exit.KERNEL
    server.broken = False
    steps = watch.run(it, ["pinrace"])
    assert [step.state for step in steps] == ["done", "done"]
    assert ran["seen"] == ["good", "worse"]
    assert watch.run(it, ["pinrace"]) == []
    posted = [(path, body["state"], body["context"]) for path, _, body in server.checks]
    assert posted == [
        (f"/api/1.2/patches/{number}/checks/", state, "pinrace")
        for number, state in ((21, "success"), (22, "success"), (41, "fail"), (42, "fail"))
    ]
    assert server.checks[0][2]["target_url"].startswith("https://ci.example/runs/2")
    assert "target_url" not in server.checks[2][2]
    assert "make fails" in server.checks[2][2]["description"]


def test_a_kill_between_two_checks_posts_neither_twice(
    tmp_path: Path, server: _Server, ran: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(1, "one")
    source = f'kind = "patchwork"\nurl = "{server.url}"\nproject = "seccomp"'
    it = _file(tmp_path, source, checks=True, backlog=1)
    real: Callable[..., None] = patchwork.Server.check

    def killed(self: patchwork.Server, patch: int, *a: Any, **k: Any) -> None:
        if patch == 12:
            raise KeyboardInterrupt
        real(self, patch, *a, **k)

    monkeypatch.setattr(patchwork.Server, "check", killed)
    with pytest.raises(KeyboardInterrupt):
        watch.run(it, ["pinrace"])
    monkeypatch.setattr(patchwork.Server, "check", real)
    watch.run(it, ["pinrace"])
    assert [path for path, _, _ in server.checks] == [
        f"/api/1.2/patches/{number}/checks/" for number in (11, 12)
    ]
    assert ran["seen"] == ["one"]


def test_a_feed_leads_to_its_threads(tmp_path: Path, server: _Server, ran: dict[str, Any]) -> None:
    def entry(name: str, subject: str, parent: str = "") -> str:
        answer = f'<thr:in-reply-to ref="urn:x" href="{parent}"/>' if parent else ""
        return (
            f"<entry><title>{subject}</title><id>urn:{name}</id>"
            f'<link href="{server.url}/list/{name}@a.example/"/>{answer}</entry>'
        )

    head = (
        '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"'
        ' xmlns:thr="http://purl.org/syndication/thread/1.0"><title>list</title>'
    )
    entries = entry("one-1", "[PATCH 1/2] one: change", "x") + entry("one-0", "[PATCH 0/2] one")
    entries += entry("talk", "Re: [PATCH 0/2] one", "x") + entry("chat", "hello")
    server.files["/list/new.atom"] = f"{head}{entries}</feed>".encode()
    server.files["/list/one-0@a.example/t.mbox.gz"] = gzip.compress(_series("one").encode())
    source = f'kind = "atom"\nurl = "{server.url}/list/new.atom"'
    it = _file(tmp_path, source, backlog=5)
    (step,) = watch.run(it, ["pinrace"])
    assert step.state == "done", step
    assert step.message == "one-0@a.example"
    server.files["/list/new.atom"] = b'<!DOCTYPE x [<!ENTITY a "b">]><feed/>'
    with pytest.raises(InfrastructureError, match="declares entities"):
        watch.run(it, ["pinrace"])


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ('kind = "mbox"', "takes path"),
        ('kind = "atom"\nurl = "x"\nproject = "y"', "takes url"),
        ('kind = "nntp"', "kind"),
    ],
)
def test_a_watch_that_is_none_is_refused(tmp_path: Path, source: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        _file(tmp_path, source)
    with pytest.raises(UserError, match="checks"):
        _file(tmp_path, 'kind = "mbox"\npath = "x"', checks=True)


def test_a_token_does_not_go_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="not encrypted"):
        patchwork.Server("http://patchwork.example", "p")
    monkeypatch.delenv(patchwork.TOKEN, raising=False)
    with pytest.raises(UserError, match="not set"):
        patchwork.Server("https://patchwork.example", "p").check(
            1, Verdict.PASS, context="c", said="", url=""
        )


def test_checks_without_a_token_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = 'kind = "patchwork"\nurl = "https://patchwork.example"\nproject = "p"'
    monkeypatch.setenv(patchwork.TOKEN, "secret")
    assert _file(tmp_path, source, checks=True).checks
    monkeypatch.delenv(patchwork.TOKEN)
    with pytest.raises(UserError, match="not set"):
        _file(tmp_path, source, checks=True)


def test_a_server_without_the_project_is_not_about_a_token(server: _Server) -> None:
    with pytest.raises(InfrastructureError, match="says 404") as told:
        patchwork.Server(f"{server.url}/elsewhere", "seccomp").series(0)
    assert told.value.hint == "has the server a project 'seccomp'?"
