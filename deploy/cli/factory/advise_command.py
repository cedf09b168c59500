"""`shoal advise`: what can be done with a trained model, before it is done."""

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Final

from agent.core.tflite import invocation
from deploy.assemble.factory import advising
from deploy.assemble.factory.advising import Request
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory import convert_command, look_options
from deploy.cli.factory.number_options import above
from deploy.cli.factory.progress_lines import ProgressLines
from deploy.cli.output import Said
from deploy.core.factory.advice.choosing import Target
from deploy.core.factory.advice.document import Advised, EdgeTpuSeen, ModeSeen, OnCpu
from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.tflite.tensor_seen import TensorSeen

EPILOG: Final = """\
examples:
  shoal advise birds.keras
  shoal advise birds.keras --target edgetpu --representative photographs/
  shoal advise exported/ --target cpu --budget-ms 30
  shoal advise birds_int8.tflite --target edgetpu

It converts the source in several modes in a process of its own, looks at what comes of it and keeps nothing.
Times are of one thread of this machine: a Raspberry Pi is slower, and shoal evaluate there knows. What an
Edge TPU takes is judged by its compiler's documentation; the compiler itself is asked by shoal compile.
"""
_SHOWN_MAX: Final = 5


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a SavedModel's folder, a .keras, .h5, .onnx or .tflite file, or module:function",
    )
    parser.add_argument(
        "--target",
        choices=command.names(Target),
        default=Target.BOTH.value,
        help="where it shall run (default: both, as in a release of two files)",
    )
    parser.add_argument(
        "--budget-ms", type=above(0.0, math.inf), metavar="N", help="for one inference on the CPU"
    )
    parser.add_argument(
        "--representative",
        nargs="+",
        default=[],
        metavar="[SIG=]PLACE",
        help="data like that which it will see, as shoal convert takes it (default: noise, which gives sizes "
        "and times, and no ranges)",
    )
    parser.add_argument(
        "--shape",
        nargs="+",
        type=convert_command.shape,
        default=[],
        metavar="NAME=1xHxWxC",
        help="sizes that the source leaves open (default: a batch of 1)",
    )
    look_options.add(parser)
    command.add_json(parser)


def run(options: Namespace) -> int:
    request = Request(
        source=options.source,
        target=Target(options.target),
        budget_ms=options.budget_ms,
        representative=tuple(options.representative),
        look=look_options.look(options),
        shapes=dict(options.shape),
    )
    advised = advising.advise(request, ProgressLines().note)
    if options.json:
        output.say_json(advised)
    else:
        output.say(*_lines(advised))
    return 0


def _lines(advised: Advised) -> Iterator[Said]:
    can = "can be converted as it is" if advised.convertible else "cannot be converted as it is"
    can = "is quantized already" if advised.quantized else can
    yield f"{advised.source} {can}; one inference multiplies {advised.multiplications:,} times"
    yield output.Table(
        ["MODE", "BYTES", "OF FLOAT", "MS HERE", "TAKES", "GIVES"], [_row(mode) for mode in advised.modes]
    )
    for mode in advised.modes:
        if mode.refusal:
            yield f"{mode.mode}: {mode.refusal}"
        for remark in mode.remarks:
            yield f"{mode.mode}: {remark}"
    for outside in advised.outside[:_SHOWN_MAX]:
        instead = f": build it with {outside.instead}" if outside.instead else ""
        yield f"outside the built-in operators: {outside.operator} ({outside.layer}){instead}"
    if len(advised.outside) > _SHOWN_MAX:
        yield f"outside the built-in operators: {len(advised.outside) - _SHOWN_MAX} more"
    if advised.edgetpu is not None:
        yield from _edgetpu(advised.edgetpu)
    yield from _choice(advised)


def _row(mode: ModeSeen) -> list[str]:
    if mode.refusal:
        return [mode.mode, "refused", "", "", "", ""]
    return [
        mode.mode,
        f"{mode.length_bytes:,}",
        "" if mode.float_share is None else f"{mode.float_share:.2f}",
        "" if mode.least_ms is None else f"{mode.least_ms:.3g}",
        _forms(mode.inputs),
        _forms(mode.outputs),
    ]


