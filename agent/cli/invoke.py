"""`shoal-agent invoke`: any signature of any .tflite model, with arrays from files."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.assemble.desk.desk import Refused
from agent.assemble.desk.invoking import Given, Invoke, Invoked, Listed, Output, PortSeen
from agent.cli import native
from agent.cli.classify import add_edgetpu, add_runtime, edgetpu
from agent.cli.text import path, printable
from agent.core.tflite.invocation import said

_DESCRIPTION = """\
Call a signature of a .tflite model, of any kind, with arrays from .npy files: detectors, segmenters,
embeddings, recurrent models as well as classifiers. Without inputs it lists what can be called. Free sizes
are set from the arrays; types must be those of the model. The model runs in a child process of its own."""

_EPILOG = """\
examples:
  shoal-agent invoke model.tflite
  shoal-agent invoke model.tflite image.npy
  shoal-agent invoke encoder.tflite --signature encode tokens=tokens.npy mask=mask.npy --out encoded.npz
  shoal-agent invoke recurrent.tflite --steps x=sequence.npy --out scores.npy

A model without signatures is called by the names of its tensors."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "invoke",
        help="call any signature of any model with arrays from files",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("model", type=path, metavar="MODEL", help="the .tflite file")
    parser.add_argument(
        "inputs",
        nargs="*",
        type=_given,
        metavar="NAME=FILE.npy",
        help="an input; the name may be left out where there is only one (default: list the signatures)",
    )
    parser.add_argument("--signature", metavar="NAME", help="which one (default: the only one)")
    parser.add_argument(
        "--steps",
        action="store_true",
        help="each file holds a sequence on one more axis in front: one call a step, and what a recurrent "
        "model remembers stays between them",
    )
    parser.add_argument(
        "--out", type=path, metavar="FILE", help="where the outputs go: .npz, or .npy for a single one"
    )
    add_runtime(parser)
    add_edgetpu(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    parser.set_defaults(run=_run)


def _given(text: str) -> Given:
    """`NAME=FILE`, or only a file. A file whose own name has a = in it must be named."""
    name, found, file = text.partition("=")
    return Given(name=name, file=path(file)) if found else Given(name="", file=path(text))


def _run(arguments: argparse.Namespace) -> int:
    names = [given.name for given in arguments.inputs]
    if len(set(names)) < len(names):
        return _refuse(arguments.model, "an input is given twice: give each once, as NAME=FILE.npy")
    job = asked(arguments)
    # A child that dies after its answer has died of this model too: the last word counts.
    *_, last = native.ask(job)
    match last:
        case Refused(detail=detail):
            return _refuse(job.model, detail)
        case Listed(fault=fault):
            _say(last, _listed(last), as_json=arguments.json)
            return _refuse(job.model, fault) if fault else 0
        case Invoked():
            _say(last, _told(last), as_json=arguments.json)
            return 0
        case _:
            raise AssertionError(last)


def asked(arguments: argparse.Namespace) -> Invoke:
    return Invoke(
        model=arguments.model,
        signature=arguments.signature,
        inputs=tuple(arguments.inputs),
        steps=arguments.steps,
        out=arguments.out,
        runtime=arguments.runtime,
        threads=arguments.threads,
        edgetpu=edgetpu(arguments),
    )


def _refuse(model: str, why: str) -> int:
    about = why if why.startswith(model) else f"{model}: {why}"
    print(printable(f"shoal-agent: {about}"), file=sys.stderr)
    return 1


def _say(answer: Listed | Invoked, lines: Iterator[str], *, as_json: bool) -> None:
    if as_json:
        fields = msgspec.to_builtins(answer)
        del fields["type"]
        print(json.dumps(fields, indent=2))
        return
    for line in lines:
        print(printable(line))


def _listed(answer: Listed) -> Iterator[str]:
    for signature in answer.signatures:
        yield f"signature {signature.name}" if signature.name else "no signatures; its tensors are"
        yield from (f"  input   {_port(port)}" for port in signature.inputs)
        yield from (f"  output  {_port(port)}" for port in signature.outputs)


def _port(port: PortSeen) -> str:
    quantization = port.quantization
    scale = f", scale {quantization.scale:.8g}, zero point {quantization.zero_point}" if quantization else ""
    return f"{port.name}: {said(port.shape)} {port.dtype}{scale}"


def _told(answer: Invoked) -> Iterator[str]:
    yield from map(_output, answer.outputs)
    calls = f"{answer.calls} calls, each " if answer.calls > 1 else ""
    written = f", written to {Path(answer.file).name}" if answer.file else ""
    yield f"({calls}{answer.invoke_ms:.1f} ms in {answer.runtime}{written})"


def _output(output: Output) -> str:
    shown = " ".join(value if isinstance(value, str) else f"{value:g}" for value in output.first)
    span = ""
    if output.least is not None:
        span = f", {output.least:g} to {output.greatest:g}, mean {output.mean:g}"
    return f"{output.name}: {said(output.shape)} {output.dtype}{span}: {shown}"
