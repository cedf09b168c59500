"""What one or two model files are together: the variants of one release."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from agent.core.inference import contract, labels
from agent.core.tflite import flatmodel, needs
from agent.core.tflite.flatmodel import ModelFacts
from agent.core.tflite.needs import Need
from agent.wire.documents import Activation, Delegate, Fit, InputContract, Normalization, OutputContract
from agent.wire.errors import Malformed
from deploy.core.refusal import Refused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelFile:
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator knows better than the file."""

    fit: Fit = Fit.CENTRE_CROP
    normalization: Normalization | None = None
    activation: Activation | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """A model file and what it says about itself, under the operator's options."""

    file: ModelFile
    facts: ModelFacts
    input: InputContract
    output: OutputContract

    @property
    def delegate(self) -> Delegate:
        return Delegate.EDGETPU if self.facts.edgetpu else Delegate.CPU


def examine(file: ModelFile, options: Options) -> Examined:
    """
    Raises:
        Refused: the file is no TFLite model, or no image classifier.
    """
    try:
        facts = flatmodel.examine(file.content)
        taken, given = contract.infer(facts, options.fit)
    except Malformed as error:
        raise Refused(f"{file.name}: {error}") from error
    normalization = options.normalization or taken.normalization
    if normalization and len(normalization.mean) not in {1, taken.channels}:
        raise Refused(
            f"{file.name}: {len(normalization.mean)} values of mean and std for {taken.channels} channels: "
            f"give one, or {taken.channels}"
        )
    return Examined(
        file,
        facts,
        replace(taken, normalization=normalization),
        replace(given, activation=options.activation or given.activation),
    )


def need(variant: Examined, runtime: str) -> Need | None:
    """The oldest runtime that has what the variant uses; None: every runtime of Shoal has.

    Args:
        variant: one of a release.
        runtime: the one that runs the release here, which has whatever is too new to be known of any other.
    """
    unknown = needs.unknown(variant.facts)
    return Need(runtime, ", ".join(unknown)) if unknown else needs.need(variant.facts)


def pair(examined: Sequence[Examined]) -> tuple[Examined, ...]:
    """The variants with the CPU's first.

    Raises:
        Refused: there is none for the CPU, two for the same delegate, or they are not the same classifier.
    """
    by_delegate = {variant.delegate: variant for variant in examined}
    if len(by_delegate) < len(examined):
        twice = examined[0].delegate
        raise Refused(
            f"{' and '.join(v.file.name for v in examined)} are both for {twice}: "
            "a release takes one file for the CPU and one for the Edge TPU"
        )
    cpu = by_delegate.pop(Delegate.CPU, None)
    if cpu is None:
        raise Refused(
            f"{examined[0].file.name} is compiled for the Edge TPU: give the CPU file that it was compiled "
            "from too, it computes the golden outputs and serves where there is no Edge TPU"
        )
    for twin in by_delegate.values():
        if _form(twin) != _form(cpu):
            raise Refused(f"{cpu.file.name} and {twin.file.name} differ in size, type or classes")
    return (cpu, *by_delegate.values())


def _form(variant: Examined) -> tuple[InputContract, OutputContract]:
    return replace(variant.input, quantization=None), replace(variant.output, quantization=None)


def shared(variants: Sequence[Examined]) -> tuple[InputContract, OutputContract]:
    """The contract of them all; a quantization in which they differ is left to each file."""
    first = variants[0]
    same_input = all(variant.input == first.input for variant in variants)
    same_output = all(variant.output == first.output for variant in variants)
    return (
        first.input if same_input else replace(first.input, quantization=None),
        first.output if same_output else replace(first.output, quantization=None),
    )


def labels_file(variants: Sequence[Examined], given: ModelFile | None) -> bytes | None:
    """The label file that must travel with the release; None where each file holds its own, or none does.

    Raises:
        Refused: the labels cannot be read, or are not as many as the classes.
    """
    if given is not None:
        names = _read(given.name, lambda: labels.parse(given.content))
        _count(given.name, names, variants[0])
        return given.content
    inside = [_inside(variant) for variant in variants]
    if all(inside) or not any(inside):
        return None
    return "\n".join(next(filter(None, inside))).encode()


def has_labels(variants: Sequence[Examined], given: ModelFile | None) -> bool:
    return given is not None or any(_inside(variant) for variant in variants)


def _inside(variant: Examined) -> tuple[str, ...]:
    """The labels that the file itself holds; none is no error."""
    file = variant.file
    names = _read(file.name, lambda: labels.embedded(file.content, variant.facts)) or ()
    if names:
        _count(f"inside {file.name}", names, variant)
    return names


def _read(name: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except Malformed as error:
        raise Refused(f"{name}: {error}") from error


def _count(name: str, names: Sequence[str], variant: Examined) -> None:
    fault = labels.mismatch(names, variant.output.classes)
    if fault is not None:
        raise Refused(f"{name}: {fault}")
