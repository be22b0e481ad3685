# SPDX-License-Identifier: GPL-2.0-or-later
"""Downloads from a server that does everything wrong, one thing at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_site import Cut, OtherRange, Site, Stall, Status, Step, Trickle, serve

from pinrace import net
from pinrace.errors import InfrastructureError

pytestmark = pytest.mark.usefixtures("own_cache")
BODY = os.urandom(100_000)
PATH = "/pub/file.tar.xz"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(net, "BACKOFF", 0)
    with serve() as site:
        site.files[PATH] = BODY
        yield site


def fetch(site: Site, into: Path) -> list[str]:
    said: list[str] = []
    net.download(site.url + PATH, into, say=said.append)
    assert [p.name for p in into.parent.iterdir()] == [into.name]
    return said


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (Status(503), Status(502), Status(500)),
        (Status(429, (("Retry-After", "0"),)),),
        (Cut(0), Cut(30_000), Cut(10)),
        (Stall(40_000),),
        (Trickle(20_000, 0.02),),
        (Status(302, (("Location", "/elsewhere"),)),),
    ],
    ids=lambda steps: " ".join(type(s).__name__ for s in steps) or "good",
)
def test_it_comes_whole(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[Step, ...]
) -> None:
    if Stall in map(type, steps):
        monkeypatch.setattr(net, "TIMEOUT", (5.0, 0.5))
    site.files["/elsewhere"] = BODY
    site.plan(PATH, *steps)
    fetch(site, tmp_path / "d/file")
    assert (tmp_path / "d/file").read_bytes() == BODY


@pytest.mark.parametrize("dated", [False, True])
def test_a_cut_connection_is_resumed_where_it_broke(
    site: Site, tmp_path: Path, dated: bool
) -> None:
    site.dated = dated
    site.plan(PATH, Cut(60_000))
    said = fetch(site, tmp_path / "d/file")
    assert (tmp_path / "d/file").read_bytes() == BODY
    first, second = site.asked(PATH)
    assert "Range" not in first
    at = int(second["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < at <= 60_000
    assert second["If-Range"] == site.validator(PATH)[1]
    assert len(said) == 1


def test_another_run_goes_on_where_one_was_killed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(net, "TRIES", 1)
    site.plan(PATH, Cut(60_000), *[Cut(0)] * 9)
    with pytest.raises(InfrastructureError, match=r"cannot get .*file\.tar\.xz"):
        net.download(site.url + PATH, tmp_path / "d/file", say=print)
    assert not (tmp_path / "d/file").exists()
    assert 0 < (tmp_path / "d/file.part").stat().st_size <= 60_000
    site.plan(PATH)
    site.seen.clear()
    fetch(site, tmp_path / "d/file")
    assert (tmp_path / "d/file").read_bytes() == BODY
    assert "Range" in site.asked(PATH)[0]


def test_a_file_that_changed_meanwhile_is_fetched_anew(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(net, "TRIES", 1)
    site.plan(PATH, Cut(60_000), Cut(0))
    with pytest.raises(InfrastructureError):
        net.download(site.url + PATH, tmp_path / "d/file", say=print)
    other = os.urandom(90_000)
    site.files[PATH] = other
    fetch(site, tmp_path / "d/file")
    assert (tmp_path / "d/file").read_bytes() == other
    assert "If-Range" in site.asked(PATH)[-1]


def test_a_server_without_ranges(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.plan(PATH, Cut(60_000))
    fetch(site, tmp_path / "d/file")
    assert (tmp_path / "d/file").read_bytes() == BODY


@pytest.mark.parametrize("other", [OtherRange(7, 0), OtherRange(0, 7), OtherRange(7, 7)])
def test_a_range_that_was_not_asked_for(site: Site, tmp_path: Path, other: OtherRange) -> None:
    site.plan(PATH, Cut(60_000), other)
    fetch(site, tmp_path / "d/file")
    assert (tmp_path / "d/file").read_bytes() == BODY


def test_what_was_whole_already_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    """Killed between the last byte and the final name."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file.part").write_bytes(BODY)
    mark = {"url": site.url + PATH, "etag": site.validator(PATH)[1]}
    (tmp_path / "d/file.part.json").write_text(json.dumps(mark))
    fetch(site, tmp_path / "d/file")
    assert (tmp_path / "d/file").read_bytes() == BODY
    assert len(site.asked(PATH)) == 1


