"""Files that survive a power cut, named by their content.

    objects/<digest>          a whole file, verified, read-only
    partial/<digest>          a file that is being pulled: chunks in their places, holes between them
    lifecycle.json            the newest record, sealed with its digest
    lifecycle.previous.json   the one before it
    running                   stands while the agent runs

A partial file has no journal beside it that could disagree with it: a chunk is there if the bytes in its
place have its digest, which is looked at anew by every process. That costs one read of the file at a
start, and a torn, stale or rotten chunk can never be mistaken for a good one.

An fsync costs an SD card 10 to 100 ms whatever it carries, so chunks are made safe a window at a time
(`sync`). Everything else becomes visible whole or not at all: temporary file, fsync, rename, fsync of the
folder.
"""

import errno
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgspec

from agent.core.update.lifecycle import Record
from agent.wire.documents import Artifact
from agent.wire.errors import DiskFull, Malformed, StoreFailed
from agent.wire.topics import Digest, sha256

log = logging.getLogger(__name__)

_RECORD: Final = "lifecycle.json"
_PREVIOUS: Final = "lifecycle.previous.json"
_NEW: Final = "lifecycle.new.json"
_RUNNING: Final = "running"
_PIECE_BYTES: Final = 1_048_576
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Disk:
    """Every operation that changes the disk, so that a test can cut the power after any of them."""

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path, content: bytes) -> None:
        """The file holds exactly this content."""
        path.write_bytes(content)

    def write(self, path: Path, offset: int, content: bytes) -> None:
        """The file, made where it is missing, holds this content at this offset."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while content:
                written = os.pwrite(descriptor, content, offset)
                offset, content = offset + written, content[written:]
        finally:
            os.close(descriptor)

    def sync(self, path: Path) -> None:
        """What the file holds, or what the folder lists, outlives a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def permit(self, path: Path, mode: int) -> None:
        path.chmod(mode)

    def rename(self, path: Path, to: Path) -> None:
        path.replace(to)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)


class _Sealed(msgspec.Struct):
    sha256: str
    record: msgspec.Raw


