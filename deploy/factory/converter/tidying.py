"""Takes out of a fresh .tflite file what nothing reads: 1 % of a small file, and no number of it.

The converter gives every tensor a buffer and a table of quantization, most of them empty, and calls
weights, and the float copies of 16-bit weights, by all the operators that it fused. It is written anew with
the schema of the very converter that wrote it, so that no field is younger than this.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs: buffer 0 is the empty one, and data of buffers are
aligned to 16 bytes.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

from deploy.factory.converter import widening

_IDENTIFIER: Final = b"TFL3"
_UNREAD: Final = b"CONVERSION_METADATA"
"""What the converter says of itself; the provenance that we write says it in words."""
_ALIGNMENT: Final = 16


def tidy(content: bytes) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if any(buffer.offset > 1 for buffer in model.buffers):
        return content  # above 2 GB the data stand behind the flatbuffer
    widening.widen(model, widening.FEW)
    for graph in model.subgraphs:
        _tidy_graph(graph, model)
    model.metadata = [entry for entry in model.metadata or () if entry.name != _UNREAD]
    _drop_buffers(model)
    builder = _Aligned(len(content))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _tidy_graph(graph: Any, model: Any) -> None:
    for tensor in graph.tensors:
        found = tensor.quantization
        if found is not None and found.scale is None and found.min is None and found.details is None:
            tensor.quantization = None
        data = model.buffers[tensor.buffer].data
        if data is None or len(data) == 0:
            tensor.buffer = 0
    constants = {place for place, tensor in enumerate(graph.tensors) if tensor.buffer}
    for place in constants:
        graph.tensors[place].name = (graph.tensors[place].name or b"").partition(b";")[0]
    ends = {int(place) for places in (graph.inputs, graph.outputs) if places is not None for place in places}
    _shorten([tensor for place, tensor in enumerate(graph.tensors) if place not in constants | ends])
    for operator in graph.operators or ():
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.DEQUANTIZE and operator.inputs[0] in constants:
            for place in {*operator.outputs} - ends:
                graph.tensors[place].name = b""


def _shorten(computed: Sequence[Any]) -> None:
    """The first of the names of all that was fused, where no other has it: layers are told by their names."""
    names = [(tensor.name or b"").partition(b";")[0] for tensor in computed]
    counts = Counter(names)
    for tensor, name in zip(computed, names, strict=True):
        if counts[name] == 1:
            tensor.name = name


def _drop_buffers(model: Any) -> None:
    holders = [tensor for graph in model.subgraphs for tensor in graph.tensors] + model.metadata
    numbers = () if model.metadataBuffer is None else model.metadataBuffer
    kept = sorted({0, *(holder.buffer for holder in holders), *numbers})
    places = {old: new for new, old in enumerate(kept)}
    model.buffers = [model.buffers[old] for old in kept]
    for holder in holders:
        holder.buffer = places[holder.buffer]
    if model.metadataBuffer is not None:
        model.metadataBuffer = [places[old] for old in model.metadataBuffer]


class _Aligned(flatbuffers.Builder):  # type: ignore[misc] # flatbuffers has no types
    """The schema's `force_align`, which the generated Python does not keep."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803 - theirs
        wanted = _ALIGNMENT if elemSize == 1 else alignment
        return super().StartVector(elemSize, numElems, wanted)
