"""Cuts a file into the chunks that it is published and pulled in.

A .tflite file is cut at the edges of its large tensors, so that another head, other biases or longer
metadata leave the chunks of the other weights what they were: devices and brokers have those already.
For a new head with recalibrated biases on a MobileNet v2 that is 42 % of the file to pull, where a fixed
cut makes it 67 %. A golden set is cut at the edges of its pictures, which stay what they are when a new model
gives them other scores. Any other file is cut at fixed distances. A chunk is packed where that pays.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from agent.core.tflite import flatmodel
from agent.wire import codec
from agent.wire.documents import CHUNK_MAX_BYTES, Artifact, Chunk, GoldenSet, Packed
from agent.wire.errors import Malformed, WireError
from agent.wire.topics import Digest, sha256

LARGE_TENSOR_BYTES: Final = 16_384
"""Smaller ones are grouped with their neighbours: a chunk costs some 150 bytes of manifest and a turn."""
CHUNKS_MAX: Final = 640
"""Where there would be more, only tensors that are larger still have chunks of their own: the manifest of two
variants of 25 MB each, with patches, stays below what devices accept."""
PACKED_SHARE_MAX: Final = 0.9
"""Of a chunk's bytes. Unpacking costs a device time, and a chunk that gains less is left alone."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """An artifact, and what is published of it."""

    artifact: Artifact
    content: bytes
    packed: Mapping[Digest, bytes] = field(default_factory=dict)
    """By their own digests."""

    def pieces(self) -> Iterator[tuple[Chunk, bytes]]:
        """Each chunk with the bytes that stand under its published name."""
        for chunk, piece in _contents(self.artifact, self.content):
            yield chunk, piece if chunk.packed is None else self.packed[chunk.packed.digest]


def cut(content: bytes) -> Artifact:
    """The content as an artifact of chunks of 1 to CHUNK_MAX_BYTES bytes.

    Raises:
        Malformed: the content is empty.
    """
    if not content:
        raise Malformed("an empty file cannot be published: at least one byte is needed")
    pieces = (content[start:end] for start, end in pairwise(_edges(content)))
    return Artifact(
        digest=sha256(content),
        length=len(content),
        chunks=tuple(Chunk(sha256(piece), len(piece)) for piece in pieces),
    )


def pack(content: bytes, packer: Callable[[bytes], bytes]) -> Parcel:
    """The content cut, and each chunk packed that is at most PACKED_SHARE_MAX of its bytes then.

    Raises:
        Malformed: the content is empty.
    """
    artifact, packed = cut(content), dict[Digest, bytes]()
    chunks: list[Chunk] = []
    for chunk, piece in _contents(artifact, content):
        frame = packer(piece)
        if len(frame) <= PACKED_SHARE_MAX * len(piece):
            packed[sha256(frame)] = frame
            chunks.append(replace(chunk, packed=Packed(sha256(frame), len(frame))))
        else:
            chunks.append(chunk)
    return Parcel(replace(artifact, chunks=tuple(chunks)), content, packed)


def _contents(artifact: Artifact, content: bytes) -> Iterator[tuple[Chunk, bytes]]:
    start = 0
    for chunk in artifact.chunks:
        yield chunk, content[start : start + chunk.length]
        start += chunk.length


def _edges(content: bytes) -> list[int]:
    """Where chunks begin and end: from 0 to the length, never further apart than a chunk may be long."""
    lasting, large_bytes = _lasting(content), LARGE_TENSOR_BYTES
    while True:
        large = [span for span in lasting if span[1] >= large_bytes]
        edges = _spread(large, len(content))
        if len(edges) <= CHUNKS_MAX or not large:
            return edges
        large_bytes *= 2


def _spread(spans: list[tuple[int, int]], length: int) -> list[int]:
    borders = {0, length} | {edge for start, span in spans for edge in (start, start + span)}
    between = pairwise(sorted(borders))
    return [edge for start, end in between for edge in range(start, end, CHUNK_MAX_BYTES)] + [length]


def _lasting(content: bytes) -> list[tuple[int, int]]:
    """Start and length of each tensor of a model or picture of a golden set; none where the file is neither,
    or a model whose large tensors overlap.
    """
    try:
        large = [span for span in flatmodel.buffers(content) if span[1] >= LARGE_TENSOR_BYTES]
    except Malformed:
        return _pictures(content)
    overlap = any(start + length > after for (start, length), (after, _) in pairwise(large))
    return [] if overlap else large


def _pictures(content: bytes) -> list[tuple[int, int]]:
    try:
        cases = codec.decode(content, GoldenSet).cases
    except WireError:
        return []
    spans, end = list[tuple[int, int]](), 0
    for case in cases:
        start = content.index(case.png, end)
        end = start + len(case.png)
        spans.append((start, len(case.png)))
    return spans
