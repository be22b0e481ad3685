# SPDX-License-Identifier: GPL-2.0-or-later
"""The files for CI systems keep to their systems' schemas, and name what a night really leaves."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import ruamel.yaml

from pinrace.nightly import github
from pinrace.nightly.changes import Change, Kind
from pinrace.nightly.history import Said, Spot
from pinrace.values import Verdict

PROJECT = Path(__file__).resolve().parents[2]
CI = PROJECT / "configs/ci"
SCHEMAS = {
    "action.yml": "vendor.github-actions",
    ".github/workflows/native.yml": "vendor.github-workflows",
    ".github/workflows/nightly.yml": "vendor.github-workflows",
    "configs/ci/gitlab-ci.yml": "vendor.gitlab-ci",
}
LEAVES = {"junit.xml", "summary.md", "summary.json", "index.html", "badge.svg"}


def _check(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("check-jsonschema")
    # The transform knows tags of GitLab's own, such as !reference.
    more = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    argv = [str(tool), "--builtin-schema", schema, *more, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_it_keeps_to_the_schema(name: str, schema: str) -> None:
    done = _check(schema, PROJECT / name)
    assert done.returncode == 0, done.stdout


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "action.yml"
    path.write_text((PROJECT / "action.yml").read_text().replace("shell: bash", "shel: bash"))
    assert _check("vendor.github-actions", path).returncode == 1


def test_an_action_puts_no_input_into_a_script() -> None:
    """What a workflow hands in is data: ${{ }} inside of `run` would make it code."""
    loaded = ruamel.yaml.YAML(typ="safe").load((PROJECT / "action.yml").read_text())
    scripts = [step["run"] for step in loaded["runs"]["steps"] if "run" in step]
    assert len(scripts) == 2
    for script in scripts:
        assert "${{" not in script
        done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert done.returncode == 0


@pytest.mark.parametrize("code", [0, 1, 3, 4])
@pytest.mark.parametrize("report", ["echo a paragraph", "exit 4", "yes a long report"])
def test_an_action_ends_as_the_test_did_whatever_the_summary_does(
    code: int, report: str, tmp_path: Path
) -> None:
    loaded = ruamel.yaml.YAML(typ="safe").load((PROJECT / "action.yml").read_text())
    (script,) = (step["run"] for step in loaded["runs"]["steps"] if step.get("id") == "test")
    pinrace = tmp_path / "pinrace/bin/pinrace"
    pinrace.parent.mkdir(parents=True)
    pinrace.write_text(f"#!/bin/sh\n[ $1 = report ] || exit {code}\n{report}\n")
    pinrace.chmod(0o755)
    (tmp_path / "runs/latest").mkdir(parents=True)
    places = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary", "PINRACE_RUNS": "runs"}
    env = {name: str(tmp_path / place) for name, place in places.items()}
    env |= {"RUNNER_TEMP": str(tmp_path), "PATH": os.environ["PATH"]}
    env |= {"TREE": "v7.3", "SERIES": "none", "ARGUMENTS": "--abi i386"}
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    assert subprocess.run(argv, env=env, check=False).returncode == code
    assert f"exit-code={code}" in (tmp_path / "output").read_text()
    lines = (tmp_path / "summary").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("~~~text", "~~~")


@pytest.mark.parametrize("path", sorted(CI.iterdir()), ids=lambda path: path.name)
def test_it_names_what_a_night_leaves(path: Path) -> None:
    text = path.read_text()
    named = set(re.findall(r"(?:latest|\{LATEST\})/([\w.]+\.\w+)", text))
    assert named
    assert named <= LEAVES


def test_the_buildbot_file_is_python_that_knows_each_exit_code() -> None:
    tree = ast.parse((CI / "buildbot.cfg").read_text())
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RESULTS"
    )
    assert isinstance(table, ast.Dict)
    assert [key.value for key in table.keys if isinstance(key, ast.Constant)] == [0, 1, 3, 4, 130]


def test_the_jenkinsfile_is_balanced() -> None:
    text = re.sub(r"//.*|'[^']*'|\"[^\"]*\"", "", (CI / "Jenkinsfile").read_text())
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0


def _changes(number: int, kind: Kind) -> list[Change]:
    said = Said(1, Verdict.FAIL, "run", "why", "7.3", "k", "r")
    spot = Spot("debian:7.3", "s", "x86_64", "plain", "i386", "smoke")
    return [Change(spot, kind, said, f"note {n}") for n in range(number)]


def test_annotations_stay_within_what_github_shows() -> None:
    some = _changes(10, Kind.NEW_FAILURE) + _changes(3, Kind.FLAKY)
    assert len(github.commands(some)) == 13
    many = _changes(40, Kind.NEW_FAILURE) + _changes(3, Kind.FLAKY)
    lines = github.commands(many)
    assert [line.split(" ")[0] for line in lines] == ["::error"] * 10 + ["::warning"] * 3
    assert "31 more" in lines[9]


def test_a_summary_stays_within_what_a_step_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert github.fit("short\n") == "short\n"
    place = tmp_path / "summary"
    place.write_text("had\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    github.tell([], "| ä row |\n" * 200_000)
    text = place.read_bytes().decode()
    assert len(text.encode()) <= github.SUMMARY
    assert "in the artefacts" in text
    assert "| ä row |\n\nMore" in text or "| ä row |\n\n\nMore" in text
