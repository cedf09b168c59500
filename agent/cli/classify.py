"""`shoal-agent classify`: a model and some pictures, without a broker."""

import argparse
import json
import math
import sys
from pathlib import Path

import msgspec

from agent.assemble.desk.desk import Classified, Classify, Refused, Unreadable
from agent.cli import native
from agent.cli.text import path, printable
from agent.core.edgetpu.words import buses
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.documents import Fit, Normalization
from agent.wire.ipc import EdgeTpu

_DESCRIPTION = """\
Classify pictures with a .tflite model, exactly as the device would classify camera frames.

The model's height, width, colours, number type and quantization are read from the file, and so are its labels
where it carries them. The delegate (XNNPACK, the runtime's own kernels, or with --edgetpu the Edge TPU)
follows from the model."""

_EPILOG = """\
examples:
  shoal-agent classify --model mobilenet_v2_1.0_224_quant.tflite --top 3 parrot.jpg cat.jpg
  shoal-agent classify --model mobilenet_v2_1.0_224_quant_edgetpu.tflite parrot.jpg --edgetpu"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "classify",
        help="classify pictures with a model, without a broker",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "images", nargs="+", type=path, metavar="IMAGE", help="a picture: JPEG, PNG, BMP, ..."
    )
    parser.add_argument("--model", type=path, required=True, metavar="FILE", help="the .tflite file")
    parser.add_argument(
        "--labels",
        type=path,
        metavar="FILE",
        help="names of the classes, one a line (default: those inside the model, else numbers)",
    )
    parser.add_argument(
        "--top", type=_positive, default=5, metavar="N", help="best classes shown (default: 5)"
    )
    add_fit(parser)
    parser.add_argument(
        "--mean",
        type=_numbers,
        metavar="M[,M,M]",
        help="with --std: real = (pixel - mean) / std, pixels in 0..255 (default: what the model says)",
    )
    parser.add_argument("--std", type=_deviations, metavar="S[,S,S]", help="see --mean")
    add_runtime(parser)
    add_edgetpu(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    parser.set_defaults(run=_run, parser=parser)


def add_fit(parser: argparse.ArgumentParser, advice: str = "") -> None:
    parser.add_argument(
        "--fit",
        type=Fit,
        choices=list(Fit),
        default=Fit.CENTRE_CROP,
        metavar="{squash,centre-crop,letterbox}",
        help=f"how a picture becomes the model's shape (default: centre-crop){advice}",
    )


def add_runtime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime",
        type=RuntimeChoice,
        choices=list(RuntimeChoice),
        default=RuntimeChoice.AUTO,
        metavar="{auto,litert,tflite}",
        help="ai-edge-litert or tflite-runtime (default: auto: the first of them that is installed)",
    )
    parser.add_argument(
        "--threads", type=_positive, default=1, metavar="N", help="threads that compute (default: 1)"
    )


def add_edgetpu(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--edgetpu",
        type=_device,
        nargs="?",
        const="",
        metavar="DEVICE",
        help="open an Edge TPU for a model compiled for one: usb, pci, usb:1, pci:0 (default: the first)",
    )
    parser.add_argument(
        "--edgetpu-library",
        default=EdgeTpu().library,
        metavar="PATH",
        help=f"the libedgetpu to open it with (default: {EdgeTpu().library})",
    )


def edgetpu(arguments: argparse.Namespace) -> EdgeTpu | None:
    """What `add_edgetpu` has read."""
    if arguments.edgetpu is None:
        return None
    return EdgeTpu(library=arguments.edgetpu_library, device=arguments.edgetpu)


def _device(text: str) -> str:
    if not buses(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no Edge TPU (usb, pci, usb:1, pci:0, :1); for the first one, put --edgetpu last"
        )
    return text


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not one number or several between commas") from error
    if not all(math.isfinite(number) for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not finite")
    return numbers


def _deviations(text: str) -> tuple[float, ...]:
    numbers = _numbers(text)
    if min(numbers) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a standard deviation is greater than 0")
    return numbers


def _run(arguments: argparse.Namespace) -> int:
    job = Classify(
        model=arguments.model,
        images=tuple(arguments.images),
        labels=arguments.labels,
        runtime=arguments.runtime,
        threads=arguments.threads,
        edgetpu=edgetpu(arguments),
        fit=arguments.fit,
        normalization=_normalization(arguments),
        top=arguments.top,
    )
    width = max(len(_short(image)) for image in job.images)
    status = 0
    for answer in native.ask(job):
        match answer:
            case Classified():
                print(_as_json(answer) if arguments.json else _line(answer, width), flush=True)
            case Unreadable(image=image, detail=detail):
                print(printable(f"shoal-agent: {image}: {detail}"), file=sys.stderr)
                status = 1
            case Refused(detail=detail):
                print(printable(f"shoal-agent: {_about(job.model, detail)}"), file=sys.stderr)
                return 1
            case _:
                raise AssertionError(answer)
    return status


def _normalization(arguments: argparse.Namespace) -> Normalization | None:
    mean, std = arguments.mean, arguments.std
    if (mean is None) != (std is None) or (mean and len(mean) != len(std)):
        arguments.parser.error("--mean and --std go together, with as many values each")
    return None if mean is None else Normalization(mean=mean, std=std)


def _about(model: str, detail: str) -> str:
    return detail if detail.startswith(model) else f"{model}: {detail}"


def _short(image: str) -> str:
    return printable(Path(image).name)


def _as_json(answer: Classified) -> str:
    fields = msgspec.to_builtins(answer)
    del fields["type"]
    return json.dumps(fields)


def _line(answer: Classified, width: int) -> str:
    best = "   ".join(f"{ranked.score:.3f} {printable(ranked.label)}" for ranked in answer.predictions)
    return f"{_short(answer.image):{width}}  {best}   ({answer.latency_ms.invoke:.1f} ms {answer.delegate})"