def _forms(tensors: Sequence[TensorSeen]) -> str:
    said = [f"{invocation.said(tensor.shape)} {tensor.dtype}" for tensor in tensors]
    return ", ".join(said[:2]) + (f" and {len(said) - 2} more" if len(said) > 2 else "")


def _edgetpu(seen: EdgeTpuSeen) -> Iterator[str]:
    if seen.refusal:
        yield f"Edge TPU: its compiler would write nothing, the file {seen.refusal}"
        return
    yield f"Edge TPU: {seen.mapped} of {seen.operators} operators by its compiler's rules{_parameters(seen)}"
    if seen.doubt:
        yield f"Edge TPU: {seen.doubt}"
    if seen.cut is not None:
        yield f"Edge TPU: it leaves off at {_on_cpu(seen.cut)}; all after it stays on the CPU"
    for other in seen.others[:_SHOWN_MAX]:
        yield f"Edge TPU: nor would it take {_on_cpu(other)}"
    if len(seen.others) > _SHOWN_MAX:
        yield f"Edge TPU: nor {len(seen.others) - _SHOWN_MAX} more"


def _parameters(seen: EdgeTpuSeen) -> str:
    if not seen.parameter_bytes:
        return ""
    fit = (
        f"{seen.streamed_bytes:,} of them sent at each inference"
        if seen.streamed_bytes
        else "which fit onto it"
    )
    return f", {seen.parameter_bytes:,} bytes of parameters, {fit}"


def _on_cpu(found: OnCpu) -> str:
    instead = f" (build it with {found.instead})" if found.instead else ""
    return f"{found.operator} at {found.layer}: {found.reason}{instead}"


def _choice(advised: Advised) -> Iterator[str]:
    yield f"advised for {advised.target}: {advised.mode or 'no mode'}: {'; '.join(advised.reasons)}"
    yield from _pictures(advised)
    for need in advised.needs:
        yield f"first: {need}"
    if advised.budget is not None:
        yield _budget(advised)
    for change in advised.changes:
        yield f"mind: {change}"
    if advised.mode is not None and not advised.quantized:
        data = " --representative DIR" if advised.mode.calibrated else ""
        data += "" if advised.target is Target.CPU else " --edgetpu"
        yield f"next: shoal convert {advised.source} -o model.tflite --quantize {advised.mode}{data}"
        if advised.mode in {Quantize.INT8, Quantize.UINT8}:
            yield "if it answers worse than the float model: int16x8 on a CPU, or shoal optimize first"


def _pictures(advised: Advised) -> Iterator[str]:
    """How a picture becomes the input of what is advised."""
    mode = next((mode for mode in advised.modes if mode.mode == advised.mode), None)
    for tensor in () if mode is None else mode.inputs:
        if len(tensor.shape) == 4 and tensor.shape[3] in {1, 3}:
            yield f"a picture becomes {tensor.name} by {advised.fit}{_numbers(advised, tensor)}"


def _numbers(advised: Advised, tensor: TensorSeen) -> str:
    found, ranged = tensor.quantization, advised.samples > 0 or advised.quantized
    if found is not None:
        scale = f"scale {found.scale:.6g}, zero point {found.zero_point}"
        return f", with {scale}" if ranged else ", its scale set by the representative data"
    normalization = advised.normalization
    if normalization is None:
        return " and (byte - 127.5) / 127.5"
    mean, std = (", ".join(f"{each:g}" for each in side) for side in (normalization.mean, normalization.std))
    return f" and (byte - {mean}) / {std}"


def _budget(advised: Advised) -> str:
    assert advised.budget is not None
    wanted, found = advised.budget.wanted_ms, advised.budget.found_ms
    if found is None:
        return f"the budget of {wanted:g} ms cannot be judged: nothing here runs what is advised"
    kept = "is kept" if found <= wanted else "is not kept"
    return (
        f"the budget of {wanted:g} ms {kept} on one thread of this machine ({found:.3g} ms); the times of "
        f"the devices decide{', and an Edge TPU has its own' if advised.target is not Target.CPU else ''}"
    )


COMMAND: Final = Command(
    "advise", "what can be done with a trained model, and which quantization fits", add_options, run, EPILOG
)
