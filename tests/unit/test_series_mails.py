# SPDX-License-Identifier: GPL-2.0-or-later
"""The series that is judged is the series that was sent: kinds of mails."""

from __future__ import annotations

import base64
import gzip
import lzma
import os
import quopri
from collections.abc import Callable
from pathlib import Path

import pytest
from mails_common import STAT, changed, cover, diff, folder_of, load_box, mail, three
from trees_common import kernel_folder, no_say, tarball

from pinrace.errors import BuildError, UserError
from pinrace.series import box, letters, load
from pinrace.series.files import touched
from pinrace.trees.fetch import resolve
from pinrace.trees.git import show_file
from pinrace.values import Tree

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = tarball(kernel_folder(tmp_path / "linux"), tmp_path / "l.tar")
    return resolve(str(made), say=no_say)


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("[PATCH RFC net-next v3 02/10] a", (3, 2, 10, False)),
        ("[PATCH v6.1 1/3] a", (1, 1, 3, False)),
        ("[PATCH v6.1.y v2 1/3] a", (2, 1, 3, False)),
        ("[PATCH 5.15 1/2] a", (1, 1, 2, False)),
        ("[PATCH v6,19/24] a", (6, 19, 24, False)),
        ("[v3,2/5] a", (3, 2, 5, False)),
        ("[PATCHv2 1/2] a", (2, 1, 2, False)),
        ("[PATCH][v2] a", (2, None, None, False)),
        ("[RFC PATCH] [media] v4 a", (1, None, None, False)),
        ("[PATCH 1 of 3] a", (1, 1, 3, False)),
        ("[linux-foo] [PATCH v2 1/3] a", (2, 1, 3, False)),
        ("Re: [PATCH v2 1/3] a", (2, 1, 3, True)),
        ("AW: Re: [PATCH v2 1/3] a", (2, 1, 3, True)),
        ("[PATCH v99999999999999999999 1/1] a", (1, 1, 1, False)),
        ("[PATCH v1->v2 1/3] a", (2, 1, 3, False)),
        ("[PATCH 7/3] a", (1, 7, 3, False)),
        ("a [v2 1/3]", (1, None, None, False)),
        ("", (1, None, None, False)),
    ],
)
def test_what_a_subject_says(
    subject: str, wanted: tuple[int, int | None, int | None, bool]
) -> None:
    place = letters.place_of(subject)
    assert (place.version, place.number, place.total, place.reply) == wanted


@pytest.mark.parametrize(
    "tag",
    ["PATCH", "PATCH v6.1", "PATCH v6,", "PATCH 5.15", "PATCH RFC net-next v3", "PATCHv2", "v4,"],
)
def test_any_tag_with_a_cover_letter(tree: Tree, tmp_path: Path, tag: str) -> None:
    found = load_box(tmp_path, cover(f"[{tag} 0/3]") + "".join(reversed(three(tag))))
    assert (found.count, changed(tree, found)) == ("3 patches", [10, 20, 30])


@pytest.mark.parametrize(
    ("keep", "why"),
    [
        ((0, 2), "2/3 is missing in a.mbox"),
        ((0, 1), "3/3 is missing in a.mbox"),
        ((1, 2), "1/3 is missing in a.mbox"),
        ((1,), "1/3, 3/3 are missing in a.mbox"),
    ],
)
def test_a_patch_is_missing(tmp_path: Path, keep: tuple[int, ...], why: str) -> None:
    mails = three()
    with pytest.raises(UserError, match=why):
        load_box(tmp_path, "".join(mails[n] for n in keep))
    with pytest.raises(UserError, match=why):
        load_box(tmp_path, cover("[PATCH 0/3]") + "".join(mails[n] for n in keep))


def test_a_cover_letter_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the cover letter of 3 patches, and none of the patches"):
        load_box(tmp_path, cover("[PATCH 0/3]"))
    with pytest.raises(UserError, match="cover letter and no patch"):
        load.load_series(folder_of(tmp_path / "f", {"0000-cover-letter.patch": cover("[0/3]")}))
    with pytest.raises(UserError, match="series of 3 and 4 patches"):
        load_box(tmp_path, cover("[PATCH 0/4]") + "".join(three()))


