# SPDX-License-Identifier: GPL-2.0-or-later
"""The `pinrace` command: one parser, which the nox sessions share."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from pinrace import __version__
from pinrace.cli import again
from pinrace.cli.commands import COMMANDS, EXAMPLES, GROUPS
from pinrace.errors import Exit, InfrastructureError, PinraceError

log = logging.getLogger("pinrace")

FISH = "fish"  # for which the library has nothing


class _Parser(argparse.ArgumentParser):
    """A parser without abbreviations of options, which proposes the nearest name."""

    def __init__(self, **kwargs: Any) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(**{"allow_abbrev": False, "formatter_class": raw, **kwargs})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in a line or two, and exit as a usage error."""
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n  next  {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        near = difflib.get_close_matches(str(value), names, n=1)
        say = f"; did you mean '{near[0]}'?" if near else ""
        what = "command" if action.dest == "command" else (action.dest or "choice")
        known = "" if near or what == "command" else f" (one of: {', '.join(names)})"
        raise argparse.ArgumentError(None, f"there is no {what} '{value}'{say}{known}")


class _Completion(argparse.Action):
    """Print a completion script and end; the library is loaded for this alone."""

    def __call__(self, _: argparse.ArgumentParser, *rest: Any) -> NoReturn:
        if rest[1] == FISH:
            from pinrace.cli import manual

            print(manual.fish(parser(listed=True)), end="")
            sys.exit(Exit.OK)
        import shtab

        print(shtab.complete(parser(listed=True), rest[1]))
        sys.exit(Exit.OK)


def _groups() -> str:
    """List the commands by group, a line each."""
    lines = []
    for group, commands in GROUPS.items():
        lines.append(f"\n{group}:")
        lines += [f"  {name:<12} {about}" for name, about in commands.items()]
    return "\n".join(lines)


def _epilog(command: str) -> str:
    """List the examples of a command."""
    lines = [f"  {line}\n      {what}" for line, what in EXAMPLES.get(command, ())]
    return "\n".join(["examples:", *lines]) if lines else ""


def parser(only: str = "", *, listed: bool = False) -> argparse.ArgumentParser:
    """Return the parser; with `only`, the other commands have a name and no options.

    So `doctor` works where a library that another command needs is missing.  listed: show each
    command as argparse does, which is what a completion is made from, and not by groups.
    """
    top = _Parser(
        prog="pinrace",
        usage="pinrace COMMAND [OPTIONS]",
        description="From a kernel tree and a patch series to a verdict per arch and ABI.\n"
        + _groups(),
        epilog="`pinrace COMMAND --help` explains one.\n"
        "Exit codes: 0 pass, 1 the kernel failed, 2 usage, 3 build, 4 could not run.",
    )
    top.add_argument("--version", action="version", version=f"pinrace {__version__}")
    shells = ("bash", "zsh", "fish", "tcsh")
    about = "print completion for a shell"
    top.add_argument("--completion", action=_Completion, choices=shells, help=about)
    shared = _Parser(add_help=False)
    everywhere = shared.add_argument_group("in every command")
    everywhere.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="show the exact commands, ready to paste; twice: everything",
    )
    everywhere.add_argument(
        "--runs",
        dest="runs_folder",
        type=Path,
        metavar="FOLDER",
        help="keep results below this folder (default: $PINRACE_RUNS, or runs)",
    )
    everywhere.add_argument(
        "--no-sandbox",
        action="store_true",
        help="build without a sandbox: a tree and a series then run as you (`pinrace help trust`)",
    )
    hidden = {} if listed else {"help": argparse.SUPPRESS}
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog="pinrace", **hidden
    )
    for name, about in COMMANDS.items():
        sub = commands.add_parser(
            name, parents=[shared], help=about, description=about, epilog=_epilog(name)
        )
        if only in ("", name):
            importlib.import_module(f"pinrace.cli.{name}").add_arguments(sub)
    return top


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that everything is put away."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (pinrace.errors.Exit)."""
    words = list(sys.argv[1:] if argv is None else argv)
    named = next((word for word in words if word in COMMANDS), "none")
    try:
        whole = parser(named)  # help names the defaults, which files say
    except PinraceError as error:
        from pinrace import ui

        ui.complain(error)
        return error.exit_code
    args = whole.parse_args(words)
    args.words = again.words(whole, args)
    if args.runs_folder:
        os.environ["PINRACE_RUNS"] = str(args.runs_folder)
    from pinrace import ui
    from pinrace.host import sandbox

    if args.no_sandbox:
        sandbox.switch_off()
    ui.set_up(args.verbose)
    signal.signal(signal.SIGTERM, _terminate)
    os.umask(os.umask(0o022) | 0o022)  # nobody else writes to what a cache or a run holds
    with ui.without_commands():
        return _run(args)


def _hosts(args: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """Have the fleet that was asked for, while the command lasts."""
    if not (getattr(args, "hosts", None) or getattr(args, "scheduler", None)):
        return contextlib.nullcontext()
    from pinrace.cli.fleet import chosen

    return chosen(args.hosts, args.scheduler, args.tls)


def _run(args: argparse.Namespace) -> int:
    """Run a command; whatever it raises becomes a sentence and an exit code."""
    from pinrace import ui

    try:
        module = importlib.import_module(f"pinrace.cli.{args.command}")
        with _hosts(args):
            code = int(module.run(args))
        sys.stdout.flush()
        return code
    except PinraceError as error:
        ui.complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        ui.warn("pinrace: interrupted; what was finished is kept")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INFRA
    except Exception as error:
        log.debug("details", exc_info=True)
        if isinstance(error, OSError) and error.errno in _OF_THE_HOST:
            ui.complain(_refused(error))
            return Exit.INFRA
        ui.warn(
            f"pinrace: a fault of pinrace itself: {type(error).__name__}: {error}\n"
            "  next  run the same command with -vv and report what it prints"
        )
        return Exit.INFRA


# What a host refuses, and what then helps.
_OF_THE_HOST = {
    errno.EACCES: "see to the permissions, or set PINRACE_CACHE and PINRACE_RUNS elsewhere",
    errno.EPERM: "see to the permissions, or set PINRACE_CACHE and PINRACE_RUNS elsewhere",
    errno.EROFS: "set PINRACE_CACHE and PINRACE_RUNS to folders that can be written",
    errno.ENOSPC: "make room on that disk; for the cache: pinrace cache --prune",
    errno.EDQUOT: "make room within your quota; for the cache: pinrace cache --prune",
    errno.EMFILE: "raise the limit on open files: ulimit -n",
    errno.ENFILE: "the host has too many files open",
    errno.ENOMEM: "give it more memory, or fewer guests at once: --guests 1",
    errno.EAGAIN: "raise the limit on processes: ulimit -u",
}


def _refused(error: OSError) -> InfrastructureError:
    """Return the error of a host that refuses something."""
    if error.filename is None:  # only what was open already has no name
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    where = f"{error.filename}: " if error.filename else "cannot write results or output: "
    said = error.strerror or str(error)
    return InfrastructureError(f"{where}{said}", hint=_OF_THE_HOST[error.errno or 0])


if __name__ == "__main__":
    sys.exit(main())
