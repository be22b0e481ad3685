# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a fleet, by their digests."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("distributed")


from pinrace.errors import InfrastructureError
from pinrace.fleet.blobs import Blobs, digest_of


def test_blobs_are_what_their_digest_says(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "a", largest=1000)
    digest = blobs.add(b"x" * 900)
    other = Blobs(tmp_path / "b", largest=1000)
    other.receive(digest, blobs.pieces(digest))
    other.take(digest, tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"x" * 900
    assert other.path(digest).stat().st_size < 100
    with pytest.raises(InfrastructureError, match="digest"):
        Blobs(tmp_path / "c").receive(digest_of(b"y"), blobs.pieces(digest))
    with pytest.raises(InfrastructureError, match="cut short"):
        Blobs(tmp_path / "d").receive(digest, iter([blobs.read(digest, 0)[:-4]]))
    with pytest.raises(InfrastructureError, match="damaged"):
        Blobs(tmp_path / "e").receive(digest, iter([b"no gzip at all"]))
    with pytest.raises(InfrastructureError, match="larger"):
        blobs.add(b"x" * 1001)
    assert not list((tmp_path / "a/drafts").iterdir())


def test_a_small_upload_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    big = Blobs(tmp_path / "big")
    digest = big.add(b"\0" * (1 << 20))
    small = Blobs(tmp_path / "small", largest=1 << 16)
    small.append("up", 0, big.read(digest, 0))
    with pytest.raises(InfrastructureError, match="larger"):
        small.commit("up", digest)
    assert not small.has(digest)


def test_names_of_blobs_lead_nowhere(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    for name in ("../x", "", ".", "a/b"):
        with pytest.raises(ValueError, match="is no"):
            blobs.append(name, 0, b"")
        with pytest.raises(ValueError, match="is no"):
            blobs.path(name)


def test_a_call_counts_once(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    first, second = blobs.add(b"first"), blobs.add(b"second")
    assert blobs.publish("call", first) == first
    assert blobs.publish("call", second) == first
    assert blobs.published("call") == first
    blobs.drop("call")
    assert blobs.published("call") == ""
    assert not blobs.has(first)
