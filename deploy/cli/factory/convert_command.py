"""`shoal convert`: a trained model becomes a .tflite file that is known to answer as it does."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from agent.core.inference import contract
from agent.core.tflite import needs
from deploy.assemble.factory import converting
from deploy.assemble.factory.converting import Request, Result
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory import card_options, look_options
from deploy.cli.factory.number_options import between
from deploy.cli.factory.progress_lines import ProgressLines
from deploy.core.factory.conversion.words import Agreement, Calibration, Quantize, Signature
from deploy.core.factory.tflite.tensor_seen import TensorSeen, seen

EPILOG = """\
examples:
  shoal convert birds.keras -o birds.tflite --quantize float16
  shoal convert birds.keras -o birds.tflite --quantize int8 --representative photographs/ --labels birds.txt
  shoal convert exported/ -o birds.tflite --quantize uint8 --representative samples.npz
  shoal convert train:model -o birds.tflite --quantize dynamic

modes:
  none           float32
  dynamic        8-bit weights, activations are quantized while it runs; needs no data
  float16        16-bit weights; half the size, needs no data
  int8-float-io  integer inside where an operator has an integer form, float at both ends
  int8, uint8    full integer with int8 or uint8 at both ends; what an Edge TPU takes
  int16x8        16-bit activations, 8-bit weights

module:function is your own Python, found from the folder that you are in. It returns a Keras model, a
tf.function, a ConcreteFunction, a tf.Module, or a JAX function or PyTorch module with examples of its inputs:
  return forward, numpy.zeros((1, 224, 224, 3), "float32")
PyTorch needs shoal[convert-torch]; an .onnx file needs shoal[convert-onnx] and the program onnx2tf (pipx
install onnx2tf). A .tflite file must be a float one.

The conversion runs in a process of its own, and what comes of it is compared with the float model, on the
representative data where there is some, before anything is written.
"""


class Answer(Struct, frozen=True, kw_only=True):
    model: str
    digest: str
    length_bytes: int
    quantize: Quantize
    arithmetic: str
    inputs: tuple[TensorSeen, ...]
    """Of the first signature's graph."""
    outputs: tuple[TensorSeen, ...]
    operators: dict[str, int]
    signatures: tuple[Signature, ...]
    agreement: Agreement | None
    compared_on: str
    calibration: Calibration | None
    runtime_needed: str | None
    """None: every runtime of Shoal runs it."""
    source_digest: str
    converter: str
    remarks: tuple[str, ...]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a SavedModel's folder, a .keras, .h5, .onnx or float .tflite file, or module:function",
    )
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="the .tflite file")
    parser.add_argument(
        "--quantize",
        choices=command.names(Quantize),
        default=Quantize.NONE.value,
        metavar="MODE",
        help=f"{', '.join(command.names(Quantize))} (default: none)",
    )
    parser.add_argument(
        "--representative",
        nargs="+",
        action="extend",
        default=[],
        metavar="[SIG=]PLACE",
        help="data like that which it will see, for ranges and for the comparison: a folder of pictures, an "
        ".npz file or module:function; 100 to 500 samples",
    )
    _add_model(parser)
    look_options.add(parser)
    parser.add_argument("--labels", type=Path, metavar="FILE", help="one label a line, written into the file")
    card_options.add(parser)
    command.add_json(parser)


