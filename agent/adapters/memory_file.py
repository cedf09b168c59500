"""The obeyed commands in one small file, replaced as a whole and fsynced."""

import os
import tempfile
from pathlib import Path

import msgspec

from agent.core.commands import Memory
from agent.wire.errors import StoreFailed


class MemoryFile:
    """Implements `agent.ports.memory.CommandMemory`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Memory | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Memory)
        except FileNotFoundError:
            return Memory()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def save(self, memory: Memory) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".commands-", delete=False) as new:
                new.write(msgspec.json.encode(memory))
                new.flush()
                os.fsync(new.fileno())
            Path(new.name).replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreFailed(f"{self._path}: {error.strerror}") from error
