"""Small .tflite files, made on the spot: a RESHAPE that flattens the image, a SOFTMAX, an ADD, an SVDF."""

import io
import struct
import zipfile
from dataclasses import dataclass, field

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int16": 7, "int8": 9, "int4": 17}
ADD, FULLY_CONNECTED, RESHAPE, SOFTMAX, SVDF, CUSTOM = 0, 9, 22, 25, 27, 32


@dataclass(frozen=True)
class Form:
    """A tensor: scale 0 leaves its quantization out."""

    shape: tuple[int, ...]
    dtype: str = "uint8"
    scale: float = 0.0
    zero_point: int = 0
    constant: bool = False
    variable: bool = False
    content: bytes = b""
    free: tuple[int, ...] = ()
    """The shape with -1 where a size is free; empty: none is."""
    name: str = ""


@dataclass(frozen=True)
class Operator:
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom: str = ""
    version: int = 1


@dataclass(frozen=True)
class Entry:
    """A signature: names of inputs and outputs, and the tensors that they stand for."""

    key: str
    inputs: dict[str, int]
    outputs: dict[str, int]


@dataclass(frozen=True)
class Card:
    name: str = "Tiny"
    licence: str = "Apache-2.0"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels_file: str = "labels.txt"


@dataclass(frozen=True)
class Sketch:
    tensors: tuple[Form, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = (-1,)
    metadata: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    signatures: tuple[str | Entry, ...] = ()


def classifier(image: Form, scores: Form, *, softmax: bool = True, **others) -> bytes:
    """The pixels themselves are the logits; `scores` must have as many classes as the image has numbers."""
    if not softmax:
        return build(Sketch((image, scores), (Operator(RESHAPE, (0,), (1,)),), **others))
    flat = Form(scores.shape, image.dtype, image.scale, image.zero_point)
    operators = (Operator(RESHAPE, (0,), (1,)), Operator(SOFTMAX, (1,), (2,)))
    return build(Sketch((image, flat, scores), operators, **others))


def dense(version: int, weights: str = "int8") -> bytes:
    """A dynamic-range classifier: three classes from the twelve numbers of a 2 x 2 picture."""
    content = bytes(range(36)) if weights == "int8" else bytes(range(18))
    tensors = (
        Form((1, 2, 2, 3), "float32"),
        Form((1, 12), "float32"),
        Form((3, 12), weights, 1 / 64, content=content),
        Form((1, 3), "float32"),
        Form((1, 3), "float32"),
    )
    operators = (
        Operator(RESHAPE, (0,), (1,)),
        Operator(FULLY_CONNECTED, (1, 2, -1), (3,), version=version),
        Operator(SOFTMAX, (3,), (4,)),
    )
    return build(Sketch(tensors, operators))


def named(code: int, version: int) -> bytes:
    """A model that names an operator of this version and uses none."""
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    model.operatorCodes = [_code(Operator(code, (), (), version=version))]
    model.subgraphs = [_graph(Sketch((Form((1,), "float32"),), ()), model.buffers)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def edgetpu(image: Form, scores: Form, **others) -> bytes:
    return build(Sketch((image, scores), (Operator(CUSTOM, (0,), (1,), "edgetpu-custom-op"),), **others))


def adder(*signatures: Entry, dtype: str = "float32", names: tuple[str, str] = ("", "")) -> bytes:
    """Two inputs of any length, and their sum."""
    tensors = (
        Form((1,), dtype, free=(-1,), name=names[0]),
        Form((1,), dtype, free=(-1,), name=names[1]),
        Form((1,), dtype, free=(-1,), name="sum"),
    )
    return build(Sketch(tensors, (Operator(ADD, (0, 1), (2,)),), inputs=(0, 1), signatures=signatures))


def rememberer() -> bytes:
    """A recurrent model: each answer is the input and the one before it."""
    one = struct.pack("<f", 1.0)
    tensors = (
        Form((1, 1), "float32"),
        Form((1, 1), "float32", content=one),
        Form((1, 2), "float32", content=one + one),
        Form((1, 2), "float32", variable=True),
        Form((1, 1), "float32"),
    )
    return build(Sketch(tensors, (Operator(SVDF, (0, 1, 2, -1, 3), (4,)),)))


def detector(boxes: int = 10) -> bytes:
    """The inputs and outputs of an SSD, and the custom operator that gives it away."""
    tensors = (
        Form((1, 300, 300, 3), "uint8", 1 / 128, 128),
        Form((1, boxes, 4), "float32"),
        Form((1, boxes), "float32"),
        Form((1, boxes), "float32"),
        Form((1,), "float32"),
    )
    operator = Operator(CUSTOM, (0,), (1, 2, 3, 4), "TFLite_Detection_PostProcess")
    return build(Sketch(tensors, (operator,), outputs=(1, 2, 3, 4)))


def segmenter(side: int = 16, classes: int = 3) -> bytes:
    """A map over the picture."""
    image = Form((1, side, side, 3), "uint8", 1.0)
    scores = Form((1, side, side, classes), "uint8", 1.0)
    return build(Sketch((image, scores), (Operator(RESHAPE, (0,), (1,)),)))


def build(sketch: Sketch) -> bytes:
    model = schema.ModelT()
    model.version, model.description = 3, "made on the spot"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = [_code(operator) for operator in sketch.operators]
    model.subgraphs = [_graph(sketch, model.buffers)]
    model.metadata = [_metadata(name, content, model.buffers) for name, content in sketch.metadata.items()]
    model.signatureDefs = [_signature(key) for key in sketch.signatures]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output()) + _archive(sketch.files)


def _code(operator: Operator):
    code = schema.OperatorCodeT()
    code.deprecatedBuiltinCode, code.builtinCode = min(operator.code, 127), operator.code
    code.customCode = operator.custom or None
    code.version = operator.version
    return code


def _graph(sketch: Sketch, buffers: list):
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(index, form, buffers) for index, form in enumerate(sketch.tensors)]
    graph.inputs = list(sketch.inputs)
    graph.outputs = [index % len(sketch.tensors) for index in sketch.outputs]
    graph.operators = [_operator(index, each, sketch) for index, each in enumerate(sketch.operators)]
    return graph


