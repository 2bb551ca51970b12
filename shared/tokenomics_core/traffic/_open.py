"""Open a log wherever it lies: plain or compressed, in an archive, a folder, or on standard input."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from tokenomics_core.errors import ConfigurationError, StoreError

__all__ = ["HEAD_BYTES", "copied_to_file", "files_under", "is_compressed", "open_log", "open_members"]

HEAD_BYTES = 1 << 20
"""How much of a file is looked at to tell what it is."""

_BUFFER_BYTES = 1 << 18
_GZIP, _BZIP2, _XZ, _ZIP, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def files_under(path: str | PathLike[str]) -> list[str]:
    """Return the files that a path stands for: itself, or every visible file of a folder, by name.

    Raises:
        ConfigurationError: There is nothing by this name.
    """
    name = os.fspath(path)
    if not isinstance(name, str):
        raise ConfigurationError(f"a log's path must be text, not {name!r:.80}; nothing was read")
    if name == "-" or name.startswith(("postgres://", "postgresql://")):
        return [name]
    place = Path(name)
    if place.is_dir():
        found = sorted(file for file in place.rglob("*") if file.is_file())
        hidden = [file for file in found if any(p.startswith(".") for p in file.relative_to(place).parts)]
        return [str(file) for file in found if file not in hidden]
    if not place.exists():
        raise ConfigurationError(f"there is no file {name!r}; nothing was read")
    return [name]


def is_compressed(head: bytes) -> bool:
    """Tell from its first bytes whether a file is compressed or an archive."""
    return head.startswith((_GZIP, _BZIP2, _XZ, _ZIP, _ZSTD))


@contextmanager
def open_log(path: str) -> Iterator[BinaryIO]:
    """Open a file's own bytes, or standard input for `-`, at its start.

    Raises:
        StoreError: It cannot be read.
    """
    if path == "-":
        yield _rewindable(sys.stdin.buffer)
        return
    try:
        stream = Path(path).open("rb", buffering=_BUFFER_BYTES)  # noqa: SIM115 - closed below
    except OSError as error:
        raise StoreError(path, f"could not be opened: {error.strerror}; nothing was read of it") from error
    with stream:
        yield stream


def open_members(name: str, stream: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """Yield what is inside a stream, unpacked, with a name for messages; an archive holds several.

    Raises:
        ConfigurationError: It is compressed in a way that this Python cannot undo.
    """
    head = _head_of(stream, 8)
    if head.startswith(_ZIP):
        yield from _members_of_zip(name, stream)
        return
    yield name, _recoded(_unpacked(name, stream, head))


@contextmanager
def copied_to_file(stream: BinaryIO) -> Iterator[str]:
    """Copy a stream to a file of its own for readers that need a path; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tokenomics-") as folder:
        path = Path(folder) / "log"
        with path.open("wb") as target:
            shutil.copyfileobj(stream, target, 1 << 20)
        yield str(path)


def _unpacked(name: str, stream: BinaryIO, head: bytes) -> BinaryIO:
    if head.startswith(_GZIP):
        return _buffered(_Pieces(gzip.GzipFile(fileobj=stream)))
    if head.startswith(_BZIP2):
        return _buffered(_Pieces(bz2.BZ2File(stream)))
    if head.startswith(_XZ):
        return _buffered(_Pieces(lzma.LZMAFile(stream)))
    if head.startswith(_ZSTD):
        return _buffered(_Pieces(_zstd_file(name, stream)))
    return stream


def _zstd_file(name: str, stream: BinaryIO) -> Any:
    try:
        zstd: Any = importlib.import_module("compression.zstd")  # Python 3.14 and later
    except ImportError as error:
        raise ConfigurationError(
            f"{name} is compressed by zstd, which this Python cannot undo; unpack it first; nothing was read"
        ) from error
    return zstd.ZstdFile(stream)


def _buffered(raw: io.RawIOBase) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(raw, _BUFFER_BYTES))


def _members_of_zip(name: str, stream: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    try:
        archive = zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise ConfigurationError(f"{name} is a damaged archive ({error}); nothing was read of it") from error
    with archive:
        for member in sorted(archive.infolist(), key=lambda item: item.filename):
            if member.is_dir() or member.filename.startswith("__MACOSX/"):
                continue
            with archive.open(member) as inner:
                buffered = _buffered(_Pieces(inner))
                head = _head_of(buffered, 8)
                inside = f"{name}!{member.filename}"
                yield inside, _recoded(_unpacked(inside, buffered, head))


def _recoded(stream: BinaryIO) -> BinaryIO:
    """Return a stream as UTF-8, without a byte order mark."""
    head = _head_of(stream, 3)
    if head.startswith(_UTF16):
        return _buffered(_Utf8(stream))
    if head.startswith(b"\xef\xbb\xbf"):
        stream.read(3)
    return stream


def _head_of(stream: BinaryIO, size: int) -> bytes:
    """Return the first bytes and go back to where they start; damage shows when the rest is read."""
    start = stream.tell()
    try:
        return stream.read(size)
    except (EOFError, OSError, lzma.LZMAError):
        return b""
    finally:
        stream.seek(start)


def _rewindable(stream: IO[bytes]) -> BinaryIO:
    """Return standard input with its beginning kept, so that it can be looked at twice."""
    head = b""
    while len(head) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(head))):
        head += more
    if len(head) < HEAD_BYTES:
        return io.BytesIO(head)
    if is_compressed(head):  # archives are read from their end
        spooled = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is collected, as standard input is
        spooled.write(head)
        shutil.copyfileobj(stream, spooled, 1 << 20)
        spooled.seek(0)
        return cast("BinaryIO", spooled)
    return _buffered(_HeadThenRest(head, stream))


class _Pieces(io.RawIOBase):
    """What is unpacked, as it comes, so that damage costs no more than what lies behind it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._stream.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class _HeadThenRest(io.RawIOBase):
    """Bytes that were read already, then the rest of their stream; goes back only within those."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest, self._at = head, rest, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._at
        if whence == io.SEEK_END or (self._at > len(self._head) and offset != self._at):
            raise io.UnsupportedOperation("standard input cannot go back this far")
        self._at = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        if self._at < len(self._head):
            piece = self._head[self._at : self._at + len(buffer)]
        else:
            piece = self._rest.read(len(buffer))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


class _Utf8(io.RawIOBase):
    """A stream in UTF-16 as UTF-8."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._start = stream.tell()
        self._text = io.TextIOWrapper(stream, "utf-16", newline="")
        self._left = b""
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR and offset == 0:
            return self._at
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a recoded file is read from its start")
        self._text.seek(0)
        self._left, self._at = b"", 0
        while self._at < offset and self.read(min(offset - self._at, 1 << 16)):
            pass
        return self._at

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = self._text.read(1 << 16)
            if not piece:
                return 0
            self._left = piece.encode("utf-8", "surrogatepass")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        self._at += size
        return size
