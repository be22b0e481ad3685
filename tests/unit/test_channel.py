# SPDX-License-Identifier: GPL-2.0-or-later
"""The result channel's decoder: whole whatever the cuts, and no damage goes unseen."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrace.guest.channel import MAX_PAYLOAD, TYPES, Decoder, Record, encode

# Payloads that hold what the format is made of are the hard ones.
PAYLOADS = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"@PR1 out 0 0 00000000\n\n", b"@PR1 ", b"\n\n@PR1", b"@"]),
)


@st.composite
def streams(draw: st.DrawFn, min_size: int = 0) -> list[Record]:
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(sorted(TYPES)), PAYLOADS), min_size=min_size, max_size=8)
    )
    return [Record(kind, seq, payload) for seq, (kind, payload) in enumerate(pairs)]


def wire(records: list[Record]) -> bytes:
    return b"".join(encode(record) for record in records)


def decode(data: bytes) -> tuple[list[Record], Decoder]:
    decoder = Decoder()
    records = decoder.feed(data)
    decoder.finish()
    return records, decoder


def test_format_is_the_documented_one() -> None:
    record, decoder = decode(b"@PR1 hello 0 4 %08x\na=1\n\n" % zlib.crc32(b"a=1\n"))
    assert record == [Record("hello", 0, b"a=1\n")]
    assert record[0].fields() == {"a": "1"}
    assert not decoder.errors


@given(streams(), st.lists(st.integers(1, 50)))
def test_cuts_make_no_difference(records: list[Record], cuts: list[int]) -> None:
    data, decoder, got = wire(records), Decoder(), []
    for cut in cuts:
        got += decoder.feed(data[:cut])
        data = data[cut:]
    got += decoder.feed(data)
    decoder.finish()
    assert got == records
    assert not decoder.errors
    assert not decoder.leftover
    assert decoder.size == len(wire(records))


@given(streams(min_size=1), st.data())
def test_a_changed_byte_is_seen(records: list[Record], data: st.DataObject) -> None:
    good = wire(records)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(bad))[1].errors


@given(streams(min_size=1), st.data())
def test_a_lost_byte_is_seen(records: list[Record], data: st.DataObject) -> None:
    good = wire(records)
    at = data.draw(st.integers(0, len(good) - 1))
    assert decode(good[:at] + good[at + 1 :])[1].errors


@given(streams(min_size=1), st.data())
def test_a_half_written_record_is_left_over_and_damage(
    records: list[Record], data: st.DataObject
) -> None:
    last = encode(records[-1])
    kept = data.draw(st.integers(1, len(last) - 1))
    decoder = Decoder()
    got = decoder.feed(wire(records[:-1]) + last[:kept])
    assert got == records[:-1]
    assert decoder.leftover == last[:kept]
    assert not decoder.errors
    decoder.finish()
    assert len(decoder.errors) == 1


@given(streams(min_size=2), st.data())
def test_a_lost_record_is_seen(records: list[Record], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(records) - 2))
    got, decoder = decode(wire(records[:gone] + records[gone + 1 :]))
    assert got == records[:gone] + records[gone + 1 :]
    assert len(decoder.errors) == 1


@given(st.binary(min_size=1, max_size=100), streams(min_size=1))
def test_reading_goes_on_after_garbage(garbage: bytes, records: list[Record]) -> None:
    noise = b"\xff" + garbage.replace(b"@", b"?")
    got, decoder = decode(noise + wire(records))
    assert got == records
    assert len(decoder.errors) == 1
    assert decoder.errors[0].offset == 0


@given(st.binary(max_size=2000))
def test_nothing_breaks_it(data: bytes) -> None:
    records, decoder = decode(data)
    assert not data or records or decoder.errors


@pytest.mark.parametrize(
    "header",
    [
        b"@PR1 out 0 4097 00000000\n" + b"x" * 4098,
        b"@PR1 verdict 0 0 00000000\n\n",
        b"@PR1 out 00 0 00000000\n\n",
        b"@PR1 out 0 0 0000000G\n\n",
        b"@PR2 out 0 0 00000000\n\n",
    ],
)
def test_headers_of_no_known_record(header: bytes) -> None:
    records, decoder = decode(header)
    assert not records
    assert decoder.errors
    assert "byte 0" in str(decoder.errors[0])


def test_the_longest_record() -> None:
    record = Record("out", 0, b"\n" * MAX_PAYLOAD)
    assert decode(encode(record))[0] == [record]
