# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up mails with patches, and what a series of them changes."""

from __future__ import annotations

from pathlib import Path

from trees_common import no_say

from pinrace.series import load
from pinrace.trees.git import show_file
from pinrace.values import Series, Tree

SENDER = "Ada Muster <ada@example.org>"
STAT = " kernel/fork.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n"


def diff(line: int, word: str = "changed", file: str = "kernel/fork.c") -> str:
    return (
        f"diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n"
        f"@@ -{line - 1},3 +{line - 1},3 @@\n int line_{line - 1};\n-int line_{line};\n"
        f"+int {word}_{line};\n int line_{line + 1};\n"
    )


def mail(
    tag: str,
    line: int,
    *,
    body: str = "",
    headers: str = "",
    sender: str = SENDER,
    word: str = "changed",
    title: str = "",
    answers: str = "cover@example.org",
) -> str:
    """One patch as git format-patch writes it, with made-up content."""
    title = title or f"change line {line}"
    identity = f"{tag}-{line}-{word}".replace(" ", "_").replace("/", "_")
    text = body or f"It is better.\n\nSigned-off-by: {SENDER}\n---\n{STAT}\n{diff(line, word)}"
    return (
        f"From {'0' * 39}1 Mon Sep 17 00:00:00 2001\nMessage-Id: <{identity}@example.org>\n"
        f"In-Reply-To: <{answers}>\nReferences: <{answers}>\nFrom: {sender}\n"
        f"Date: Mon, 30 Nov 2026 10:00:00 +0000\nSubject: {tag} {title}\n"
        f"{headers}\n{text}-- \n2.39.2\n\n"
    )


def cover(tag: str) -> str:
    return mail(tag, 0, body="About it.\n", title="seccomp: three changes", answers="x@y.example")


def three(tag: str = "PATCH", **options: str) -> list[str]:
    return [mail(f"[{tag} {n}/3]", n * 10, **options) for n in (1, 2, 3)]


def load_box(folder: Path, content: str | bytes, name: str = "a.mbox") -> Series:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    found = load.load(str(folder / name), say=no_say)
    assert found
    return found


def changed(tree: Tree, series: Series) -> list[int]:
    """Which lines of the file the applied series changed."""
    patched = load.apply(tree, series, say=no_say)
    text = show_file(patched.commit, "kernel/fork.c").splitlines()
    return [n for n, line in enumerate(text, 1) if line != f"int line_{n};"]


def folder_of(path: Path, files: dict[str, str]) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path
