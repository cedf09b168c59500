"""The repository's files. `index.json` names the state that counts and is replaced last, so that whatever a
crash leaves behind it is an older state, whole; files that it does not reach are written over later.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from agent.wire.codec import decode, encode
from agent.wire.documents import Index
from agent.wire.errors import ConfigError, StoreFailed, WireError
from agent.wire.topics import Digest, sha256
from deploy.adapters.whole_file import make_folder, write_whole

LOCK_WAIT_S: Final = 5.0
_LOCK_POLL_S: Final = 0.05


class Shelf:
    """One folder, written by one process at a time.

    ```
    index.json                      what counts: the newest root and the newest timestamp
    metadata/<version>.<role>.json  every version of every role, for the record
    targets/<sha256>                manifests and plans
    lock                            held by whoever writes
    ```
    """

    def __init__(self, folder: Path, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self.folder = folder
        self._lock_wait_s = lock_wait_s

    def exists(self) -> bool:
        return (self.folder / "index.json").exists()

    def index(self) -> Index:
        content = self._read(self.folder / "index.json")
        try:
            return decode(content, Index)
        except WireError as error:
            raise ConfigError(f"{self.folder}/index.json: {error}; restore it from a copy") from error

    def metadata(self, name: str) -> bytes:
        return self._read(self.folder / f"metadata/{name}.json")

    def target(self, digest: Digest) -> bytes:
        path = self.folder / "targets" / digest
        content = self._read(path)
        if sha256(content) != digest:
            raise ConfigError(f"{path} has not the content that was signed; restore it from a copy")
        return content

    def put_target(self, content: bytes) -> None:
        _write(self.folder / "targets" / sha256(content), content)

    def commit(self, metadata: dict[str, bytes], index: Index) -> None:
        """From now on this state counts; `metadata` holds what is new in it, by name."""
        for name, content in metadata.items():
            _write(self.folder / f"metadata/{name}.json", content)
        _write(self.folder / "index.json", encode(index))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out, other processes and other objects in this one.

        Raises:
            StoreFailed: the disk refused, or somebody else has held the lock for too long.
        """
        with self._lock() as lock:
            deadline = time.monotonic() + self._lock_wait_s
            while not _taken(lock.fileno()):
                if time.monotonic() > deadline:
                    raise StoreFailed(
                        f"another process has been writing to {self.folder} for {self._lock_wait_s:g} s: "
                        "let it finish, or end it"
                    )
                time.sleep(_LOCK_POLL_S)
            yield

    def _lock(self) -> IO[bytes]:
        path = self.folder / "lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("ab")
        except OSError as error:
            raise StoreFailed(f"{path} cannot be written: {error.strerror}") from error

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{self.folder} is no complete repository: {path.name}: {error.strerror}; "
                "restore it from a copy"
            ) from error


def _taken(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent, 0o777)
    write_whole(path, content, 0o600)