def test_a_patch_is_there_twice(tree: Tree, tmp_path: Path) -> None:
    mails = three()
    found = load_box(tmp_path, "".join([*mails, mails[1]]))
    assert changed(tree, found) == [10, 20, 30]
    other = mail("[PATCH 2/3]", 20, word="otherwise")
    with pytest.raises(UserError, match="differ and are both patch 2"):
        load_box(tmp_path, "".join([*mails, other]))


def test_a_patch_behind_the_last_one(tmp_path: Path) -> None:
    more = [*three(), mail("[PATCH 4/3]", 35)]
    with pytest.raises(UserError, match=r"more patches than the series has: '\[PATCH 4/3\]"):
        load_box(tmp_path, "".join(more))
    place = folder_of(tmp_path / "f", {f"{n}.patch": text for n, text in enumerate(more)})
    with pytest.raises(UserError, match=r"more patches than the series has: 3\.patch"):
        load.load_series(place)


def test_several_versions_and_series(tree: Tree, tmp_path: Path) -> None:
    newer = [mail(f"[PATCH v2 {n}/2]", n * 10, word="newer") for n in (1, 2)]
    said: list[str] = []
    (tmp_path / "b.mbox").write_text("".join([*newer, *three()]))
    found = load.load(str(tmp_path / "b.mbox"), say=said.append)
    assert found
    assert changed(tree, found) == [10, 20]
    assert any("v2 is taken, and v1 left out" in line for line in said)
    stranger = {"sender": "Bob <bob@example.net>", "answers": "z@example.net", "title": "other"}
    theirs = "".join(mail(f"[PATCH v2 {n}/2]", n * 10, **stranger) for n in (1, 2))
    with pytest.raises(UserError, match="more than one series"):
        load_box(tmp_path, "".join(three()) + theirs)
    same = "".join(mail(f"[PATCH {n}/3]", n * 10, **stranger) for n in (1, 2, 3))
    with pytest.raises(UserError, match="differ and are both patch 1"):
        load_box(tmp_path, "".join(three()) + same)
    with pytest.raises(UserError, match="more than one series"):
        load_box(tmp_path, "".join(three()) + mail("[PATCH]", 35, **stranger))


def test_a_reroll_of_one_patch(tree: Tree, tmp_path: Path) -> None:
    mails = three()
    again = mail("[PATCH v2 2/3]", 20, word="again", answers="[PATCH_2_3]-20-changed@example.org")
    said: list[str] = []
    (tmp_path / "b.mbox").write_text("".join([*mails, again]))
    found = load.load(str(tmp_path / "b.mbox"), say=said.append)
    assert found
    assert changed(tree, found) == [10, 20, 30]
    assert "again_20" in found.patches[1].read_text()
    assert found.name.endswith("-v2")
    assert any("reroll of a part" in line and "2 (v2)" in line for line in said)
    lost = mail("[PATCH v2 2/3]", 20, word="again", answers="nobody@example.org")
    with pytest.raises(UserError, match="1/3, 3/3 are missing"):
        load_box(tmp_path, "".join([*mails, lost]))


def test_replies_are_left_out(tree: Tree, tmp_path: Path) -> None:
    reply = mail("Re: [PATCH 2/3]", 20, word="rather")
    found = load_box(tmp_path, "".join([*three(), reply]))
    assert "rather" not in "".join(p.read_text() for p in found.patches)
    assert changed(tree, found) == [10, 20, 30]
    with pytest.raises(UserError, match="diffs in replies only"):
        load_box(tmp_path, reply)


def test_below_scissors(tree: Tree, tmp_path: Path) -> None:
    below = f"Why not?\n\n-- >8 --\nSubject: [PATCH] give it\n\nBetter.\n---\n{STAT}\n{diff(20)}"
    found = load_box(tmp_path, mail("Re: a question about", 20, body=below))
    assert load.subjects(found) == ("[PATCH] give it",)
    assert changed(tree, found) == [20]


def encoded(how: Callable[[bytes], bytes], name: str, crlf: bool) -> str:
    """The three mails with their texts encoded."""
    found = []
    for text in three():
        head, _, body = text.partition("\n\n")
        raw = body.encode().replace(b"\n", b"\r\n") if crlf else body.encode()
        kind = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {name}\n"
        found.append(f"{head}\n{kind}\n{how(raw).decode()}\n\n")
    return "".join(found)


