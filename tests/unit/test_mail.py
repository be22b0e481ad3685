# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as a mail: what it says, its trailer, and that only configured people get it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from pinrace.cli.main import main
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.report import mail, post
from pinrace.runs.journal import Run
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Splat, Verdict

SPLAT = Splat("kasan", "BUG: KASAN: uaf in frob", 3, "BUG: KASAN\x1b[2J\n" * 40, "kasan: frob")
GOOD = CellResult(
    Cell("x86_64", "i386", "plain", "smoke"), Verdict.PASS, "1 case is good",
    (CaseResult("a", CaseStatus.PASS),),
)  # fmt: skip
BAD = CellResult(
    Cell("arm64", "arm64", "debug", "gates"), Verdict.FAIL, "case b fails",
    (CaseResult("b", CaseStatus.FAIL, "Expected 0 == -14"),), (SPLAT,), new=("b",),
    notes=("known issue old (gates b: FAIL); see it", "replay: pinrace repro pr1:x"),
)  # fmt: skip
TREE = {
    "version": "7.3.4",
    "verified": "signature ok",
    "series": "frob",
    "series_digest": "ab" * 32,
    "patches": ["1", "2"],
    "subjects": ["[PATCH 1/2] frob: knob"],
    "series_origin": "https://lore.example/all/2026.1-1-a@b.example/",
}


def _run(root: Path, *results: CellResult, **tree: Any) -> Path:
    again = {"build": ["--series", "frob"], "test": ["--smp", "2"]}
    facts = {"tree": {**TREE, **tree}, "compared": True, "again": again}
    with Run.create(["pinrace", "test"], root=root, **facts) as run:
        for result in results:
            run.cell_end(result)
        run.end(0)
    return run.folder


class _Keeper:
    """What a server does with a mail: keep it."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuse = ""

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: object, session: object, envelope: Any, address: str, options: object
    ) -> str:
        if address == self.refuse:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 taken"


@pytest.fixture
def keeper() -> _Keeper:
    return _Keeper()


@pytest.fixture
def port(keeper: _Keeper) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    server = Controller(keeper, hostname="127.0.0.1", port=number)
    server.start()
    try:
        yield number
    finally:
        server.stop()


@pytest.fixture
def config(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mail.toml"
    path.write_text(
        'from = "A Tester <tester@a.example>"\nto = ["list@b.example"]\ncc = ["c@b.example"]\n'
        f'[smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
    )
    monkeypatch.setenv(post.VARIABLE, str(path))
    return path


def test_a_failure_is_told_with_how_to_have_it_again(tmp_path: Path) -> None:
    letter = mail.letter(_run(tmp_path, GOOD, BAD), url="https://ci.example/runs/1/report.html")
    body = letter.text("A <a@a.example>")
    for said in (
        "this series (frob, 2 patches, sha256 abab",
        "on linux 7.3.4",
        "1 of 2 cells failed",
        "b: FAIL Expected 0 == -14",
        "pinrace test --series frob --arch arm64 --abi arm64 --flavor debug --suite gates",
        "pinrace repro pr1:x",
        "known issue old",
        "BUG: KASAN«ESC»[2J",
        "more lines]",
        "https://ci.example/runs/1/report.html",
        "\nReported-by: A <a@a.example>\n",
    ):
        assert said in body
    assert "Tested-by" not in body
    prose = [line for line in body.splitlines() if not line.startswith("  ")]
    assert max(map(len, prose)) <= mail.WIDTH
    assert letter.reply_to == "2026.1-1-a@b.example"
    assert letter.subject == "Re: [PATCH 1/2] frob: knob"


@pytest.mark.parametrize(
    ("results", "trailer"),
    [
        ((GOOD,), "Tested-by"),
        ((BAD,), "Reported-by"),
        ((GOOD, CellResult(BAD.cell, Verdict.MISS, "no QEMU")), ""),
        ((CellResult(BAD.cell, Verdict.INCONCLUSIVE, "deaf"),), ""),
        ((CellResult(BAD.cell, Verdict.SKIP, "lacks it"),), ""),
        ((), ""),
    ],
)
def test_the_trailer_claims_no_more_than_the_run(
    tmp_path: Path, results: tuple[CellResult, ...], trailer: str
) -> None:
    body = mail.letter(_run(tmp_path, *results)).text("A <a@a.example>")
    found = [word for word in ("Tested-by", "Reported-by") if f"{word}:" in body]
    assert found == ([trailer] if trailer else [])


def test_only_configured_people_get_it(
    own_cache: Path, tmp_path: Path, config: Path, keeper: _Keeper
) -> None:
    _run(tmp_path / "runs", BAD)
    assert main(["report", "--format", "mail", "--send"]) == Exit.OK
    (envelope,) = keeper.mails
    assert envelope.mail_from == "tester@a.example"
    assert envelope.rcpt_tos == ["list@b.example", "c@b.example"]
    it = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(it, EmailMessage)
    assert it["In-Reply-To"] == "<2026.1-1-a@b.example>"
    assert it["Auto-Submitted"] == "auto-generated"
    assert "Reported-by: A Tester <tester@a.example>" in it.get_content()


def test_without_send_it_is_printed(
    own_cache: Path,
    tmp_path: Path,
    config: Path,
    keeper: _Keeper,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _run(tmp_path / "runs", GOOD)
    assert main(["report", "--format", "mail"]) == Exit.OK
    out = capsys.readouterr().out
    assert out.startswith("Subject: Re: [PATCH 1/2] frob: knob\n\n")
    assert "Tested-by: A Tester" in out
    assert keeper.mails == []
    assert main(["report", "--send"]) == Exit.USAGE


def test_a_refusal_is_said(config: Path, tmp_path: Path, keeper: _Keeper) -> None:
    by = post.load()
    it = mail.letter(_run(tmp_path / "runs", GOOD)).message(by.sender, by.to, by.cc)
    keeper.refuse = "c@b.example"
    with pytest.raises(InfrastructureError, match=r"refused for c@b\.example"):
        post.send(it, by)
    text = config.read_text().replace("[smtp]", '[smtp]\nuser = "u"')
    config.write_text(text)
    with pytest.raises(InfrastructureError, match="does not take the mail"):
        post.send(it, post.load())


def test_a_command_gets_the_mail(config: Path, tmp_path: Path) -> None:
    config.write_text(
        f'from = "t@a.example"\nto = ["l@b.example"]\ncommand = "tee {tmp_path}/sent"\n'
    )
    by = post.load()
    post.send(mail.letter(_run(tmp_path / "runs", GOOD)).message(by.sender, by.to), by)
    assert "To: l@b.example" in (tmp_path / "sent").read_text()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('from = "a@b.example"\nto = []\ncommand = "x"', "to"),
        ('from = "nobody"\nto = ["a@b.example"]\ncommand = "x"', "no address"),
        ('from = "a@b.example"\nto = ["a@b.example\\nBcc: x@y"]\ncommand = "x"', "no address"),
        ('from = "a@b.example"\nto = ["a@b.example"]', "needs .smtp. or command"),
        (
            'from = "a@b.example"\nto = ["a@b.example"]\n[smtp]\nhost = "m.example"\n'
            'security = "none"',
            "only for a server on this host",
        ),
    ],
)
def test_a_bad_configuration_is_refused(config: Path, text: str, what: str) -> None:
    config.write_text(text)
    with pytest.raises(UserError, match=what):
        post.load()
