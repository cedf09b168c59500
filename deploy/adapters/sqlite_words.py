"""What SQLite or the disk below it refused, as a person is told it: what it was, and what to do."""

import errno
import sqlite3
from pathlib import Path
from typing import Final

_OF_ERRNO: Final = {errno.ENOSPC: sqlite3.SQLITE_FULL, errno.EROFS: sqlite3.SQLITE_READONLY}
_OF_CLASS: Final = 0xFF
"""Extended codes say more above it."""


def fault(error: sqlite3.Error | OSError, path: Path, damaged: str) -> str:
    """
    Args:
        error: that was raised.
        path: of the database.
        damaged: what to do about one that is damaged.
    """
    match _code(error):
        case sqlite3.SQLITE_BUSY:
            return f"another process keeps it locked: try again; fuser {path} names whoever has it open"
        case sqlite3.SQLITE_FULL:
            return f"the disk is full: make room below {path.parent}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return f"{error}: let this user write to {path.parent}"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"it is damaged ({error}): {damaged}"
        case _:
            return f"{error}: see to the disk"


def _code(error: sqlite3.Error | OSError) -> int:
    if isinstance(error, OSError):
        return _OF_ERRNO.get(error.errno or 0, 0)
    return getattr(error, "sqlite_errorcode", 0) & _OF_CLASS