def test_what_is_not_there_is_told_from_trouble(site: Site, tmp_path: Path) -> None:
    with pytest.raises(net.NotThereError):
        net.download(site.url + "/nothing", tmp_path / "file", say=print)
    site.plan(PATH, Status(403))
    with pytest.raises(InfrastructureError, match="403") as caught:
        net.download(site.url + PATH, tmp_path / "file", say=print)
    assert not isinstance(caught.value, net.NotThereError)
    site.plan(PATH, *[Status(503)] * 20)
    with pytest.raises(InfrastructureError, match="503"):
        net.download(site.url + PATH, tmp_path / "file", say=print)
    with pytest.raises(InfrastructureError, match="cannot get http://127"):
        net.download("http://127.0.0.1:1/x", tmp_path / "file", say=print)
    assert not (tmp_path / "file").exists()


def test_a_document_that_did_not_change_is_not_sent_again(site: Site) -> None:
    site.files["/list"] = b"one"
    for dated in (False, True):
        site.dated = dated
        site.files["/list"] = b"one"
        assert [net.document(site.url + "/list") for _ in range(2)] == [b"one", b"one"]
        key = "If-Modified-Since" if dated else "If-None-Match"
        assert site.asked("/list")[-1][key] == site.validator("/list")[1]
        site.files["/list"] = b"two"
        assert net.document(site.url + "/list") == b"two"
    site.plan("/list", *[Status(503)] * 20)
    with pytest.raises(InfrastructureError, match="503"):  # and not the old copy
        net.document(site.url + "/list")


def test_a_damaged_note_is_no_harm(site: Site, own_cache: Path) -> None:
    site.files["/list"] = b"one"
    net.document(site.url + "/list")
    (note,) = (own_cache / "http").iterdir()
    note.write_text(note.read_text()[:-30])
    assert net.document(site.url + "/list") == b"one"
    assert "If-None-Match" not in site.asked("/list")[-1]


def test_a_redirect_that_gives_up_encryption(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    real = net.requests.Session.get

    def get(web: net.requests.Session, url: str, **options: object) -> net.requests.Response:
        return real(web, site.url + PATH, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(net.requests.Session, "get", get)  # https: cannot be served here
    with pytest.raises(InfrastructureError, match="not encrypted"):
        net.document("https://kernel.example/file")


def test_no_hop_gives_up_encryption() -> None:
    hop = net.requests.Response()
    hop.status_code, hop.url = 302, "https://mirror.example/a"
    with net.session() as web:
        for place in ("http://mirror.example/b", "ftp://mirror.example/b"):
            hop.headers["Location"] = place
            with pytest.raises(InfrastructureError, match="not encrypted"):
                web.get_redirect_target(hop)
        for place in ("https://other.example/b", "/b", "//other.example/b"):
            hop.headers["Location"] = place
            assert web.get_redirect_target(hop) == place


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:80/x", True),
        ("http://localhost", True),
        ("http://[::1]:8000/", True),
        ("https://localhost/", False),
        ("http://localhost.example/", False),
        ("http://127.0.0.1@a.example/", False),
        ("http://[::1", False),
        ("localhost", False),
    ],
)
def test_what_never_leaves_this_host(
    url: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert net.is_local(url) is local
    monkeypatch.setenv(net.PLAIN_HTTP, "1")
    assert net.is_encrypted(url) is (local or url.startswith("https:"))
    monkeypatch.delenv(net.PLAIN_HTTP)
    assert net.is_encrypted(url) is url.startswith("https:")
