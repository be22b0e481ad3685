# SPDX-License-Identifier: GPL-2.0-or-later
"""The `pinrace` command: one parser, which the nox sessions share."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import shtab

from pinrace import __version__, ui
from pinrace.errors import Exit, PinraceError

# Subcommand -> what it is for.  The module pinrace.cli.<name> has add_arguments() and run().
COMMANDS = {
    "doctor": "check the host: tools, QEMU, accelerators, disk; say what is missing",
    "fetch": "take a kernel tree into the cache, verified",
    "series": "apply, edit or export a patch series",
    "build": "build kernels and guest images",
    "boot": "boot each kernel once and say how long it took",
    "test": "run the suites on every arch and ABI, and judge them",
    "torture": "race every system call that can be pinned, for as long as you like",
    "run": "run a matrix of trees, flavors and configurations; resumable",
    "nightly": "run a matrix every night and say what is new",
    "contract": "which statements of the contract a series keeps, on every ABI",
    "mutants": "break each promise of the series, and see which test sees it",
    "price": "instructions a system call, with the series and without",
    "hunt": "hold CPUs in windows of kernel functions, and see what that breaks",
    "determinism": "prove that runs repeat themselves on this host",
    "repro": "have the very same run again, from its token",
    "search": "look over many seeds for a run that fails",
    "searchbench": "measure how soon each way to look for races finds ten windows",
    "shell": "an interactive guest with the series in this terminal",
    "ssh": "log into a guest with the series, or run a command in it",
    "gdb": "debug a guest's kernel",
    "runs": "list earlier runs, or show one again",
    "report": "write a page of HTML about a run",
    "cache": "show what the cache holds, or prune it",
    "help": "explain a topic: exits, trees, verdicts",
}

log = logging.getLogger("pinrace")


def parser(only: str = "") -> argparse.ArgumentParser:
    """Return the parser; with `only`, the other commands have a name and no options.

    So `doctor` works where a library that another command needs is missing.
    """
    top = argparse.ArgumentParser(
        prog="pinrace",
        description="From a kernel tree and a patch series to a verdict per arch and ABI.",
        epilog="Exit codes: 0 pass, 1 the kernel failed, 2 usage, 3 build, 4 could not run.",
    )
    top.add_argument("--version", action="version", version=f"pinrace {__version__}")
    shtab.add_argument_to(top, "--completion", help="print completion for a shell")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="show the exact commands, ready to paste; twice: everything",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in COMMANDS.items():
        sub = commands.add_parser(name, parents=[shared], help=about, description=about)
        if only in ("", name):
            importlib.import_module(f"pinrace.cli.{name}").add_arguments(sub)
    return top


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that everything is put away."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (pinrace.errors.Exit)."""
    words = list(sys.argv[1:] if argv is None else argv)
    named = next((word for word in words if word in COMMANDS), "")
    args = parser(named).parse_args(words)
    args.words = words
    ui.set_up(args.verbose)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        module = importlib.import_module(f"pinrace.cli.{args.command}")
        return int(module.run(args))
    except PinraceError as error:
        ui.complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        ui.err.print("pinrace: interrupted; what was finished is kept", markup=False)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INFRA
    except Exception as error:
        log.debug("details", exc_info=True)
        ui.err.print(
            f"pinrace: a fault of pinrace itself: {type(error).__name__}: {error}\n"
            "  next  run the same command with -vv and report what it prints",
            markup=False,
        )
        return Exit.INFRA


if __name__ == "__main__":
    sys.exit(main())
