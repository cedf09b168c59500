"""TUF metadata on disk, unverified: only how old it is. Source: The Update Framework 1.0.33, 4.3 and 4.6."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.core.findings.trust import Damaged, Expiring, Metadata, Unreadable


class _Signed(Struct):
    role: str = msgspec.field(name="_type")
    version: int
    expires: Annotated[datetime, Meta(tz=True)]


class _Envelope(Struct):
    signed: _Signed


_decoder = msgspec.json.Decoder(_Envelope)


def read(path: Path, role: str) -> Metadata:
    try:
        content = path.read_bytes()
    except OSError as error:
        return Unreadable(error.strerror or str(error))
    try:
        signed = _decoder.decode(content).signed
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Damaged()
    return Expiring(signed.version, signed.expires) if signed.role == role else Damaged()
