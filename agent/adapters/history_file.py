"""The updates that have ended, in one small file, replaced as a whole and fsynced."""

from pathlib import Path

import msgspec

from agent.adapters import whole_file
from agent.core.page.words import ENDED_KEPT, Past
from agent.wire.errors import StoreFailed


class HistoryFile:
    """Implements `agent.ports.history.History`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[Past, ...]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Past, ...])[:ENDED_KEPT]
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return ()

    def save(self, past: tuple[Past, ...]) -> None:
        try:
            whole_file.replace(self._path, msgspec.json.encode(past))
        except OSError as error:
            raise StoreFailed(f"{self._path}: {error.strerror}") from error
