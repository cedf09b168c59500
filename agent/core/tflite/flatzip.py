"""The zip archive that may be appended to a model: TFLite's way to carry label files."""

import io
import zipfile
import zlib
from typing import Final

from agent.wire.errors import Malformed

MEMBER_MAX_BYTES: Final = 4 * 1024 * 1024

_FAULTS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises on archives that are damaged, encrypted or packed in ways that it does not know."""


def names(content: bytes) -> tuple[str, ...]:
    """The files of the appended archive; none where there is no readable archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return tuple(archive.namelist())
    except _FAULTS:
        return ()


def member(content: bytes, name: str) -> bytes:
    """
    Raises:
        Malformed: it cannot be unpacked, or is larger than MEMBER_MAX_BYTES.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(name) as file:
            unpacked = file.read(MEMBER_MAX_BYTES + 1)
    except _FAULTS as error:
        raise Malformed(f"{name}, appended to the model, cannot be unpacked: {error}") from error
    if len(unpacked) > MEMBER_MAX_BYTES:
        raise Malformed(f"{name}, appended to the model, is larger than {MEMBER_MAX_BYTES} bytes")
    return unpacked
