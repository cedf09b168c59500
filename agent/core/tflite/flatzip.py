"""The zip archive that may be appended to a model: TFLite's way to carry label files."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from agent.wire.errors import Malformed

MEMBER_MAX_BYTES: Final = 4 * 1024 * 1024

_UNIX: Final = 3
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


def split(content: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The model without its archive, and the files of that by name.

    Raises:
        Malformed: a file of it cannot be unpacked, or is too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # Offsets are counted from the archive's own start or from the model's: zipfile sees which.
            start = min((entry.header_offset for entry in archive.infolist()), default=archive.start_dir)
    except _FAULTS:
        return content, {}
    return content[:start], {name: member(content, name) for name in names(content)}


def append(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """The model with these files behind it, in the order of their names and without a time: the same files
    make the same bytes. Not compressed: programs read them where they lie.
    """
    if not files:
        return content
    whole = io.BytesIO(content)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.create_system = _UNIX
            archive.writestr(entry, files[name])
    return whole.getvalue()


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
