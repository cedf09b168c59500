"""Two files in the state folder: `offered.json`, what waits, and `accepted`, the digest of what is wanted.

They are of use while the agent runs, and no more: what was accepted is remembered by its record.
"""

import contextlib
import logging
from pathlib import Path
from typing import Final

import msgspec

from agent.core.page.words import Offered
from agent.wire import topics
from agent.wire.errors import Malformed, StoreFailed
from agent.wire.topics import Digest

log = logging.getLogger(__name__)

DIGEST_CHARS: Final = 64
READABLE: Final = 0o644
"""Whoever asks may be another user than the agent, and the agent another than whoever accepts."""


class AcceptanceFiles:
    """Implements `agent.ports.acceptance.Word`, and is the other side of it too."""

    def __init__(self, folder: Path) -> None:
        self._offered, self._accepted = folder / "offered.json", folder / "accepted"

    def offer(self, offered: Offered | None) -> None:
        try:
            if offered is None:
                self._offered.unlink(missing_ok=True)
            else:
                _write(self._offered, msgspec.json.encode(offered))
        except OSError as error:
            log.warning("offer.unwritten", extra={"error": f"{self._offered}: {error.strerror}"})

    def taken(self) -> Digest | None:
        try:
            with self._accepted.open("rb") as file:
                content = file.read(DIGEST_CHARS + 1)
            self._accepted.unlink()
        except OSError:
            return None
        with contextlib.suppress(Malformed, UnicodeDecodeError):
            return topics.digest(content.decode().strip())
        return None

    def offered(self) -> Offered | None:
        """What waits, for whoever stands at the device.

        Raises:
            StoreFailed: it cannot be read.
        """
        try:
            return msgspec.json.decode(self._offered.read_bytes(), type=Offered)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreFailed(f"{self._offered} cannot be read: {error}") from error

    def accept(self, offered: Offered) -> None:
        """
        Raises:
            StoreFailed: the file cannot be written.
        """
        try:
            _write(self._accepted, f"{offered.manifest}\n".encode())
        except OSError as error:
            raise StoreFailed(f"{self._accepted} cannot be written: {error.strerror}") from error

    def is_taken(self) -> bool:
        """Whether the agent has read what was said."""
        return not self._accepted.exists()

    def withdraw(self) -> bool:
        """Take back what was said; whether nobody had taken it yet.

        Raises:
            StoreFailed: the file cannot be deleted.
        """
        try:
            self._accepted.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreFailed(f"{self._accepted} cannot be deleted: {error.strerror}") from error
        return True


def _write(path: Path, content: bytes) -> None:
    """All or nothing; a power cut may take it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"tmp-{path.name}")
    beside.write_bytes(content)
    beside.chmod(READABLE)
    beside.replace(path)
