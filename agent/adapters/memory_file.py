"""The obeyed commands in one small file, replaced as a whole and fsynced."""

from pathlib import Path

import msgspec

from agent.adapters import whole_file
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
            whole_file.replace(self._path, msgspec.json.encode(memory))
        except OSError as error:
            raise StoreFailed(f"{self._path}: {error.strerror}") from error