def _add_model(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what is converted, and what may be left in")
    group.add_argument(
        "--signature",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="only these (default: all that it has)",
    )
    group.add_argument(
        "--shape",
        nargs="+",
        action="extend",
        type=shape,
        default=[],
        metavar="NAME=1xHxWxC",
        help="sizes that the source leaves open, `any` for one that stays so (default: a batch of 1)",
    )
    group.add_argument(
        "--edgetpu",
        action="store_true",
        help="for shoal compile: dense layers get one scale for their whole matrix, since Coral's compiler "
        "is older than one a channel",
    )
    group.add_argument(
        "--float-fallback",
        action="store_true",
        help="int8, uint8, int16x8: operators without an integer form stay in float",
    )
    for option, what in (("--select-tf", "TensorFlow's own operators"), ("--custom", "custom operators")):
        group.add_argument(
            option,
            nargs="+",
            action="extend",
            default=[],
            metavar="OP",
            help=f"leave these of {what} in: no device runs them",
        )
    group.add_argument(
        "--accept-difference",
        type=between(0.0),
        metavar="SHARE",
        help="write it although its answers differ from the float model's by up to this share of their range",
    )


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`NAME=1x224x224x3`; `any` leaves a size open."""
    name, equals, sizes = text.rpartition("=")
    try:
        found = tuple(-1 if size == "any" else int(size) for size in sizes.split("x"))
    except ValueError:
        found = (0,)
    if not equals or not name or any(size == 0 or size < -1 for size in found):
        raise ArgumentTypeError(f"{text!r} is not NAME=SIZES, such as image=1x224x224x3")
    return name, found


def run(options: Namespace) -> int:
    request = Request(
        source=converting.source(options.source),
        out=options.out,
        quantize=Quantize(options.quantize),
        representative=tuple(map(converting.representative, options.representative)),
        look=look_options.look(options),
        labels=options.labels,
        card=card_options.card(options),
        signatures=tuple(options.signature),
        shapes=dict(options.shape),
        float_fallback=options.float_fallback,
        edgetpu=options.edgetpu,
        select_tf=tuple(options.select_tf),
        custom=tuple(options.custom),
        accept_difference=options.accept_difference,
    )
    result = converting.convert(request, ProgressLines().note)
    answer = _answer(request, result)
    if options.json:
        output.say_json(answer)
        return 0
    output.say(*_lines(answer))
    for remark in answer.remarks:
        output.note(remark)
    return 0


def _answer(request: Request, result: Result) -> Answer:
    facts, converted = result.facts, result.converted
    need = needs.need(facts)
    return Answer(
        model=str(result.path),
        digest=result.digest,
        length_bytes=facts.length_bytes,
        quantize=request.quantize,
        arithmetic=facts.arithmetic.value,
        inputs=tuple(map(seen, facts.inputs)),
        outputs=tuple(map(seen, facts.outputs)),
        operators={each.name: each.count for each in facts.operators},
        signatures=converted.signatures,
        agreement=converted.agreement,
        compared_on=converted.compared_on,
        calibration=converted.calibration,
        runtime_needed=None if need is None else need.runtime,
        source_digest=converted.source_digest,
        converter=converted.converter,
        remarks=converted.remarks,
    )


def _lines(answer: Answer) -> Iterator[str]:
    yield f"{answer.model}: {answer.length_bytes:,} bytes, {answer.arithmetic}, by {answer.converter}"
    for what, tensors in (("input", answer.inputs), ("output", answer.outputs)):
        for tensor in tensors:
            yield f"{what}  {_form(tensor)}"
    yield f"operators  {', '.join(f'{name} x {count}' for name, count in answer.operators.items())}"
    if answer.calibration is not None:
        yield f"calibrated on {answer.calibration.samples} samples"
    if answer.agreement is not None:
        yield _agreement(answer.agreement, answer.compared_on)
    yield f"runs on {answer.runtime_needed or 'tflite-runtime 2.14'} or newer"
    fault = contract.not_a_classifier(answer.inputs, answer.outputs, answer.operators)
    if fault is None:
        yield f"next: shoal evaluate {answer.model} --data DIR, then shoal release {answer.model} --name ..."
    else:
        yield f"shoal evaluate and shoal release take classifiers of pictures, and this is {fault}"


def _form(tensor: TensorSeen) -> str:
    found = tensor.quantization
    scale = "" if found is None else f", scale {found.scale:.6g}, zero point {found.zero_point}"
    return f"{tensor.name}: {' x '.join(map(str, tensor.shape)) or 'scalar'} {tensor.dtype}{scale}"


def _agreement(found: Agreement, on: str) -> str:
    share = found.same_first_share
    same = "" if share is None else f", the same class for {share:.1%}"
    return (
        f"beside its float model on {found.samples} samples: answers {found.difference_mean:.2g} of their "
        f"range apart on average, {found.difference_max:.2g} at most{same} ({on})"
    )


COMMAND = Command(
    "convert", "turn a trained model into a .tflite file, quantized or not", add_options, run, EPILOG
)
