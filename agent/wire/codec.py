"""Bytes to documents and back: size bound first, then schema major, then the fields."""

from datetime import datetime
from typing import Final, TypeVar

import msgspec

from agent.wire.claims import ClaimAnswer, ClaimRequest
from agent.wire.commands import ENVELOPE_MAX_BYTES, Answer, Command
from agent.wire.documents import SCHEMA, Document, GoldenSet, Index, Manifest, Plan
from agent.wire.errors import Malformed, TooLarge, UnknownSchema
from agent.wire.reports import Event, Prediction, Report, Status, Telemetry

D = TypeVar("D", bound=Document)
T = TypeVar("T")

MAX_BYTES: Final[dict[type[Document], int]] = {
    Manifest: 262_144,
    Plan: 16_384,
    Index: 1_024,
    Status: 1_024,
    Report: 65_536,
    Prediction: 65_536,
    Telemetry: 262_144,
    Event: 65_536,
    Command: ENVELOPE_MAX_BYTES,
    Answer: 262_144,
    GoldenSet: 16_777_216,
    ClaimRequest: 16_384,
    ClaimAnswer: 16_384,
}


YEARS: Final = range(1970, 9999)
"""Of instants. Nearer to the ends of the calendar there are some that cannot be told in UTC."""


class _Schema(msgspec.Struct):
    schema: int


def encode(document: Document) -> bytes:
    """JSON, but for golden sets, which carry images and are MessagePack."""
    if isinstance(document, GoldenSet):
        return msgspec.msgpack.encode(document)
    return msgspec.json.encode(document)


def decode(content: bytes, kind: type[D]) -> D:
    """The document of this kind in the bytes; unknown fields are ignored.

    Raises:
        TooLarge: there are more bytes than this kind may have.
        UnknownSchema: its schema major is not ours.
        Malformed: it is not such a document; the message names the field.
    """
    limit = MAX_BYTES[kind]
    if len(content) > limit:
        raise TooLarge(f"{kind.__name__.lower()} is {len(content)} bytes, at most {limit} are accepted")
    schema = _parse(content, _Schema, kind).schema
    if schema != SCHEMA:
        raise UnknownSchema(
            f"{kind.__name__.lower()} has schema {schema}, this program knows {SCHEMA}: upgrade it"
        )
    return _timely(_parse(content, kind, kind))


def _timely(document: D) -> D:
    for name in document.__struct_fields__:
        value = getattr(document, name)
        if isinstance(value, datetime) and value.year not in YEARS:
            raise Malformed(
                f"{type(document).__name__.lower()}: `{name}` is in the year {value.year}, and no clock "
                f"shows one before {YEARS.start} or after {YEARS.stop - 1}"
            )
    return document


def _parse(content: bytes, shape: type[T], kind: type[Document]) -> T:
    parse = msgspec.msgpack.decode if kind is GoldenSet else msgspec.json.decode
    try:
        return parse(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{kind.__name__.lower()}: {error}") from error
