"""Cuts a file into the chunks that it is published and pulled in.

A .tflite file is cut at the edges of its large tensors, so that another head, other biases or longer
metadata leave the chunks of the other weights what they were: devices and brokers have those already.
For a new head with recalibrated biases on a MobileNet v2 that is 42 % of the file to pull, where a fixed
cut makes it 67 %. Any other file is cut at fixed distances.
"""

from itertools import pairwise
from typing import Final

from agent.core.tflite import flatmodel
from agent.wire.documents import CHUNK_MAX_BYTES, Artifact, Chunk
from agent.wire.errors import Malformed
from agent.wire.topics import sha256

LARGE_TENSOR_BYTES: Final = 16_384
"""Smaller ones are grouped with their neighbours: a chunk costs some 100 bytes of manifest and a turn."""


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


def _edges(content: bytes) -> list[int]:
    """Where chunks begin and end: from 0 to the length, never further apart than a chunk may be long."""
    borders = {0, len(content)}
    for start, length in _large_tensors(content):
        borders |= {start, start + length}
    between = pairwise(sorted(borders))
    return [edge for start, end in between for edge in range(start, end, CHUNK_MAX_BYTES)] + [len(content)]


def _large_tensors(content: bytes) -> list[tuple[int, int]]:
    """Start and length of each; none where the file is no model, or one whose tensors overlap."""
    try:
        large = [span for span in flatmodel.buffers(content) if span[1] >= LARGE_TENSOR_BYTES]
    except Malformed:
        return []
    overlap = any(start + length > after for (start, length), (after, _) in pairwise(large))
    return [] if overlap else large
