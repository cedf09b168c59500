"""Whether a model is an image classifier, and what goes in and comes out of it. No arrays here."""

import math
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from agent.core.tflite import kinds
from agent.core.tflite.flatmodel import ModelFacts
from agent.wire.documents import (
    Activation,
    Dtype,
    Fit,
    InputContract,
    Normalization,
    OutputContract,
    Quantization,
)
from agent.wire.errors import Malformed

_SQUASHING: Final = frozenset({"SOFTMAX", "LOGISTIC"})
_RAW_ZERO: Final = {Dtype.UINT8: 0, Dtype.INT8: -128}
SIDE_MAX_PX: Final = 8192
"""As manifests have it; a larger input would take the memory of a device with its first allocation."""
_NUMBERS: Final = {
    Dtype.UINT8: (0, 255),
    Dtype.INT8: (-128, 127),
    Dtype.INT16: (-32768, 32767),
}
_SHARE_SCALE: Final = 1 / 256
"""TFLite fixes a quantised softmax to scale 1/256 and the lowest number as zero point."""


class TensorForm(Protocol):
    """A tensor, as the file describes it or as a runtime does."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def quantization(self) -> Quantization | None: ...


def not_a_classifier(
    inputs: Sequence[TensorForm], outputs: Sequence[TensorForm], operators: Collection[str] = ()
) -> str | None:
    """Why these are not the tensors of an image classifier, and what to do; None if they are.

    A classifier has one input of 1 x height x width x 1 or 3 (without the last axis: a gray image), and
    one output whose last axis counts the classes and whose others are 1. An extractor of embeddings has that
    form too, and nothing tells it for sure from a classifier that ends in logits: it is served, and the
    strongest of its numbers go by `class N`. Whoever wants the vector itself calls the model with `invoke`.

    Args:
        inputs: of the main graph.
        outputs: same.
        operators: names of the operators, as far as they are known; they say what it is instead.
    """
    fault = _fault(inputs, outputs)
    if fault is None:
        return None
    instead = kinds.kind(inputs, outputs, operators)
    if instead is None:
        return f"not a classifier: {fault}; shoal-agent invoke runs models of any kind"
    return f"not a classifier: {fault}; it is {instead}, and shoal-agent invoke runs it"


def _fault(inputs: Sequence[TensorForm], outputs: Sequence[TensorForm]) -> str | None:
    if len(inputs) != 1 or len(outputs) != 1:
        counted = f"{_counted(len(inputs), 'input')} and {_counted(len(outputs), 'output')}"
        return f"{counted}, one of each is needed"
    return _image_fault(inputs[0]) or _scores_fault(outputs[0])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _image_fault(tensor: TensorForm) -> str | None:
    shape = tensor.shape
    said = f"its input is {_form(tensor)}"
    if tensor.dtype not in list(Dtype):
        return f"{said}; an image is one of {', '.join(Dtype)}"
    if len(shape) == 4 and shape[1] in {1, 3} and shape[3] not in {1, 3}:
        return f"{said}, channels first; convert it with the channels last"
    if len(shape) not in {3, 4} or shape[0] != 1 or min(shape) < 1 or shape[3:] not in {(), (1,), (3,)}:
        return f"{said}; an image is 1 x height x width x 1 or 3"
    if max(shape[1:3]) > SIDE_MAX_PX:
        return f"{said}; an image has at most {SIDE_MAX_PX} px a side"
    if tensor.dtype == Dtype.INT16 and tensor.quantization is None:
        return f"{said} without a scale"
    return _quantization_fault(tensor, said)


def _scores_fault(tensor: TensorForm) -> str | None:
    shape = tensor.shape
    said = f"its output is {_form(tensor)}"
    if tensor.dtype not in list(Dtype):
        return f"{said}; scores are one of {', '.join(Dtype)}"
    if not shape or min(shape) < 1 or any(size != 1 for size in shape[:-1]):
        return f"{said}; scores are 1 x classes"
    if tensor.quantization is None and tensor.dtype in {Dtype.UINT8, Dtype.INT8, Dtype.INT16}:
        return f"{said} without a scale"
    return _quantization_fault(tensor, said)


def _quantization_fault(tensor: TensorForm, said: str) -> str | None:
    """Runtimes differ in what they make of a scale that means nothing: some compute on, and answer zeros."""
    found, (least, most) = tensor.quantization, _NUMBERS.get(Dtype(tensor.dtype), (0, 0))
    if found is None or least == most:
        return None
    if not (math.isfinite(found.scale) and found.scale > 0):
        return f"{said} with a scale of {found.scale:g}; it must be a positive number"
    if not least <= found.zero_point <= most:
        return f"{said} with a zero point of {found.zero_point}, which is outside {least} to {most}"
    return None


def _form(tensor: TensorForm) -> str:
    return f"{' x '.join(map(str, tensor.shape)) or 'dynamic'} {tensor.dtype}"


def infer(facts: ModelFacts, fit: Fit = Fit.CENTRE_CROP) -> tuple[InputContract, OutputContract]:
    """The contract that the file itself implies.

    Raises:
        Malformed: it is no image classifier.
    """
    fault = not_a_classifier(facts.inputs, facts.outputs, facts.operator_names)
    if fault is not None:
        raise Malformed(fault)
    image, scores = facts.inputs[0], facts.outputs[0]
    declared = None if facts.card is None else facts.card.normalization
    _, height, width, *channels = image.shape
    return InputContract(
        height_px=height,
        width_px=width,
        channels=3 if channels == [3] else 1,
        dtype=Dtype(image.dtype),
        fit=fit,
        quantization=image.quantization,
        normalization=_material(declared, image),
    ), OutputContract(
        classes=scores.shape[-1],
        dtype=Dtype(scores.dtype),
        activation=_activation(facts.output_operator, scores),
        quantization=scores.quantization,
    )


def _material(declared: Normalization | None, image: TensorForm) -> Normalization | None:
    """The normalization, unless the raw bytes are the same thing to within one step.

    Authors declare the float parent's mean and std on quantised models too; there they only describe what
    the scale and zero point already say, and applying them would add a rounding error to half the values.
    """
    quantization, zero = image.quantization, _RAW_ZERO.get(Dtype(image.dtype))
    if declared is None or quantization is None or zero is None:
        return declared
    steps = [
        abs((pixel - mean) / (std * quantization.scale) + quantization.zero_point - (pixel + zero))
        for mean, std in zip(declared.mean, declared.std, strict=True)
        for pixel in (0, 255)
    ]
    return None if max(steps) <= 1.0 + 1e-3 else declared


def _activation(operator: str | None, scores: TensorForm) -> Activation:
    if operator in _SQUASHING:
        return Activation.PROBABILITIES
    quantization, zero = scores.quantization, _RAW_ZERO.get(Dtype(scores.dtype))
    if quantization == Quantization(scale=_SHARE_SCALE, zero_point=-1 if zero is None else zero):
        return Activation.PROBABILITIES
    return Activation.LOGITS


def compare(
    wanted_input: InputContract, wanted_output: OutputContract, image: TensorForm, scores: TensorForm
) -> str | None:
    """In words, how a loaded model's tensors differ from what a manifest declares; None if they don't."""
    channels = image.shape[3] if len(image.shape) == 4 else 1
    faults = [
        *_differ("input height x width", _size(wanted_input), image.shape[1:3]),
        *_differ("input channels", wanted_input.channels, channels),
        *_differ("input type", wanted_input.dtype.value, str(image.dtype)),
        *_differ_quantization("input", wanted_input.quantization, image.quantization),
        *_unusable(wanted_input, image),
        *_differ("classes", wanted_output.classes, scores.shape[-1]),
        *_differ("output type", wanted_output.dtype.value, str(scores.dtype)),
        *_differ_quantization("output", wanted_output.quantization, scores.quantization),
    ]
    return "; ".join(faults) or None


def _unusable(wanted: InputContract, image: TensorForm) -> list[str]:
    """What the declared normalization lacks to be applied to this input."""
    normalization = wanted.normalization
    if normalization is None:
        return []
    means, stds = len(normalization.mean), len(normalization.std)
    faults = []
    if means != stds or means not in {1, wanted.channels} or not all(normalization.std):
        faults.append(
            f"normalization: {means} means and {stds} deviations, for {wanted.channels} channels there must"
            f" be one of each or {wanted.channels}, no deviation 0"
        )
    if image.dtype in {Dtype.UINT8, Dtype.INT8, Dtype.INT16} and image.quantization is None:
        faults.append(f"normalization: the model's {image.dtype} input has no scale to apply it with")
    return faults


def _size(wanted: InputContract) -> tuple[int, ...]:
    return wanted.height_px, wanted.width_px


def _differ(what: str, wanted: object, found: object) -> list[str]:
    return [] if wanted == found else [f"{what}: the manifest says {wanted}, the model has {found}"]


def _differ_quantization(what: str, wanted: Quantization | None, found: Quantization | None) -> list[str]:
    """A manifest that declares none leaves it to the file: variants may differ in their parameters."""
    if wanted is None:
        return []
    if found is not None and wanted.zero_point == found.zero_point:
        # A scale is a float32 in the file and may be written with fewer digits in a manifest.
        same = abs(wanted.scale - found.scale) <= 1e-5 * found.scale
    else:
        same = False
    return [] if same else _differ(f"{what} quantization", _parameters(wanted), _parameters(found))


def _parameters(quantization: Quantization | None) -> str:
    if quantization is None:
        return "none"
    return f"scale {quantization.scale:.8g} and zero point {quantization.zero_point}"
