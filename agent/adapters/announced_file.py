"""What was announced, in one small file that is replaced as a whole and fsynced."""

import logging
from pathlib import Path

import msgspec

from agent.adapters import whole_file
from agent.core.homeassistant.announcing import Announced
from agent.wire.errors import StoreFailed

log = logging.getLogger(__name__)


class AnnouncedFile:
    """Implements `agent.ports.announced.AnnouncedMemory`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Announced:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Announced)
        except FileNotFoundError:
            return Announced()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("announced.unreadable", extra={"error": f"{self._path}: {error}"})
            return Announced()

    def save(self, announced: Announced) -> None:
        try:
            if announced == Announced():
                self._path.unlink(missing_ok=True)
            else:
                whole_file.replace(self._path, msgspec.json.encode(announced))
        except OSError as error:
            raise StoreFailed(f"{self._path}: {error.strerror}") from error