def quoted(raw: bytes) -> bytes:
    """Every CR as quoted, as some servers do."""
    lines = quopri.encodestring(raw.replace(b"\r\n", b"\n")).splitlines()
    return b"\n".join(line + (b"=0D" if b"\r" in raw else b"") for line in lines)


@pytest.mark.parametrize("crlf", [False, True])
@pytest.mark.parametrize("name", ["base64", "quoted-printable"])
def test_encoded_texts(tree: Tree, tmp_path: Path, name: str, crlf: bool) -> None:
    how = base64.encodebytes if name == "base64" else quoted
    found = load_box(tmp_path, encoded(how, name, crlf))
    assert changed(tree, found) == [10, 20, 30]
    assert touched(found) == {"kernel/fork.c"}  # who reads the files sees the diff


@pytest.mark.parametrize(
    "pack",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: b"\xef\xbb\xbf" + raw,
        gzip.compress,
        lzma.compress,
        lambda raw: raw.replace(b"Message-Id", b"X-Was"),
        lambda raw: raw.replace(b"It is better.", b"From here on it is better.\n>From there, too."),
        lambda raw: raw.replace(b"It is better.", b"As was said:\n---\nwhatever"),
        lambda raw: raw.replace(b"change line", b"=?x-unknown?q?ch=FCnge?= line"),
        lambda raw: raw.replace(b"change line", b"ch\xfcnge line"),
        lambda raw: raw.replace(b"Date:", b"Content-Type: multipart/signed; boundary=gone\nDate:"),
        lambda raw: raw.replace(b"Date:", b"Content-Type: text/plain; charset=x\0y\nDate:"),
        lambda raw: raw.replace(b"17 00:00:00 2001", b"17 00:00:00 +0000 1970"),
        lambda raw: raw.replace(b"-- \n2.39.2\n", b"---\nbase-commit: 1234567\n"),
    ],
)
def test_odd_boxes(tree: Tree, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    found = load_box(tmp_path, pack("".join(three()).encode()))
    assert (found.count, changed(tree, found)) == ("3 patches", [10, 20, 30])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("".join(three()).encode("utf-16"), "is UTF-16"),
        (b"\x28\xb5\x2f\xfd1234", "compressed by zstd"),
        (b"PK\x03\x04....", "is a zip archive"),
        (b"", "no mailed patch"),
        (gzip.compress(b"x" * 5000, mtime=0)[:-9], "damaged or cut short"),
        (b"hello\n", "no mailed patch"),
        (diff(20).encode(), "no mailed patch"),
    ],
)
def test_what_is_no_mailbox(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(UserError, match=why):
        load_box(tmp_path, content)


def test_what_is_too_big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "BOX_LIMIT", 1 << 20)
    with pytest.raises(UserError, match="holds more than 1 MiB"):
        load_box(tmp_path, gzip.compress(b"x" * (2 << 20)))
    with pytest.raises(UserError, match="holds more than 1 MiB"):
        load_box(tmp_path, b"x" * (2 << 20))
    monkeypatch.setattr(box, "MAIL_LIMIT", 100)
    with pytest.raises(UserError, match="more than the 0 that a patch may have"):
        load_box(tmp_path, "".join(three()))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is no regular file"):
        load.load(str(tmp_path / "pipe"), say=no_say)
    with pytest.raises(UserError, match="is no regular file"):
        load.load("/dev/null", say=no_say)


@pytest.mark.parametrize("quote", [diff(15), diff(15).split("\n", 1)[1]])
def test_a_diff_in_the_message(tree: Tree, tmp_path: Path, quote: str) -> None:
    body = f"As in\n\n{quote}\nit goes.\n---\n{STAT}\n{diff(20)}"
    with pytest.raises(UserError, match="has a diff in its message"):
        load_box(tmp_path, mail("[PATCH]", 20, body=body))
    indented = body.replace(quote, "".join(f"  {line}\n" for line in quote.splitlines()))
    assert changed(tree, load_box(tmp_path, mail("[PATCH]", 20, body=indented))) == [20]


