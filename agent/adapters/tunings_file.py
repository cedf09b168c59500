"""Measurements in one small JSON file, replaced as a whole."""

import contextlib
from pathlib import Path

import msgspec

from agent.adapters import whole_file
from agent.core.serving.tuning import Tuning
from agent.wire.errors import StoreFailed


class TuningsFile:
    """See `agent.ports.tunings.Tunings`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[Tuning, ...]:
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Tuning, ...])
        return ()

    def save(self, tunings: tuple[Tuning, ...]) -> None:
        try:
            whole_file.replace(self._path, msgspec.json.encode(tunings))
        except OSError as error:
            raise StoreFailed(f"could not keep measurements in {self._path}: {error.strerror}") from error
