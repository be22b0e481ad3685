# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line as a whole: groups, examples, mistakes, and what loading it costs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pinrace.cli import manual
from pinrace.cli.commands import COMMANDS, EXAMPLES, GROUPS
from pinrace.cli.help import TOPICS
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
    assert f"explain a topic: {', '.join(sorted(TOPICS))}\n" in said


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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
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


def test_fish_knows_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    said = manual.fish(parser(listed=True))
    for name, one in manual.subparsers(parser(listed=True)).items():
        assert f"-a {name} " in said
        seen = f'"__fish_seen_subcommand_from {name}"'
        lines = [line for line in said.splitlines() if seen in line]
        for action in manual.options(one):
            long = [option for option in action.option_strings if option.startswith("--")]
            assert not long or any(f" -l {long[0][2:]} " in line for line in lines), long


def test_there_is_a_manual_page_for_each_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["help", "man", str(tmp_path)]) == Exit.OK
    assert {path.stem for path in tmp_path.iterdir()} == {
        "pinrace",
        *(f"pinrace-{name}" for name in COMMANDS),
    }
    text = (tmp_path / "pinrace-test.1").read_text()
    assert text.isascii()
    assert "\\-\\-baseline\\-days" in text
    assert ".SH EXAMPLES" in text
    assert "%(default)" not in text
    assert ".SH VERDICTS" in (tmp_path / "pinrace.1").read_text()
    capsys.readouterr()


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff here")
def test_groff_has_nothing_to_say_of_the_pages(tmp_path: Path) -> None:
    pages = manual.write(parser(listed=True), TOPICS, tmp_path)
    argv = ["groff", "-man", "-Tutf8", "-ww", *map(str, pages)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    wrong = [line for line in done.stderr.splitlines() if "break" not in line]
    assert not wrong, wrong[:5]


def test_a_line_of_text_is_no_request_of_roff() -> None:
    assert manual.escaped(".so /etc/passwd\n'x\na-b \\n …") == (
        "\\&.so /etc/passwd\n\\&'x\na\\-b \\en \\[u2026]"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["cache", "--days", "3"],
        ["help", "verdicts", "somewhere"],
        ["help", "man"],
        ["doctor", "--json", "--quick"],
        ["hunt", "--scenario", "x"],
        ["hunt", "--window=do_exit", "-k", "x"],
        ["hunt", "--race", "x", "--every"],
        ["search", "--race", "x", "--plain"],
        ["search", "--torture", "--tries", "3"],
        ["determinism", "--race", "x", "--smp", "1"],
        ["torture", "--race", "x", "--trials", "3"],
        ["torture", "--no-search", "--search-for", "1m"],
        ["mutants", "--only-selftest", "--torture", "9s"],
        ["searchbench", "--only-write", "--write", "x", "--seeds", "3"],
        ["test", "--seed", "9"],
        ["repro", "pr1:x", "--ltp", "x"],
    ],
)
def test_options_without_effect_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    assert "next" in capsys.readouterr().err


def test_the_cache_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path))
    (tmp_path / "images/x").mkdir(parents=True)
    assert main(["cache", "--json"]) == Exit.OK
    said = json.loads(capsys.readouterr().out)
    assert said["kinds"][0] == {"kind": "images", "entries": 1, "bytes": 0}
    assert main(["cache", "--prune", "images", "--days", "0", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"removed": ["images/x"]}


def test_the_doctor_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert code == (Exit.INFRA if said["missing"] else Exit.OK)
    assert {"arches", "cache", "sandbox", "cores"} <= set(said)


def test_defaults_that_cannot_be_read_are_said_and_are_not_the_kernels_fault(
    tmp_path: Path,
) -> None:
    """Help names them, so that they are read before there is a command to run."""
    program = (
        "import sys; from pathlib import Path; from pinrace import paths;"
        " paths.CONFIGS = Path(sys.argv[1]); from pinrace.cli.main import main;"
        " sys.exit(main(['test', '--help']))"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == Exit.INFRA, done.stderr
    assert "defaults.toml cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_litmus_tests_refuse_what_they_do_not_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    for option in (["--boots", "5"], ["--race", "mine"], ["--series", "none"], ["--seed", "3"]):
        assert main(["determinism", "--litmus", *option]) == Exit.USAGE
        assert f"{option[0]} has no effect with --litmus" in capsys.readouterr().err


def test_mutants_are_compared_on_plain_kernels_alone(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--bench", "--mutants", "--abi", "i386", "--flavor", "debug"]
    assert main(["torture", *words]) == Exit.USAGE
    assert "plain kernels" in capsys.readouterr().err