def test_a_diff_that_is_not_what_the_mail_says(tmp_path: Path) -> None:
    more = f"Better.\n---\nv2: not like\n{diff(15)}\n{STAT}\n{diff(20)}"
    lost = f"Better.\n---\n{STAT.replace('1 file', '2 files')}\n{diff(20)}"
    for body in (lost, f"Better.\n---\n{STAT}\n{diff(20)}{diff(5, file='kernel/other.c')}"):
        with pytest.raises(UserError, match=r"says that it changes .* and its diff has"):
            load_box(tmp_path, mail("[PATCH]", 20, body=body))
    with pytest.raises(UserError, match="has a diff in its message"):
        load_box(tmp_path, mail("[PATCH]", 20, body=more))
    said: list[str] = []
    edited = STAT.replace("1 insertion(+)", "2 insertions(+)")
    (tmp_path / "e.mbox").write_text(mail("[PATCH]", 20, body=f"A.\n---\n{edited}\n{diff(20)}"))
    assert load.load(str(tmp_path / "e.mbox"), say=said.append)
    assert any("edited by hand" in line for line in said)


@pytest.mark.parametrize("crlf", [False, True])
def test_flowed_text(tree: Tree, tmp_path: Path, crlf: bool) -> None:
    head, _, body = mail("[PATCH]", 20).partition("\n\n")
    stuffed = "\n".join(f" {line}" if line[:1] in " >" else line for line in body.split("\n"))
    stuffed = stuffed.replace("int changed_20;", "int \nchanged_20;").replace(" --", "--")
    kind = "Content-Type: text/plain; charset=utf-8; format=flowed"
    text = f"{head}\n{kind}\n\n{stuffed}".encode()
    found = load_box(tmp_path, text.replace(b"\n", b"\r\n") if crlf else text)
    assert changed(tree, found) == [20]


def test_html_and_attached_mails(tmp_path: Path) -> None:
    html = mail("[PATCH]", 20, headers="Content-Type: text/html; charset=utf-8\n")
    with pytest.raises(UserError, match="as HTML"):
        load_box(tmp_path, html)
    inner = mail("[PATCH]", 20).split("\n", 1)[1]
    body = f"--b\nContent-Type: message/rfc822\n\n{inner}\n--b--\n"
    outer = mail("[PATCH]", 20, headers="Content-Type: multipart/mixed; boundary=b\n", body=body)
    with pytest.raises(UserError, match="has a mail attached"):
        load_box(tmp_path, outer)


def test_a_file_with_crlf_of_its_own(tmp_path: Path) -> None:
    place = kernel_folder(tmp_path / "linux")
    (place / "kernel/dos.h").write_bytes(b"int a;\r\nint b;\r\nint c;\r\n")
    tree = resolve(str(place), say=no_say)
    change = (
        "diff --git a/kernel/dos.h b/kernel/dos.h\n--- a/kernel/dos.h\n+++ b/kernel/dos.h\n"
        "@@ -1,3 +1,3 @@\n int a;\r\n-int b;\r\n+int changed;\r\n int c;\r\n"
    )
    plain = mail("[PATCH]", 20, body=f"Better.\n---\n\n{change}")
    head, _, body = plain.partition("\n\n")
    packed = base64.encodebytes(body.encode()).decode()
    for text in (plain, f"{head}\nContent-Transfer-Encoding: base64\n\n{packed}\n"):
        patched = load.apply(tree, load_box(tmp_path, text), say=no_say)
        assert "int changed;" in show_file(patched.commit, "kernel/dos.h")


def test_git_reads_the_same(tree: Tree, tmp_path: Path) -> None:
    """A file that changed since it was read is not applied."""
    found = load_box(tmp_path, mail("[PATCH]", 20), "one.patch")
    found.patches[0].write_text(mail("[PATCH]", 20) + mail("[PATCH]", 10))
    with pytest.raises(UserError, match="git reads 2 mails in the 1 patch"):
        load.apply(tree, found, say=no_say)


def test_what_a_series_builds_on_is_said(tree: Tree, tmp_path: Path) -> None:
    trailer = f"\nbase-commit: {'ab' * 20}\nprerequisite-patch-id: {'cd' * 20}\n"
    body = f"Better.\n---\n{STAT}\n{diff(20).replace('line_20', 'nowhere')}{trailer}"
    with pytest.raises(BuildError, match=r"made on commit abababababab\n.*1 other patch"):
        load.apply(tree, load_box(tmp_path, mail("[PATCH]", 20, body=body)), say=no_say)
