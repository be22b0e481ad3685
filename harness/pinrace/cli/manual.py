# SPDX-License-Identifier: GPL-2.0-or-later
"""Manual pages and fish's completion, made from the parser: what it says, they say."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pinrace import __version__
from pinrace.errors import UserError

SECTION = 1

_WHOLE = re.compile(r"%(?!\()")


def subparsers(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Return the commands or the actions of a parser, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options and arguments that help shows, without help itself."""
    return [
        action
        for action in parser._actions
        if action.help is not argparse.SUPPRESS
        and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]


def about(action: argparse.Action) -> str:
    """Return the help of an option, with its default in it."""
    text = action.help or ""
    values = {**vars(action), "prog": "pinrace"}
    return " ".join((_WHOLE.sub("%%", text) % values if "%(" in text else text).split())


# ---- manual pages ----


def write(top: argparse.ArgumentParser, texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write pinrace.1 and a page for each command; return them.

    texts: topics of help, which are sections of pinrace.1.  Raises UserError when the folder cannot
    be written.
    """
    commands = subparsers(top)
    pages = {"pinrace": _top_page(top, commands, texts)}
    pages |= {f"pinrace-{name}": _page(name, parser) for name, parser in commands.items()}
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            written.append(folder / f"{name}.{SECTION}")
            written[-1].write_text(text)
    except OSError as exc:
        raise UserError(f"cannot write {folder}: {exc.strerror}", hint="name a folder") from exc
    return written


def escaped(text: str) -> str:
    """Return a text as roff takes it: no line is a request, no backslash an escape."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    ascii_only = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in plain)
    lines = ascii_only.split("\n")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in lines)


def _head(name: str, line: str) -> list[str]:
    return [
        f'.TH {name.upper()} {SECTION} "" "pinrace {__version__}" "pinrace"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(line)}",
    ]


def _top_page(
    top: argparse.ArgumentParser,
    commands: Mapping[str, argparse.ArgumentParser],
    texts: Mapping[str, str],
) -> str:
    lines = _head("pinrace", "prove that a kernel patch survives races")
    lines += [".SH SYNOPSIS", ".B pinrace", "\\fICOMMAND\\fR [\\fIOPTIONS\\fR]", ".SH COMMANDS"]
    for name, parser in commands.items():
        lines += [".TP", f"\\fBpinrace\\-{escaped(name)}\\fR(1)", escaped(parser.description or "")]
    lines += [".SH OPTIONS", *_options(options(top))]
    for topic, text in texts.items():
        lines += [f".SH {topic.upper()}", ".nf", escaped(text), ".fi"]
    return "\n".join(lines) + "\n"


def _page(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the page of a command, with its actions if it has any."""
    full = f"pinrace {name}"
    lines = _head(f"pinrace-{name}", parser.description or name)
    lines += [".SH SYNOPSIS", ".nf", *_usage(parser)]
    for action in subparsers(parser).values():
        lines += _usage(action)
    lines += [".fi", *_groups(parser, ".SH")]
    for name_of, inner in subparsers(parser).items():
        lines += [f'.SH "{escaped(full)} {escaped(name_of)}"', escaped(inner.description or "")]
        lines += _groups(inner, ".SS")
    if parser.epilog:
        _, _, examples = parser.epilog.partition("\n")
        lines += [".SH EXAMPLES", ".nf", escaped(examples), ".fi"]
    lines += [".SH SEE ALSO", ".BR pinrace (1)"]
    return "\n".join(lines) + "\n"


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    usage = parser.format_usage().removeprefix("usage: ").strip()
    return escaped(usage).split("\n")


def _groups(parser: argparse.ArgumentParser, heading: str) -> Iterator[str]:
    """Yield the options, under the headings that help has."""
    shown = options(parser)
    for group in parser._action_groups:
        mine = [action for action in group._group_actions if action in shown]
        if mine:
            yield f'{heading} "{escaped((group.title or "options").upper())}"'
            yield from _options(mine)


def _options(actions: Sequence[argparse.Action]) -> Iterator[str]:
    for action in actions:
        yield ".TP"
        yield _name(action)
        yield escaped(about(action)) or "\\&"


def _name(action: argparse.Action) -> str:
    """Return an option with its value, or an argument."""
    value = _value(action)
    if not action.option_strings:
        return f"\\fI{escaped(value)}\\fR"
    names = ", ".join(f"\\fB{escaped(name)}\\fR" for name in action.option_strings)
    return f"{names} \\fI{escaped(value)}\\fR" if action.nargs != 0 else names


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return action.dest.upper()


# ---- fish ----


def fish(top: argparse.ArgumentParser) -> str:
    """Return the completions of fish: commands, their actions, options and choices."""
    lines = ["# fish completion of pinrace", "complete -c pinrace -f"]
    commands = subparsers(top)
    lines += [_fish("__fish_use_subcommand", action) for action in options(top)]
    for name, parser in commands.items():
        said = _quoted(parser.description or "")
        lines.append(f"complete -c pinrace -n __fish_use_subcommand -a {name} -d {said}")
        seen = f'"__fish_seen_subcommand_from {name}"'
        lines += [_fish(seen, action) for action in options(parser)]
        for inner, its in subparsers(parser).items():
            said = _quoted(its.description or "")
            lines.append(f"complete -c pinrace -n {seen} -a {inner} -d {said}")
            both = f'"__fish_seen_subcommand_from {name}; and __fish_seen_subcommand_from {inner}"'
            lines += [_fish(both, action) for action in options(its)]
    return "\n".join(line for line in lines if line) + "\n"


def _fish(condition: str, action: argparse.Action) -> str:
    """Return the line of an option; an argument has one where its choices are known."""
    words = ["complete -c pinrace -n", condition]
    for name in action.option_strings:
        words.append(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}")
    if action.choices is not None:
        words.append(f"-xa {_quoted(' '.join(map(str, action.choices)))}")
    elif not action.option_strings:
        return ""
    elif action.nargs != 0:
        words.append("-rF" if action.type is Path else "-x")
    return " ".join([*words, f"-d {_quoted(about(action))}"])


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
