# SPDX-License-Identifier: GPL-2.0-or-later
"""Series from mailing lists: saved threads, and an archive on this host, through the real b4."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from trees_common import SECCOMP, git, kernel_folder, no_say, tarball
from web_site import Site, Status, serve

from pinrace import net
from pinrace.errors import InfrastructureError, UserError
from pinrace.runs.journal import tree_facts
from pinrace.series import lists, load
from pinrace.trees.fetch import resolve
from pinrace.trees.git import show_file
from pinrace.values import Series

COVER = "20261120-pin-v{version}-0-abc@example.org"


@pytest.fixture(autouse=True)
def home(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anybody's configuration or keys."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home/data"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home/gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def messages(folder: Path, version: int) -> list[bytes]:
    """The mails of one version of a series of two: the cover letter and the patches."""
    work = kernel_folder(folder / f"work{version}")
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "base")
    source = work / "kernel/fork.c"
    source.write_text(SECCOMP.replace("line_5;", f"five_v{version};"))
    git(work, "commit", "-qam", "seccomp: rename one\n\nIt is better so.")
    (work / "kernel/new.c").write_text(f"int version_{version};\n")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "seccomp: add a café")
    out = folder / f"v{version}"
    flags = ("--cover-letter", "--thread", f"-v{version}", "--zero-commit")
    git(work, "format-patch", "-q", "-2", "-o", str(out), *flags)
    texts = []
    for path in sorted(out.iterdir()):
        text = path.read_text().replace("*** SUBJECT HERE ***", "seccomp: pin two")
        text = text.replace("*** BLURB HERE ***", "Please take them.")
        texts.append(re.sub(r"cover\.[^>]*?@example\.org", COVER.format(version=version), text))
    return [text.encode() for text in texts]


def reply(version: int) -> bytes:
    cover = COVER.format(version=version)
    return (
        "From mboxrd@z Thu Jan  1 00:00:00 1970\nFrom: Bob <bob@example.org>\n"
        "Date: Tue, 24 Nov 2026 05:00:00 +0000\n"
        f"Subject: Re: [PATCH v{version} 0/2] seccomp: pin two\n"
        f"Message-ID: <reply{version}@example.org>\nIn-Reply-To: <{cover}>\n"
        f"References: <{cover}>\n\n> diff\nReviewed-by: Bob <bob@example.org>\n"
    ).encode()


@pytest.fixture
def thread(tmp_path: Path) -> bytes:
    """Two versions in one thread, in disorder, with what people answered."""
    first, second = messages(tmp_path, 1), messages(tmp_path, 2)
    # v2 was sent as an answer to v1, as some do.
    link = f"In-Reply-To: <{COVER.format(version=1)}>\nFrom:".encode()
    second[0] = second[0].replace(b"From:", link, 1)
    return b"\n".join([second[2], first[0], reply(1), *first[1:], second[0], reply(2), second[1]])


@pytest.fixture
def archive(thread: bytes, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """What lore.kernel.org would serve, where b4's configuration has it."""
    monkeypatch.setenv(net.PLAIN_HTTP, "1")
    monkeypatch.setattr(net, "BACKOFF", 0)
    with serve() as site:
        (home / "gitconfig").write_text(f'[b4]\n\tmidmask = "{site.url}/all/%s"\n')
        for version in (1, 2):
            name = COVER.format(version=version).replace("@", "%40")
            site.files[f"/all/{name}/t.mbox.gz"] = gzip.compress(thread)
        yield site


def bodies(found: Series) -> str:
    return "".join(path.read_text() for path in found.patches)


def test_what_names_a_message() -> None:
    for text in ("<a.b-1@c.d>", "a.b-1@c.d", "https://lore.kernel.org/all/a.b-1%40c.d/T/#u"):
        assert lists.message_id(text) == "a.b-1@c.d"
        assert lists.is_message(text)
    assert not lists.is_message("kernel/pin-args")
    assert lists.message_id("a.b-1%40c.d") == "a.b-1@c.d"
    assert not lists.is_message("-mlocal@mbx")  # it would be an option of some tool
    assert lists.message_id("https://h/x/-mlocal@mbx/") is None
    assert lists.message_id("https://[h/a.b-1@c.d/") is None
    with pytest.raises(UserError, match="has no message id"):
        lists.by_message("https://lore.kernel.org/all/", say=no_say)


