"""Real models for tests, and hostile candidates made of them."""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image

from agent.adapters.runtime_tflite import open_runtime
from agent.adapters.runtime_tflite.loading import TfliteRuntime
from agent.core.inference import contract, labels, scores
from agent.core.inference.tensors import prepare
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatmodel
from agent.wire import codec
from agent.wire.documents import GoldenCase, GoldenSet
from agent.wire.ipc import ModelSpec
from agent.wire.topics import sha256

SHARED = Path(__file__).resolve().parents[2] / "shared" / "models"

TINY = "mobilenet_v1_0.25_128_quant.tflite"
TINY_INT8 = "derived_mobilenet_v1_0.25_128_int8_int8io.tflite"
TINY_FLOAT = "derived_mobilenet_v1_0.25_128_f32.tflite"
FULL = "mobilenet_v2_1.0_224_quant.tflite"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/models/{name} is not at hand")
    return path


def installed(choice: RuntimeChoice) -> TfliteRuntime:
    """The runtime; the test is skipped where there is none."""
    if choice is RuntimeChoice.TFLITE:
        pytest.importorskip("tflite_runtime", reason="it has no wheel for this Python")
    return open_runtime(choice)


def pictures() -> Path:
    return shared("images")


def picture(name: str) -> np.ndarray:
    with Image.open(pictures() / name) as image:
        return np.asarray(image.convert("RGB"))


def spec(path: Path, *, labels_path: Path | None = None, like: Path | None = None) -> ModelSpec:
    """What a manifest says that declares the model in this file, or the one that it pretends to be."""
    content = path.read_bytes()
    image, answer = contract.infer(flatmodel.examine((like or path).read_bytes()))
    return ModelSpec(
        name=path.stem[:64],
        version="1",
        manifest=sha256(path.name.encode()),
        digest=sha256(content),
        model_path=str(path),
        labels_path=None if labels_path is None else str(labels_path),
        input=image,
        output=answer,
    )


def golden(of: Path, to: Path, names: tuple[str, ...] = ("parrot.jpg", "sunflower.bmp", "cat.bmp")) -> Path:
    """The golden set of this very model, written into the file `to`."""
    image, answer = contract.infer(flatmodel.examine(of.read_bytes()))
    model = open_runtime().load(of.read_bytes(), threads=1)
    cases = []
    for name in names:
        pixels = picture(name)
        found = scores.scores(model.invoke(prepare(pixels, image, model.input)), answer, model.output)
        cases.append(GoldenCase(png=png(pixels), expected=scores.top(found, 3)))
    to.write_bytes(codec.encode(GoldenSet(cases=tuple(cases))))
    return to


def png(pixels: np.ndarray) -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_flipped_weights(content: bytes) -> bytes:
    """Every weight of the largest tensor with its sign bit flipped: it loads, and answers nonsense."""

    def flip(model: Any) -> None:
        largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
        largest.data = np.frombuffer(bytes(largest.data), np.uint8) ^ 0x80

    return _changed(content, flip)


def with_constant_output(content: bytes) -> bytes:
    """The weights of the head are zero: it answers its bias, whatever it sees."""

    def zero(model: Any) -> None:
        weights = _tensor(model, _head(model).inputs[1])
        nothing = 0 if weights.quantization.zeroPoint is None else int(weights.quantization.zeroPoint[0])
        data = model.buffers[weights.buffer].data
        model.buffers[weights.buffer].data = np.full(len(data), nothing & 0xFF, np.uint8)

    return _changed(content, zero)


def with_nan_output(content: bytes) -> bytes:
    """A float model whose head has a bias of NaN."""

    def poison(model: Any) -> None:
        buffer = model.buffers[_tensor(model, _head(model).inputs[2]).buffer]
        buffer.data = np.frombuffer(struct.pack("<f", float("nan")) * (len(buffer.data) // 4), np.uint8)

    return _changed(content, poison)


def that_crashes(content: bytes) -> bytes:
    """A graph whose one operator is an IF with the graph itself as both of its branches: well-formed, and
    both runtimes recurse into it until their stack is at an end.
    """

    def recurse(model: Any) -> None:
        graph = model.subgraphs[0]
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.IF
        code.version = 1
        model.operatorCodes.append(code)
        condition = schema.TensorT()
        condition.shape, condition.type = np.array([], np.int32), schema.TensorType.BOOL
        condition.name, condition.buffer = b"condition", len(model.buffers)
        truth = schema.BufferT()
        truth.data = np.array([1], np.uint8)
        model.buffers.append(truth)
        graph.tensors.append(condition)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.inputs = np.array([len(graph.tensors) - 1, graph.inputs[0]], np.int32)
        operator.outputs = np.array(graph.outputs, np.int32)
        operator.builtinOptionsType = schema.BuiltinOptions.IfOptions
        operator.builtinOptions = schema.IfOptionsT()
        graph.operators = [operator]

    return _changed(content, recurse)


def label_file(to: Path, count: int) -> Path:
    to.write_text("".join(f"label {index}\n" for index in range(count)))
    return to


def labels_of(path: Path) -> tuple[str, ...] | None:
    return labels.embedded(path.read_bytes(), flatmodel.examine(path.read_bytes()))


def _changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(model: Any, index: int) -> Any:
    return model.subgraphs[0].tensors[index]


def _head(model: Any) -> Any:
    """The last operator with weights and a bias."""
    return next(operator for operator in reversed(model.subgraphs[0].operators) if len(operator.inputs) == 3)