def _tensor(index: int, form: Form, buffers: list):
    tensor = schema.TensorT()
    tensor.name = form.name or f"tensor {index}"
    tensor.shape, tensor.type = list(form.shape), TYPES[form.dtype]
    tensor.isVariable = form.variable
    if form.scale:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [form.scale], [form.zero_point]
    if form.constant or form.content:
        tensor.buffer = _buffer(form.content or bytes(64), buffers)
    if form.free:
        tensor.shapeSignature = list(form.free)
    return tensor


def _buffer(content: bytes, buffers: list) -> int:
    buffer = schema.BufferT()
    buffer.data = list(content)
    buffers.append(buffer)
    return len(buffers) - 1


def _operator(index: int, operator: Operator, sketch: Sketch):
    packed = schema.OperatorT()
    packed.opcodeIndex, packed.inputs, packed.outputs = index, list(operator.inputs), list(operator.outputs)
    if operator.code == RESHAPE:
        packed.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        packed.builtinOptions = schema.ReshapeOptionsT()
        packed.builtinOptions.newShape = list(sketch.tensors[operator.outputs[0]].shape)
    if operator.code == SOFTMAX:
        packed.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
        packed.builtinOptions = schema.SoftmaxOptionsT()
        packed.builtinOptions.beta = 1.0
    if operator.code == FULLY_CONNECTED:
        packed.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        packed.builtinOptions = schema.FullyConnectedOptionsT()
    if operator.code == ADD:
        packed.builtinOptionsType = schema.BuiltinOptions.AddOptions
        packed.builtinOptions = schema.AddOptionsT()
    if operator.code == SVDF:
        packed.builtinOptionsType = schema.BuiltinOptions.SVDFOptions
        packed.builtinOptions = schema.SVDFOptionsT()
        packed.builtinOptions.rank = 1
    return packed


def _metadata(name: str, content: bytes, buffers: list):
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, _buffer(content, buffers)
    return entry


def _signature(entry: str | Entry):
    signature = schema.SignatureDefT()
    named = entry if isinstance(entry, Entry) else Entry(entry, {}, {})
    signature.signatureKey = named.key
    signature.inputs = [_mapped(name, index) for name, index in named.inputs.items()]
    signature.outputs = [_mapped(name, index) for name, index in named.outputs.items()]
    return signature


def _mapped(name: str, index: int):
    mapped = schema.TensorMapT()
    mapped.name, mapped.tensorIndex = name, index
    return mapped


def _archive(files: dict[str, bytes]) -> bytes:
    if not files:
        return b""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def card(content: Card) -> bytes:
    """TFLite metadata as the metadata writer lays it out; no package with its schema is at hand."""
    builder = flatbuffers.Builder(512)
    process = _units(builder, content) if content.mean else None
    image = _table(builder, {4: process})
    label = _table(builder, {0: builder.CreateString(content.labels_file), 2: ("byte", 2)})
    scores = _table(builder, {6: _vector(builder, label)})
    graph = _table(builder, {2: _vector(builder, image), 3: _vector(builder, scores)})
    graphs = _vector(builder, graph)
    name, licence = builder.CreateString(content.name), builder.CreateString(content.licence)
    builder.Finish(_table(builder, {0: name, 3: graphs, 5: licence}), file_identifier=b"M001")
    return bytes(builder.Output())


def _units(builder, content: Card):
    std, mean = _floats(builder, content.std), _floats(builder, content.mean)
    options = _table(builder, {0: mean, 1: std})
    return _vector(builder, _table(builder, {0: ("byte", 1), 1: options}))


def _floats(builder, values: tuple[float, ...]):
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


def _vector(builder, table):
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def _table(builder, fields: dict):
    builder.StartObject(8)
    for index, value in fields.items():
        if isinstance(value, tuple):
            builder.PrependByteSlot(index, value[1], 0)
        elif value is not None:
            builder.PrependUOffsetTRelativeSlot(index, value, 0)
    return builder.EndObject()
