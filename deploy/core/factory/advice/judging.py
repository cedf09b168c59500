"""From what the converter made of a source to what is said about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.inference import contract
from agent.core.tflite import flatmodel, invocation, needs
from agent.core.tflite.flatmodel import ModelFacts
from deploy.core.factory.advice import choosing
from deploy.core.factory.advice.choosing import Choice, Outcome, Target
from deploy.core.factory.advice.document import (
    Advised,
    Budget,
    EdgeTpuSeen,
    ModeSeen,
    OnCpu,
    Outside,
)
from deploy.core.factory.advice.words import Describe, Described, Tried
from deploy.core.factory.conversion.allowing import FLEX
from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.edgetpu import rules
from deploy.core.factory.edgetpu.rules import Placement
from deploy.core.factory.tflite import arithmetic, dataflow
from deploy.core.factory.tflite.dataflow import Dataflow
from deploy.core.factory.tflite.tensor_seen import seen

INTEGER: Final = (Quantize.INT8, Quantize.UINT8, Quantize.INT8_FLOAT_IO)


@dataclass(frozen=True, slots=True)
class Made:
    """One file that the converter wrote."""

    tried: Tried
    facts: ModelFacts
    flow: Dataflow
    placement: Placement


def made(tried: Tried, content: bytes) -> Made:
    """
    Raises:
        Malformed: it is no whole model.
    """
    flow = dataflow.read(content)
    return Made(tried, flatmodel.examine(content), flow, rules.place(flow))


@dataclass(frozen=True, slots=True)
class Question:
    source: str
    target: Target
    budget_ms: float | None
    order: Describe


def advise(
    question: Question, described: Described, files: Mapping[Quantize, Made], foreign: Dataflow | None
) -> Advised:
    """
    Args:
        question: what was asked.
        described: what the factory said.
        files: what it wrote.
        foreign: the float model with what is outside the built-in set; None: there is none.
    """
    choice = _choice(question, described, files)
    plainest = files.get(Quantize.NONE) or next(iter(files.values()), None)
    integer = next((files[mode] for mode in INTEGER if mode in files), None)
    on_edgetpu = integer if question.target is not Target.CPU else None
    return Advised(
        source=question.source,
        target=question.target,
        convertible=bool(files),
        quantized=described.quantized,
        signatures=described.signatures,
        samples=described.samples,
        multiplications=arithmetic.multiplications(plainest.flow) if plainest else 0,
        modes=tuple(_mode(tried, files) for tried in described.tried),
        outside=tuple(_outside(foreign)) if foreign else (),
        edgetpu=_edgetpu(on_edgetpu) if on_edgetpu else None,
        mode=choice.mode,
        reasons=choice.reasons,
        needs=choice.needs,
        fit=question.order.look.fit,
        normalization=question.order.look.normalization,
        budget=_budget(question, choice, files),
        changes=tuple(
            dict.fromkeys(
                (
                    *_changes(described, files.get(choice.mode or Quantize.NONE) or plainest),
                    *(_mostly_on_cpu(on_edgetpu.placement) if on_edgetpu and choice.mode else ()),
                )
            )
        ),
    )


def _choice(question: Question, described: Described, files: Mapping[Quantize, Made]) -> Choice:
    outcomes = {mode: _outcome(each) for mode, each in files.items()}
    if described.quantized:
        (mode,) = outcomes
        if files[mode].facts.edgetpu:
            return choosing.COMPILED
        return choosing.as_it_is(question.target, mode, outcomes[mode])
    return choosing.choose(question.target, outcomes, described.samples, question.budget_ms)


def _outcome(each: Made) -> Outcome:
    return Outcome(each.facts.length_bytes, _least(each.tried), each.placement.mapped)


def _least(tried: Tried) -> float | None:
    return tried.timed.least_ms if tried.timed is not None and tried.timed.calls else None


def _mode(tried: Tried, files: Mapping[Quantize, Made]) -> ModeSeen:
    found = files.get(tried.mode)
    if found is None:
        return ModeSeen(mode=tried.mode, refusal=tried.refusal)
    whole = files.get(Quantize.NONE)
    length = found.facts.length_bytes
    return ModeSeen(
        mode=tried.mode,
        length_bytes=length,
        float_share=round(length / whole.facts.length_bytes, 4) if whole else None,
        least_ms=_least(tried),
        runtime=tried.timed.runtime if tried.timed else "",
        inputs=tuple(map(seen, found.facts.inputs)),
        outputs=tuple(map(seen, found.facts.outputs)),
        remarks=tuple(_remarks(found)),
    )


def _remarks(found: Made) -> Iterator[str]:
    if found.tried.timed is not None and found.tried.timed.fault:
        yield f"no runtime here runs it: {found.tried.timed.fault}"
    need = needs.need(found.facts)
    if need is not None:
        yield need.in_words()


def _outside(flow: Dataflow) -> Iterator[Outside]:
    for operator in flow.operators:
        if operator.custom:
            yield Outside(
                operator=operator.name.removeprefix(FLEX),
                layer=flow.layer(operator),
                instead=choosing.instead(operator.name),
            )


def _edgetpu(found: Made) -> EdgeTpuSeen:
    placement = found.placement
    return EdgeTpuSeen(
        operators=placement.operators,
        mapped=placement.mapped,
        cut=_on_cpu(placement.cut) if placement.cut else None,
        others=tuple(map(_on_cpu, placement.unsupported[1:])),
        parameter_bytes=placement.parameter_bytes,
        streamed_bytes=placement.streamed_bytes,
        refusal=rules.refusal(found.facts, found.flow) or "",
        doubt=rules.doubt(found.flow) or "",
    )


def _on_cpu(found: rules.OnCpu) -> OnCpu:
    return OnCpu(operator=found.operator, layer=found.layer, reason=found.reason, instead=found.instead)


def _budget(question: Question, choice: Choice, files: Mapping[Quantize, Made]) -> Budget | None:
    if question.budget_ms is None:
        return None
    found = None if choice.mode is None else files.get(choice.mode)
    return Budget(wanted_ms=question.budget_ms, found_ms=_least(found.tried) if found else None)


def _changes(described: Described, found: Made | None) -> Iterator[str]:
    """What stands in the way of a device, in the file that is advised."""
    yield from described.remarks
    for signature in described.signatures:
        for form in signature.inputs:
            if form.dtype == "float64":
                yield f"input {form.name!r} is float64: build the model with float32, no device takes that"
    if found is None:
        return
    if len(found.facts.signatures) > 1:
        first = found.facts.signatures[0]
        yield f"operators, multiplications and times are those of its first signature, {first}"
    fault = contract.not_a_classifier(found.facts.inputs, found.facts.outputs, found.facts.operator_names)
    if fault is not None:
        yield fault
    yield from _open_sizes(found.flow)
    yield from _costly(found.flow)


def _mostly_on_cpu(placement: Placement) -> Iterator[str]:
    if 0 < placement.mapped < placement.operators // 2:
        yield (
            f"an Edge TPU would compute {placement.mapped} of {placement.operators} operators and leave "
            "the rest to the CPU: change what it leaves off at, or compare the pair's time with the CPU's"
        )


def _open_sizes(flow: Dataflow) -> Iterator[str]:
    for index in flow.inputs:
        tensor = flow.tensors[index]
        if -1 in tensor.signature:
            yield (
                f"input {tensor.name!r} has an open size ({invocation.said(tensor.signature)}): fix it with "
                "--shape, since an Edge TPU takes fixed sizes only"
            )


def _costly(flow: Dataflow) -> Iterator[str]:
    names = {operator.name for operator in flow.operators}
    if "WHILE" in names:
        yield (
            "a recurrent layer became a loop (WHILE), whose multiplications are not counted: an LSTM with "
            "the usual activations becomes one operator, which is smaller and has an integer form"
        )
    layers: Sequence[str] = arithmetic.unfolded(flow)
    if layers:
        yield (
            f"{len(layers)} batch normalizations stayed operators of their own ({layers[0]}): put each right "
            "behind its convolution, with nothing between, and it is folded into the weights"
        )
