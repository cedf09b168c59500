"""`shoal compile`: full-integer models become ones that an Edge TPU runs."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from msgspec import Struct

from deploy.adapters.edgetpu_compiler import EdgeTpuCompiler
from deploy.assemble.factory import compiling
from deploy.assemble.factory.compiling import Compiled, Request
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory.number_options import whole
from deploy.core.factory.edgetpu.compiler_report import Part

EPILOG: Final = """\
examples:
  shoal compile birds_int8.tflite
  shoal release birds_int8.tflite birds_int8_edgetpu.tflite --name birds --version 1.3.0 --golden photographs/

edgetpu_compiler is Coral's: it comes from Coral's package repository, for Debian and its kin on x86-64 only.
It takes full-integer models (shoal convert --quantize int8 or uint8); what it would take of a model that is
not converted yet, shoal advise --target edgetpu tells without it.
"""


class Answer(Struct, frozen=True, kw_only=True):
    model: str
    compiled: str
    compiler: str
    took_ms: int
    length_bytes: int
    report: Part
    remarks: tuple[str, ...]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="full-integer .tflite files")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="DIR",
        help="where MODEL_edgetpu.tflite goes (default: beside MODEL)",
    )
    parser.add_argument(
        "--min-runtime-version",
        type=whole(1),
        metavar="N",
        help="the oldest Edge TPU runtime in the fleet (default: the newest that the compiler knows)",
    )
    parser.add_argument(
        "--num-segments", type=whole(1), metavar="N", help="cut it into so many files, for as many Edge TPUs"
    )
    parser.add_argument(
        "--search-delegate",
        action="store_true",
        help="where the whole cannot be compiled, look for the largest part that can",
    )
    parser.add_argument(
        "--several-subgraphs",
        action="store_true",
        help="come back to the Edge TPU after operators that stay on the CPU (experimental; often slower)",
    )
    parser.add_argument(
        "--timeout-s", type=whole(1), metavar="S", help="that it may take for one model (default: 180)"
    )
    parser.add_argument(
        "--together",
        action="store_true",
        help="compile several models in one run, for one Edge TPU that holds them all",
    )
    command.add_json(parser)


def run(options: Namespace) -> int:
    request = Request(
        models=tuple(options.models),
        out=options.out,
        runtime=options.min_runtime_version,
        segments=options.num_segments,
        search=options.search_delegate,
        subgraphs=options.several_subgraphs,
        timeout_s=options.timeout_s,
        together=options.together,
    )
    answers = []
    for compiled in compiling.compile_models(EdgeTpuCompiler(), request):
        answers.append(_answer(compiled))
        if not options.json:
            _tell(compiled)
    if options.json:
        output.say_json(answers)
    return 0


def _answer(compiled: Compiled) -> Answer:
    return Answer(
        model=str(compiled.model),
        compiled=str(compiled.path),
        compiler=compiled.compiler,
        took_ms=compiled.took_ms,
        length_bytes=compiled.length_bytes,
        report=compiled.part,
        remarks=compiled.remarks,
    )


def _tell(compiled: Compiled) -> None:
    part = compiled.part
    output.say(
        f"{compiled.path}: {part.mapped} of {part.total} operators on the Edge TPU, "
        f"{compiled.length_bytes:,} bytes; on the chip {part.cached_bytes:,} bytes of parameters and room "
        f"for {part.left_bytes:,} more, {part.streamed_bytes:,} bytes sent at each inference"
    )
    for remark in compiled.remarks:
        output.note(remark)


COMMAND: Final = Command("compile", "compile models for the Edge TPU", add_options, run, EPILOG)
