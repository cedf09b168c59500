"""Named entries added to a .tflite file; whatever else is in it stays, byte for byte.

A new root and new vectors of its buffers and entries are put in front of the whole former file, and nothing
of that is touched: operators, options and fields that are younger than this program survive. A file that was
edited before is taken apart first, so that the same entries make the same bytes in whatever order they came,
and one entry takes the place of an earlier one of its name.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs; fields by their index.
"""

import struct
from collections.abc import Mapping
from typing import Final

from agent.core.tflite import flatmodel, flatzip
from agent.core.tflite.flatbuffer import Table as Found
from agent.core.tflite.flatbuffer import root
from agent.core.tflite.flatbuild import Kept, Kind, Number, Table, Tables, blob, build, text
from agent.wire.errors import Malformed

_IDENTIFIER: Final = b"TFL3"
_VERSION_FIELD: Final = 0
_BUFFERS_FIELD: Final = 4
_ENTRIES_FIELD: Final = 6
_OFFSET_FIELD: Final = 1
"""Of a buffer whose bytes are elsewhere in the file; 0 and 1 mean that they are in the table."""
_NOTE: Final = struct.Struct("<8sI")
_EDITED: Final = b"shoaledt"
_NOTE_AT: Final = 8
"""Behind the root's distance and the identifier: how many bytes stand in front of the former file."""


def entries(content: bytes) -> dict[str, bytes]:
    """The named entries of a model.

    Raises:
        Malformed: these are not the bytes of a TFLite model.
    """
    model = flatmodel.open_model(content)
    return _entries(model)


def with_entries(content: bytes, added: Mapping[str, bytes]) -> bytes:
    """The model with these entries beside those that it has; an archive behind it stays there.

    Raises:
        Malformed: these are not the bytes of a TFLite model, or it keeps its constants outside of its tables,
            as models of more than 2 GB do.
    """
    flatmodel.examine(content)
    model, files = flatzip.split(content)
    former, before = _taken_apart(model)
    return flatzip.append(_edited(former, {**before, **added}), files)


def _taken_apart(content: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The file as it was before it was edited, and the entries that were added."""
    if len(content) < _NOTE_AT + _NOTE.size:
        return content, {}
    mark, front_bytes = _NOTE.unpack_from(content, _NOTE_AT)
    former = content[front_bytes:]
    if mark != _EDITED or former[4:8] != _IDENTIFIER:
        return content, {}
    found = _entries(flatmodel.open_model(content))
    count = len(tuple(root(former).starts(_BUFFERS_FIELD)))
    places = {entry.text(0): entry.u32(1) for entry in root(content).tables(_ENTRIES_FIELD)}
    added = {name: found[name] for name, place in places.items() if place >= count}
    # Another program may have changed it since: only what comes out the same was ours.
    return (former, added) if _edited(former, added) == content else (content, {})


def _edited(content: bytes, added: Mapping[str, bytes]) -> bytes:
    model = flatmodel.open_model(content)
    _check_inside(model)
    if not added:
        return content
    names = sorted(added)
    # Buffer 0 is the empty one, and runtimes insist on that.
    buffers: list[Kept | Table] = [*map(Kept, model.starts(_BUFFERS_FIELD))] or [Table({})]
    kept = [
        Kept(at)
        for at, entry in zip(model.starts(_ENTRIES_FIELD), model.tables(_ENTRIES_FIELD), strict=True)
        if entry.text(0) not in added
    ]
    new = [
        Table({0: text(name), 1: Number(Kind.U32, len(buffers) + index)}) for index, name in enumerate(names)
    ]
    fields: dict[int, Number | Kept | Tables] = {
        index: Kept(at) for index in range(1, model.fields) if (at := model.target(index)) is not None
    }
    fields[_VERSION_FIELD] = Number(Kind.U32, model.u32(_VERSION_FIELD))
    fields[_BUFFERS_FIELD] = Tables([*buffers, *(Table({0: blob(added[name])}) for name in names)])
    fields[_ENTRIES_FIELD] = Tables([*kept, *new])
    front_bytes = len(build(Table(fields), _IDENTIFIER, note=_NOTE.pack(_EDITED, 0)))
    return build(Table(fields), _IDENTIFIER, content, _NOTE.pack(_EDITED, front_bytes))


def _entries(model: Found) -> dict[str, bytes]:
    buffers = tuple(model.tables(_BUFFERS_FIELD))
    named = {entry.text(0): entry.u32(1) for entry in model.tables(_ENTRIES_FIELD)}
    return {name: buffers[place].bytes(0) for name, place in named.items() if place < len(buffers)}


def _check_inside(model: Found) -> None:
    if any(buffer.u64(_OFFSET_FIELD) > 1 for buffer in model.tables(_BUFFERS_FIELD)):
        raise Malformed(
            "its constants lie outside of its tables, as those of models of more than 2 GB do:"
            " such a file cannot be added to"
        )