def test_a_saved_thread_gives_its_latest_version(thread: bytes, tmp_path: Path) -> None:
    tree = resolve(str(tarball(kernel_folder(tmp_path / "linux"), tmp_path / "l.tar")), say=no_say)
    for name, content in (("t.mbox", thread), ("t.mbox.gz", gzip.compress(thread))):
        (tmp_path / name).write_bytes(content)
        found = load.load(str(tmp_path / name), say=no_say)
        assert found.name == "seccomp-rename-one-v2"
        assert [p.name for p in found.patches] == [
            "0001-seccomp-rename-one.patch",
            "0002-seccomp-add-a-caf.patch",
        ]
        assert "five_v2" in bodies(found)
        assert "Reviewed-by" not in bodies(found)  # as they were sent
        assert "offline" in found.attestation
    patched = load.apply(tree, found, say=no_say)
    assert show_file(patched.commit, "kernel/new.c") == "int version_2;\n"
    facts = tree_facts(patched)
    assert (facts["series_origin"], facts["series_attestation"]) == (
        str(tmp_path / "t.mbox.gz"),
        "no signature that can be checked offline",
    )


def test_a_series_in_order_is_taken_as_it_is(tmp_path: Path) -> None:
    mails = messages(tmp_path, 1)
    (tmp_path / "plain.mbox").write_bytes(b"\n".join(mails[1:]))
    found = load.load(str(tmp_path / "plain.mbox"), say=no_say)
    assert (found.name, found.count) == ("plain", "2 patches")  # a file each
    assert found == load.load_series(tmp_path / "plain.mbox")
    (tmp_path / "disorder.mbox").write_bytes(b"\n".join([mails[2], mails[1]]))
    assert len(load.load(str(tmp_path / "disorder.mbox"), say=no_say).patches) == 2


def test_a_series_that_is_not_whole(tmp_path: Path) -> None:
    mails = messages(tmp_path, 1)
    (tmp_path / "half.mbox").write_bytes(b"\n".join([mails[0], mails[2]]))
    with pytest.raises(UserError, match=r"1/2 is missing in half\.mbox"):
        load.load(str(tmp_path / "half.mbox"), say=no_say)
    (tmp_path / "talk.mbox").write_bytes(reply(1))
    with pytest.raises(UserError, match="holds no diff"):
        load.load(str(tmp_path / "talk.mbox"), say=no_say)


@pytest.mark.parametrize("version", [1, 2])
def test_a_message_of_an_archive_gives_its_own_version(archive: Site, version: int) -> None:
    name = COVER.format(version=version)
    said: list[str] = []
    found = load.load(name, say=said.append)
    assert f"five_v{version}" in bodies(found)
    assert found.origin == f"{archive.url}/all/{name.replace('@', '%40')}/"
    assert found.attestation == f"not signed, from {archive.url.removeprefix('http://')}"
    assert found.origin in said[-2]
    assert "not signed" in said[-1]
    archive.files.clear()
    archive.seen.clear()
    assert load.load(f"<{name}>", say=no_say) == found
    assert archive.seen == []  # a message id is the same for ever


def test_a_url_names_its_archive(archive: Site, home: Path) -> None:
    (home / "gitconfig").unlink()
    url = f"{archive.url}/all/{COVER.format(version=2)}/T/#u"
    assert "five_v2" in bodies(load.load(url, say=no_say))


def test_an_archive_without_it(archive: Site) -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+ has no message nobody@example\.org"):
        load.load("nobody@example.org", say=no_say)
    name = COVER.format(version=2)
    path = f"/all/{name.replace('@', '%40')}/t.mbox.gz"
    archive.plan(path, *[Status(503)] * 50)
    with pytest.raises(InfrastructureError, match="cannot get the thread"):
        load.load(name, say=no_say)
    archive.plan(path)
    assert load.load(name, say=no_say).patches


@pytest.mark.parametrize("how", ["good", "changed", "unknown"])
def test_attestation_is_reported_and_not_required(tmp_path: Path, home: Path, how: str) -> None:
    patatt = [sys.executable, "-c", "from patatt import command; raise SystemExit(command())"]
    (home / "gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.org\n")
    subprocess.run([*patatt, "genkey", "-n", "k"], check=True, capture_output=True, cwd=tmp_path)
    ring = home / ("data/patatt/public" if how != "unknown" else "nothing")
    with (home / "gitconfig").open("a") as config:
        config.write(f"[patatt]\n\tsigningkey = ed25519:k\n\tselector = k\n\tkeyringsrc = {ring}\n")
    mails = messages(tmp_path, 1)
    for at, mail in enumerate(mails):
        done = subprocess.run(
            [*patatt, "sign"], input=mail, capture_output=True, check=True, env=os.environ
        )
        mails[at] = done.stdout
    if how == "changed":
        mails[1] = mails[1].replace(b"+int five_v1;", b"+int evil_v1;")
    (tmp_path / "t.mbox").write_bytes(b"\n".join(mails))
    found = load.load(str(tmp_path / "t.mbox"), say=no_say)
    assert len(found.patches) == 2
    wanted = {
        "good": r"Signed: ed25519/ann@example\.org",
        "changed": r"BADSIG: ed25519/ann@example\.org.*not the same on every patch",
        "unknown": r"No key: ed25519/ann@example\.org",
    }
    assert re.search(wanted[how], found.attestation), found.attestation
