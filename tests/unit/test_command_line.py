# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line as a whole: groups, examples, mistakes, and what loading it costs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pinrace.cli.commands import COMMANDS, EXAMPLES, GROUPS
from pinrace.cli.main import main, parser
from pinrace.errors import Exit


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == Exit.USAGE
    return capsys.readouterr().err


def test_every_command_is_in_one_group_and_has_an_example() -> None:
    assert sum(len(group) for group in GROUPS.values()) == len(COMMANDS)
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_command_lines_that_parse(command: str) -> None:
    whole = parser(command)
    for line, about in EXAMPLES[command]:
        program, *words = shlex.split(line)
        assert program == "pinrace"
        assert whole.parse_args(words).command == command
        assert about


def test_the_help_shows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in COMMANDS)
    assert max(map(len, said.splitlines())) <= 100


def test_a_misspelt_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "tset")
    assert "did you mean 'test'?" in said
    assert len(said.splitlines()) == 2


def test_a_misspelt_topic_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'verdicts'?" in refused(capsys, "help", "verdict")


@pytest.mark.parametrize("words", [["search", "--job", "x"], ["test", "--sui", "smoke"]])
def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert "unrecognized arguments" in refused(capsys, *words)


def test_the_version_loads_no_library() -> None:
    code = "import sys; from pinrace.cli import main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pydantic", "rich", "requests", "paramiko", "shtab", "jinja2"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--completion", shell])
    assert ended.value.code == Exit.OK
    assert "searchbench" in capsys.readouterr().out


def test_runs_names_the_folder_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PINRACE_RUNS", os.fspath(tmp_path / "not-this"))
    main(["runs", "--runs", os.fspath(tmp_path / "mine")])
    assert (tmp_path / "mine").is_dir()
    assert not (tmp_path / "not-this").exists()
    capsys.readouterr()
