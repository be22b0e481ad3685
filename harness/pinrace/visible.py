# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that a guest, a mail, a tree or a file's name brought, made fit to be seen.

Nothing in it can hide, reorder or overprint what stands beside it, drive a terminal, or command a
CI system: what is not a visible character is shown by its name or its number.  All that goes to a
terminal, a step summary, an annotation or a page passes through here.
"""

from __future__ import annotations

import re

_COMBINING = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"

# Controls but tab and line feed, formats (bidi, joiners, tags), line separators, surrogates,
# private use, noncharacters, blanks that are no blanks, and the third of combining marks.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U0010ffff]"
    f"|(?<=[{_COMBINING}]{{2}})[{_COMBINING}]"
)
# ISO 646's names of the controls
_NAMES = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR"),
    *("SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB"),
    *("ESC", "FS", "GS", "RS", "US"),
)


def visible(text: str) -> str:
    """Return the text with everything odd made visible: «ESC», «U+202E»."""
    return _ODD.sub(_shown, text)


def _shown(m: re.Match[str]) -> str:
    code = ord(m[0])
    return f"«{_NAMES[code]}»" if code < len(_NAMES) else f"«U+{code:04X}»"


# What CI systems take for commands: "::name" that begins a line is GitHub's.
# https://docs.gitlab.com/ci/jobs/job_logs/, Azure's "Logging commands", TeamCity's "Service
# messages", and actions/runner's ActionCommand.cs, which takes ##[ anywhere in a line.
_CI = re.compile(
    r"##(?=\[|vso\[|teamcity\[)|section_(?:start|end)(?=:)|^\s*::(?=[\w-])", re.MULTILINE
)
_MARKUP = re.compile(r"[\\`*\[\]<>#|&~$]|(?<!\w)_|_(?!\w)")
_LIST = re.compile(r"^(\s*\d*)([-+.)])(?=\s|$)")
# What a renderer links by itself, or notifies: addresses, hosts, people.
_LINKED = re.compile(r"(?<=:)(?=//)|(?<=@)(?=\w)|(?<=www)(?=\.)", re.IGNORECASE)
_BREAK = "\N{ZERO WIDTH SPACE}"


def plain(text: str) -> str:
    """Return text for a terminal or a log: visible, and no CI system's command."""
    return _CI.sub(lambda m: f"{m[0][:-1]}«»{m[0][-1]}", visible(text))


def one_line(text: str) -> str:
    """Return text for a place that is one line: as plain(), with its line ends shown too."""
    return plain(text).replace("\n", "«LF»").replace("\t", " ")


def markdown(text: str) -> str:
    """Return text as Markdown that shows just it: no markup, link, image, mention, HTML or line."""
    shown = _MARKUP.sub(lambda m: f"\\{m[0]}", one_line(text))
    return _LINKED.sub(_BREAK, _LIST.sub(r"\1\\\2", shown))
