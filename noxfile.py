# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s build boot test -- ARGS`: the main job, and `nox` alone: that and all checks.

The sessions build, boot and test hand what follows `--` to the parser of the pinrace command.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import nox

nox.needs_version = ">=2024.3.2"
nox.options.sessions = ["lint", "unit", "build", "boot", "test"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

CONSTRAINTS = "constraints.txt"


def install(session: nox.Session, *extras: str) -> None:
    """Install the project and these extras, unless this environment has just them already."""
    what = f".[{','.join(extras)}]" if extras else "."
    files = b"".join(Path(name).read_bytes() for name in ("pyproject.toml", CONSTRAINTS))
    wanted = hashlib.sha256(files + what.encode()).hexdigest()
    stamp = Path(session.virtualenv.location) / "pinrace.stamp"
    if stamp.exists() and stamp.read_text() == f"{wanted} {Path.cwd()}":
        return
    session.install("--quiet", "-c", CONSTRAINTS, "-e", what)
    stamp.write_text(f"{wanted} {Path.cwd()}")


def pinrace(session: nox.Session, *args: str) -> None:
    """Run the command, with the tools that it needs."""
    install(session, "test")
    session.run("pinrace", "doctor", "--quick", "--install")
    session.run("pinrace", *args, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def unit(session: nox.Session) -> None:
    """Tests that need no guest."""
    install(session, "test")
    session.run("pinrace", "doctor", "--quick", "--install", "--tests")
    session.run("pytest", "-n", "2", "tests/unit")


@nox.session
def build(session: nox.Session) -> None:
    """Kernels and guest images."""
    pinrace(session, "build")


@nox.session
def boot(session: nox.Session) -> None:
    """Each kernel, once."""
    pinrace(session, "boot")


@nox.session
def test(session: nox.Session) -> None:
    """Every suite on every arch and ABI; without arguments, also the harness on real guests."""
    pinrace(session, "test")
    if not session.posargs:
        # The command has just run the cells themselves.
        argv = [
            "pytest",
            "-n",
            "2",
            "--dist",
            "loadgroup",
            "-m",
            "not cells and not network",
            "tests/guest",
        ]
        session.run(*argv)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """What the series costs, in instructions; arguments go to `pinrace price`."""
    pinrace(session, "price")


@nox.session(default=False)
def torture(session: nox.Session) -> None:
    """Races for as long as you like; arguments go to `pinrace torture`."""
    pinrace(session, "torture")


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Break each promise in turn; arguments go to `pinrace mutants`."""
    pinrace(session, "mutants")


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """The harness under injected trouble: killed, interrupted, no disk, guests that go wrong."""
    install(session, "test")
    session.run("pytest", "tests/faults", *session.posargs)