class FileStore:
    """A `Store` in a folder of its own.

    Calls for different files, and the record beside them, may come from several threads at once.
    """

    def __init__(self, folder: Path, free_floor_bytes: int, disk: Disk | None = None) -> None:
        self._folder = folder
        self._objects = folder / "objects"
        self._partials = folder / "partial"
        self._free_floor_bytes = free_floor_bytes
        self._disk = Disk() if disk is None else disk
        with _told("make the folders of the store", folder):
            self._disk.make_folder(self._objects)
            self._disk.make_folder(self._partials)
            # A process that was killed may have left names that are seen, but not safe yet.
            for place in (folder, self._objects, self._partials):
                self._disk.sync(place)

    def load(self) -> Record:
        for name in (_RECORD, _PREVIOUS):
            record = self._unsealed(self._folder / name)
            if record is not None:
                return record
        return Record()

    def save(self, record: Record) -> None:
        content = msgspec.json.encode(record)
        sealed = msgspec.json.encode(_Sealed(sha256(content), msgspec.Raw(content)))
        newest = self._folder / _RECORD
        with _told("store the record as", newest):
            self._create(self._folder / _NEW, sealed)
            # A damaged record must not push out the good one before it.
            if self._unsealed(newest) is not None:
                self._disk.rename(newest, self._folder / _PREVIOUS)
            self._disk.rename(self._folder / _NEW, newest)
            self._disk.sync(self._folder)

    def mark_running(self) -> bool:
        marker = self._folder / _RUNNING
        with _told("leave the marker", marker):
            if marker.exists():
                return False
            self._disk.create(marker, b"")
            self._disk.sync(self._folder)
        return True

    def mark_stopped(self) -> None:
        marker = self._folder / _RUNNING
        with _told("take away the marker", marker):
            self._disk.remove(marker)
            self._disk.sync(self._folder)

    def missing(self, artifact: Artifact) -> tuple[int, ...]:
        whole, partial = self.path(artifact.digest), self._partial(artifact)
        with _told("look for chunks in", partial):
            if self.verify(artifact.digest):
                self._disk.remove(partial)
                return ()
            if whole.exists():
                self._demote(whole, partial)
            if not partial.exists():
                return tuple(range(len(artifact.chunks)))
            if partial.stat().st_size > _offsets(artifact)[-1]:
                self._disk.remove(partial)
                return tuple(range(len(artifact.chunks)))
            self.sync(artifact)
            return _wrong_chunks(partial, artifact)

    def put_chunk(self, artifact: Artifact, index: int, content: bytes) -> None:
        chunk = artifact.chunks[index]
        if sha256(content) != chunk.digest or len(content) != chunk.length:
            raise Malformed(
                f"chunk {index} of artifact {artifact.digest[:12]}: the {len(content)} bytes are not "
                f"the {chunk.length} bytes with the digest {chunk.digest[:12]}"
            )
        partial = self._partial(artifact)
        with _told(f"write chunk {index} into", partial):
            self._disk.write(partial, _offsets(artifact)[index], content)

    def sync(self, artifact: Artifact) -> None:
        partial = self._partial(artifact)
        with _told("make safe", partial):
            self._disk.sync(partial)
            self._disk.sync(self._partials)

    def assemble(self, artifact: Artifact) -> None:
        whole, partial = self.path(artifact.digest), self._partial(artifact)
        with _told("assemble", partial):
            wrong = self.missing(artifact)
            if not partial.exists() and not wrong:
                return
            if wrong:
                raise StoreFailed(
                    f"{partial} cannot be assembled: {len(wrong)} of its {len(artifact.chunks)} chunks are "
                    "not on the disk, or not as they were written; pull them again"
                )
            if not _stands(partial, artifact.digest):
                self._disk.remove(partial)
                raise Malformed(
                    f"artifact {artifact.digest[:12]} is not the sum of its {len(artifact.chunks)} chunks: "
                    "its manifest contradicts itself; make the release again"
                )
            self._finish(partial, whole)

    def put(self, content: bytes) -> Digest:
        digest = sha256(content)
        new = self._partials / f"{digest}.new"
        with _told("store", self.path(digest)):
            if not self.verify(digest):
                self._create(new, content)
                self._finish(new, self.path(digest))
        return digest

    def piece(self, digest: Digest, start: int, length: int) -> bytes:
        path = self.path(digest)
        with _told("read", path), path.open("rb", buffering=0) as file:
            return _piece(file.fileno(), start, length)

    def path(self, digest: Digest) -> Path:
        return self._objects / digest

    def verify(self, digest: Digest) -> bool:
        path = self.path(digest)
        with _told("verify", path):
            return path.exists() and _stands(path, digest)

    def require(self, new_bytes: int) -> None:
        with _told("measure the free space of", self._folder):
            status = os.statvfs(self._folder)
        free_bytes = status.f_bavail * status.f_frsize
        if free_bytes - new_bytes < self._free_floor_bytes:
            raise DiskFull(
                f"{self._folder} has {free_bytes} bytes free; {new_bytes} more would leave less than the "
                f"floor of {self._free_floor_bytes}: make room on the device"
            )

    def collect(self, keep: frozenset[Digest]) -> int:
        freed_bytes = 0
        for folder in (self._objects, self._partials):
            with _told("delete what is not referred to in", folder):
                loose = [path for path in folder.iterdir() if path.name not in keep]
                for path in loose:
                    freed_bytes += path.stat().st_size
                    self._disk.remove(path)
                if loose:
                    self._disk.sync(folder)
        return freed_bytes

    def _partial(self, artifact: Artifact) -> Path:
        return self._partials / artifact.digest

    def _create(self, path: Path, content: bytes) -> None:
        self._disk.create(path, content)
        self._disk.sync(path)

    def _finish(self, path: Path, whole: Path) -> None:
        """Give a file that is safe on disk its final name."""
        self._disk.rename(path, whole)
        self._disk.sync(self._objects)
        self._disk.sync(self._partials)
        self._disk.permit(whole, 0o444)

    def _demote(self, whole: Path, partial: Path) -> None:
        """A file that has rotted is pulled again, but for those of its chunks that are still good."""
        log.warning("object.rotten", extra={"path": str(whole)})
        self._disk.permit(whole, 0o644)
        self._disk.rename(whole, partial)
        self._disk.sync(self._objects)

    def _unsealed(self, path: Path) -> Record | None:
        """The record in the file; None if there is none, or it is damaged."""
        with _told("read", path):
            if not path.exists():
                return None
            content = b"".join(_pieces(path))
        try:
            sealed = msgspec.json.decode(content, type=_Sealed)
            if sha256(bytes(sealed.record)) == sealed.sha256:
                return msgspec.json.decode(sealed.record, type=Record)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("record.damaged", extra={"path": str(path), "error": str(error)})
            return None
        log.warning("record.damaged", extra={"path": str(path), "error": "its digest does not fit"})
        return None


@contextmanager
def _told(intent: str, path: Path) -> Iterator[None]:
    """Say what could not be done to which file.

    Raises:
        DiskFull: no room.
        StoreFailed: anything else the disk refused.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFull if error.errno in _NO_ROOM else StoreFailed
        raise kind(f"could not {intent} {path}: {error.strerror}") from error


def _offsets(artifact: Artifact) -> list[int]:
    return list(accumulate((chunk.length for chunk in artifact.chunks), initial=0))


def _wrong_chunks(partial: Path, artifact: Artifact) -> tuple[int, ...]:
    places = zip(_offsets(artifact), artifact.chunks, strict=False)
    with partial.open("rb", buffering=0) as file:
        return tuple(
            index
            for index, (offset, chunk) in enumerate(places)
            if sha256(_piece(file.fileno(), offset, chunk.length)) != chunk.digest
        )


def _stands(path: Path, digest: Digest) -> bool:
    hashed = hashlib.sha256()
    for piece in _pieces(path):
        hashed.update(piece)
    return hashed.hexdigest() == digest


def _pieces(path: Path) -> Iterator[bytes]:
    offset = 0
    with path.open("rb", buffering=0) as file:
        while piece := _piece(file.fileno(), offset, _PIECE_BYTES):
            yield piece
            offset += len(piece)


def _piece(descriptor: int, offset: int, length: int) -> bytes:
    """Up to that many bytes; none where the card can no longer read them, which is damage like any other."""
    try:
        return os.pread(descriptor, length, offset)
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise
