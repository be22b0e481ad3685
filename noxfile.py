# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s build boot test -- ARGS`: the main job, and `nox` alone: that and all checks.

The sessions build, boot and test hand what follows `--` to the parser of the pinrace command.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.3.2"
nox.options.sessions = ["lint", "unit", "build", "boot", "test"]
nox.options.error_on_missing_interpreters = True

nox.options.default_venv_backend = "none"

REQUIREMENTS = "requirements.txt"
HOME = Path(".nox/pinrace")


def run(session: nox.Session, *argv: str) -> None:
    """Run a command of the one environment that all sessions share.

    It is made once and installed into again when what the project asks for has changed; an
    environment for each session would be the same packages five times.
    """
    files = b"".join(Path(name).read_bytes() for name in ("pyproject.toml", REQUIREMENTS))
    wanted = f"{hashlib.sha256(files).hexdigest()} {Path.cwd()}"
    stamp = HOME / "pinrace.stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        session.run(sys.executable, "-m", "venv", "--clear", str(HOME))
        pip = (str(HOME / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps")
        session.run(*pip, "--require-hashes", "-r", REQUIREMENTS)
        session.run(*pip, "--no-build-isolation", "-e", ".")
        stamp.write_text(wanted)
    session.run(str(HOME / "bin" / argv[0]), *argv[1:], env={"PATH": _path()})


def _path() -> str:
    """The environment's programs first, as its activation would have it."""
    return f"{(HOME / 'bin').absolute()}{os.pathsep}{os.environ['PATH']}"


def pinrace(session: nox.Session, *args: str) -> None:
    """Run the command, with the tools that it needs."""
    run(session, "pinrace", "doctor", "--quick", "--install")
    run(session, "pinrace", *args)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, layers, licences."""
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    run(session, "mypy")
    run(session, "lint-imports", "--no-logo")
    run(session, "reuse", "lint", "--quiet")


@nox.session
def unit(session: nox.Session) -> None:
    """Tests that need no guest."""
    run(session, "pinrace", "doctor", "--quick", "--install", "--tests")
    _pytest(session, "not network and not slow", "tests/unit")


@nox.session
def build(session: nox.Session) -> None:
    """Kernels and guest images."""
    pinrace(session, "build", *session.posargs)


@nox.session
def boot(session: nox.Session) -> None:
    """Each kernel, once."""
    pinrace(session, "boot", *session.posargs)


@nox.session
def test(session: nox.Session) -> None:
    """Every suite on every arch and ABI; without arguments, also the harness on real guests."""
    pinrace(session, "test", *session.posargs)
    if not session.posargs:
        # The command has just run the cells themselves.
        _pytest(session, "not cells and not network and not slow", "tests/guest")


@nox.session(default=False)
def slow(session: nox.Session) -> None:
    """The tests that take too long for each push; arguments go to pytest."""
    pinrace(session, "build")
    _pytest(session, "slow", "tests/unit", "tests/guest", *session.posargs)


def _pytest(session: nox.Session, which: str, *more: str) -> None:
    """Run the tests that an expression of marks keeps, two at once."""
    run(session, "pytest", "-n", "2", "--dist", "loadgroup", "-m", which, *more)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure: `-- search …` how races are found, `-- torture …` how soon a broken kernel is,
    `-- races …` how soon each way loses a race that has a folder, and a naive loop of two threads;
    else what the series costs, in instructions, by `pinrace price`.
    """
    what, *more = session.posargs or [""]
    if what == "search":
        pinrace(session, "searchbench", *more)
    elif what == "races":
        pinrace(session, "racebench", *more)
    elif what == "torture":
        pinrace(session, "torture", "--bench", *(more or ["--mutants", "--abi", "x86_64"]))
    else:
        pinrace(session, "price", *session.posargs)


@nox.session(default=False)
def torture(session: nox.Session) -> None:
    """Races for as long as you like; arguments go to `pinrace torture`."""
    pinrace(session, "torture", *session.posargs)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Break each promise in turn; arguments go to `pinrace mutants`."""
    pinrace(session, "mutants", *session.posargs)


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """The harness under injected trouble: killed, interrupted, no disk, guests that go wrong."""
    run(session, "pytest", "tests/faults", *session.posargs)


@nox.session(default=False)
def fleet(session: nox.Session) -> None:
    """Four hosts in network namespaces under faults, as root; arguments go to tests/fleet/prove.py.
    `-- simulate` makes docs/fleet-scale.md anew, `-- guest` has real cells run there and here.
    """
    first = session.posargs[0] if session.posargs else ""
    what = first if first in ("simulate", "guest") else "prove"
    run(session, "python", f"tests/fleet/{what}.py", *session.posargs[what == first :])


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """What the wheel is made of and needs, as CycloneDX: dist/pinrace.cdx.json."""
    run(session, "python", "tests/sbom.py", "dist/pinrace.cdx.json")
