# SPDX-License-Identifier: GPL-2.0-or-later
"""The result channel: records from the guest's init, read from a stream as it comes.

One record is `@PR1 TYPE SEQ LEN CRC32\n`, LEN bytes and `\n`; SEQ counts from 0, CRC32 (of the
payload, as zlib and IEEE 802.3 have it) is 8 lower-case hex digits.  Damage is never skipped in
silence: it becomes a ChannelError, and reading goes on at the next record.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

MAGIC = b"@PR1 "
MAX_PAYLOAD = 4096  # bytes
TYPES = frozenset({"hello", "start", "out", "rec", "exit", "done"})

_HEADER = re.compile(rb"@PR1 ([a-z]{1,16}) (0|[1-9]\d{0,9}) (0|[1-9]\d{0,3}) ([0-9a-f]{8})\n")
_MAX_HEADER = len("@PR1  0123456789 4096 01234567\n") + 16  # bytes


@dataclass(frozen=True)
class Record:
    """One record that arrived whole."""

    type: str
    seq: int
    payload: bytes

    def fields(self) -> dict[str, str]:
        """Return the `key=value` lines of the payload; a line without `=` has an empty value."""
        pairs = (line.partition("=") for line in self.payload.decode(errors="replace").split("\n"))
        return {key: value for key, _, value in pairs if key}


@dataclass(frozen=True)
class ChannelError:
    """A place where the channel is damaged."""

    offset: int  # bytes from the start of the channel
    what: str
    sample: bytes = b""  # the first of the bytes in question

    def __str__(self) -> str:
        sample = f": {self.sample!r}" if self.sample else ""
        return f"byte {self.offset} of the result channel: {self.what}{sample}"


def encode(record: Record) -> bytes:
    """Return a record as the guest writes it."""
    crc = zlib.crc32(record.payload)
    header = f"@PR1 {record.type} {record.seq} {len(record.payload)} {crc:08x}\n"
    return header.encode() + record.payload + b"\n"


class Decoder:
    """Turns the bytes of a channel into records, however they are cut."""

    def __init__(self) -> None:
        self.errors: list[ChannelError] = []
        self._data = b""  # not yet understood
        self._offset = 0  # of _data, in the whole channel
        self._expected = 0  # the next sequence number
        self._lost = False  # looking for the next record

    @property
    def leftover(self) -> bytes:
        """The bytes of a record that has begun and not ended."""
        return self._data

    @property
    def size(self) -> int:
        """Bytes fed so far."""
        return self._offset + len(self._data)

    def feed(self, data: bytes) -> list[Record]:
        """Return the records that these bytes complete."""
        self._data += data
        records: list[Record] = []
        while self._data:
            if not self._data.startswith(MAGIC[: len(self._data)]):
                if not self._resync("bytes that are no record"):
                    break
                continue
            match = _HEADER.match(self._data)
            if not match:
                if b"\n" not in self._data and len(self._data) < _MAX_HEADER:
                    break  # the rest of the header is still to come
                self._damaged("a header that is none")
                continue
            length = int(match[3])
            if length > MAX_PAYLOAD or match[1].decode() not in TYPES:
                self._damaged("a header of no known record")
                continue
            end = match.end() + length
            if len(self._data) <= end:
                break
            record = Record(match[1].decode(), int(match[2]), self._data[match.end() : end])
            if self._data[end : end + 1] != b"\n" or zlib.crc32(record.payload) != int(
                match[4], 16
            ):
                self._damaged(f"record {record.seq} ({record.type}) arrived damaged")
                continue
            self._check_sequence(record)
            records.append(record)
            self._lost = False
            self._drop(end + 1)
        return records

    def finish(self) -> None:
        """Say that no more comes: a record that is still open is damage."""
        if self._data and not self._lost:
            self._error("a record was cut off by the end")

    def _check_sequence(self, record: Record) -> None:
        """Note records that are missing, or that came twice."""
        if record.seq != self._expected:
            self._error(f"record {record.seq} came where record {self._expected} belongs")
        self._expected = record.seq + 1

    def _damaged(self, what: str) -> None:
        """Note damage in a record, and step past its magic so that it is not read again."""
        if not self._lost:
            self._error(what)
        self._lost = True
        self._drop(1)

    def _resync(self, what: str) -> bool:
        """Skip to what may be the next record; False when more bytes are needed to tell."""
        if not self._lost:
            self._error(what)
            self._lost = True
        at = self._data.find(MAGIC)
        if at >= 0:
            self._drop(at)
            return True
        # Keep a tail that may be the start of a magic.
        keep = next(
            (n for n in range(len(MAGIC) - 1, 0, -1) if self._data.endswith(MAGIC[:n])),
            0,
        )
        self._drop(len(self._data) - keep)
        return False

    def _error(self, what: str) -> None:
        self.errors.append(ChannelError(self._offset, what, self._data[:40]))

    def _drop(self, count: int) -> None:
        self._data = self._data[count:]
        self._offset += count
