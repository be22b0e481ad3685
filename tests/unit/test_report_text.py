# SPDX-License-Identifier: GPL-2.0-or-later
"""Text from guests and mails: nothing in it hides, and none of it takes more than its share."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrace.report import console, text


def test_every_character_that_hides_is_shown() -> None:
    hiding = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if unicodedata.category(char) in hiding and char not in "\t\n":
            assert text.visible(char).startswith("«"), hex(code)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred", "«ESC»[31mred"),
        ("a\x00b", "a«NUL»b"),
        ("\x7f\x9b", "«U+007F»«U+009B»"),
        ("\u202egpj.exe", "«U+202E»gpj.exe"),
        ("tab\tand\nlines", "tab\tand\nlines"),
        ("é 你 🙂 ñ", "é 你 🙂 ñ"),
        ("e\u0301\u0302\u0303", "e\u0301\u0302«U+0303»"),
    ],
)
def test_visible(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown


def test_decode() -> None:
    assert text.decode(b"a\r\nb\r\r\nc\rd\n") == "a\nb\nc\rd\n"
    assert text.decode(b"\xff\xc0\x80 ok") == "\\xff\\xc0\\x80 ok"


ODD = st.text(st.sampled_from("ab<&\"'\x00\u202e\u0301\n é🙂")) | st.text()


@given(ODD)
def test_visible_twice_is_visible_once(raw: str) -> None:
    once = text.visible(raw)
    assert text.visible(once) == once
    once.encode()


@given(ODD, st.integers(40, 200))
def test_fit(raw: str, limit: int) -> None:
    shown = text.fit(raw, limit)
    assert text.size(shown) <= limit + len(" … (cut)") + 2
    whole = text.visible(raw)
    assert shown == whole or shown.endswith(" … (cut)")
    if text.size(whole) <= limit:
        assert shown == whole


def lines_of(it: console.Console) -> dict[int, str]:
    """Every line that is shown, by the number it is shown with."""
    found = {}
    for piece in it.pieces:
        whole = "".join(part.text for part in piece.parts)
        assert whole.endswith("\n")
        for number, line in enumerate(whole[:-1].split("\n"), piece.first):
            assert number not in found
            found[number] = line
    return found


def test_a_short_console_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"\r\none\r\ntwo\r\nthree")
    it = console.read(path, tmp_path, 1000, {2, 4, 9})
    assert it is not None
    assert (it.lines, it.skipped, it.path) == (4, 0, "console.log")
    assert lines_of(it) == {1: "", 2: "one", 3: "two", 4: "three"}
    assert [it.shows(n) for n in (1, 2, 4, 9)] == [False, True, True, False]


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("length", [1, 30, 5000])
def test_a_long_console_keeps_its_ends_and_their_numbers(
    tmp_path: Path, length: int, end: bytes
) -> None:
    path = tmp_path / "console.log"
    lines = [b"%05d " % n + b"<" * length for n in range(1, 3001)]
    path.write_bytes(b"\r\n".join(lines) + end)
    limit = 10_000
    it = console.read(path, tmp_path, limit, {1, 1500, 3000})
    assert it is not None
    assert it.lines == 3000
    shown = lines_of(it)
    assert len(shown) + it.skipped == 3000
    assert it.skipped > 0
    assert all(line.startswith(f"{number:05} ") for number, line in shown.items())
    assert {1, 3000} <= shown.keys()
    assert it.shows(3000)
    assert not it.shows(1500)
    assert sum(text.size(line) + 1 for line in shown.values()) <= limit


def test_consoles_that_are_none(tmp_path: Path) -> None:
    assert console.read(tmp_path / "console.log", tmp_path, 100, ()) is None
    (tmp_path / "console.log").write_bytes(b"")
    it = console.read(tmp_path / "console.log", tmp_path, 100, ())
    assert it is not None
    assert (it.lines, it.pieces) == (0, ())


@given(
    data=st.binary(max_size=600)
    | st.lists(st.sampled_from([b"a", b"\n", b"\r", b"<\n", b"\x00"])).map(b"".join),
    limit=st.integers(20, 300),
)
def test_any_console(tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int) -> None:
    folder = tmp_path_factory.mktemp("console")
    (folder / "console.log").write_bytes(data)
    it = console.read(folder / "console.log", folder, limit, range(50))
    assert it is not None
    shown = lines_of(it)
    assert len(shown) + it.skipped == it.lines
    assert it.lines == data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
