"""A file that asks for nothing to be changed while it is there; its first line says why."""

import contextlib
import os
from pathlib import Path
from typing import Final

from agent.wire.errors import StoreFailed

LINE_MAX_BYTES: Final = 1_024


class VetoFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def words(self) -> str | None:
        try:
            # A pipe or a device file would block, or never end.
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        try:
            content = os.read(handle, LINE_MAX_BYTES)
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        finally:
            os.close(handle)
        return _first_line(content) or f"{self._path} is there"

    def put(self, words: str) -> None:
        """
        Raises:
            StoreFailed: the file cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(f"{words}\n", encoding="utf-8")
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be written: {error.strerror}") from error

    def take_away(self) -> None:
        """
        Raises:
            StoreFailed: the file cannot be removed.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be removed: {error.strerror}") from error


def _first_line(content: bytes) -> str:
    lines = content.decode(errors="replace").splitlines()
    return "".join(letter for letter in lines[0] if letter.isprintable()).strip() if lines else ""
