# SPDX-License-Identifier: GPL-2.0-or-later
"""What others wrote drives no terminal, no CI system and no page."""

from __future__ import annotations

import logging
import sys

import pytest

from pinrace import ui, visible
from pinrace.errors import UserError

HOSTILE = (
    "\x1b]52;c;cm0gLXJm\x07",  # writes the clipboard
    "\x1b]0;another title\x1b\\",
    "\x1b]8;;https://elsewhere.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b2J\x9b1;1H",  # C1: clears the screen
    "ok\rFAIL",
    "\u202egpj.exe",
    "a\u200bb\ufeff",
    "\x08\x08\x08PASS",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hidden_reaches_a_terminal(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ui.say(text)
    ui.warn(text)
    ui.complain(UserError(text, hint=text))
    record = logging.LogRecord("pinrace", logging.INFO, "", 0, "%s", (text,), None)
    said = capsys.readouterr()
    for shown in (said.out, said.err, ui._Plain().format(record), visible.markdown(text)):
        assert "«" in shown
        assert not set(shown) & set("\x1b\x9b\r\x07\x08\u202e\ufeff")


@pytest.mark.parametrize(
    "text",
    [
        "::error file=a::forged",
        "  ::stop-commands::nobody-knows: FAIL",
        "fine\n\t::add-mask::FAIL",
        "anything ##[error]forged",
        "##vso[task.setvariable variable=x]y",
        "##teamcity[testFailed name='x']",
        "section_start:1:x\r\x1b[0KHidden",
    ],
)
def test_no_ci_system_takes_it_for_a_command(text: str) -> None:
    shown = visible.plain(text)
    assert shown != text
    for line in shown.splitlines():
        assert not line.lstrip().startswith("::")
    assert not any(word in shown for word in ("##[", "##vso[", "##teamcity[", "section_start:"))


def test_one_line_is_one() -> None:
    assert len(visible.one_line("a\n::error::b\r\nc\u2028d\x0be").splitlines()) == 1


@pytest.mark.parametrize(
    ("raw", "forbidden"),
    [
        ("![x](http://elsewhere.example/a.png)", "!["),
        ("<img src=http://elsewhere.example>", " <"),
        ("x\r## Night 7: nothing is new", "\n"),
        ("ping @someone", " @someone"),
        ("see http://elsewhere.example", "http://"),
        ("a | b", " | "),
        ("#12 and other/repo#12", " #12"),
        ("`rm`", " `"),
    ],
)
def test_markdown_shows_just_the_text(raw: str, forbidden: str) -> None:
    assert forbidden not in f" {visible.markdown(raw)}"


def test_markdown_keeps_plain_names() -> None:
    text = "seccomp_bpf: user_notification.c, 12.5 s; linux 7.3.4-1~bpo13+1"
    assert visible.markdown(text) == text.replace("~", "\\~")


def test_commands_are_stopped_under_github(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with ui.without_commands():
        sys.stderr.write("::error::of a guest\n")
        ui.annotate(["::error title=ours::new"])
    stop, guest, lift, ours, again, end = capsys.readouterr().err.splitlines()
    assert stop.startswith("::stop-commands::")
    assert lift == f"::{stop.rpartition(':')[2]}::"
    assert again.startswith("::stop-commands::")
    assert again != stop  # what was printed to lift the first is known to all
    assert end == f"::{again.rpartition(':')[2]}::"
    assert (guest, ours) == ("::error::of a guest", "::error title=ours::new")


def test_elsewhere_nothing_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with ui.without_commands():
        pass
    assert capsys.readouterr() == ("", "")
