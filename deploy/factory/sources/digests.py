"""By which a source is known again."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.wire.topics import Digest
from deploy.core.factory.words import Source, SourceKind
from deploy.core.refusal import Refused
from deploy.factory.sources import functions

_PIECE_BYTES: Final = 1 << 20


def of_source(source: Source) -> Digest:
    """SHA-256 in hexadecimal: of a file its content; of a folder names and contents in their order; of a
    function its name and its module's file, which must then be found.

    Raises:
        Refused: it cannot be read any more.
    """
    digest = hashlib.sha256()
    try:
        for piece in _pieces(source):
            digest.update(piece)
    except OSError as error:
        raise Refused(f"{source.place} cannot be read: {error.strerror}") from error
    return Digest(digest.hexdigest())


def _pieces(source: Source) -> Iterator[bytes]:
    if source.kind is SourceKind.FUNCTION:
        yield source.place.encode()
        path = functions.module_file(source.place)
        if path is not None:
            yield from _content(path)
        return
    place = Path(source.place)
    if not place.is_dir():
        yield from _content(place)
        return
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        yield f"{path.relative_to(place).as_posix()}\0{path.stat().st_size}\0".encode()
        yield from _content(path)


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
