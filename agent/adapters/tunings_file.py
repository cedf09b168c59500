"""Measurements in one small JSON file, replaced as a whole."""

import contextlib
import os
from pathlib import Path

import msgspec

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
        """Atomic over a power cut: written beside, fsynced, renamed, and the folder fsynced."""
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(tunings))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreFailed(f"could not keep measurements in {self._path}: {error.strerror}") from error
