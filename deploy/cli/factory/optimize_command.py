"""`shoal optimize`: a trained Keras classifier is trained on, so that it packs or quantizes better."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from deploy.assemble.factory import optimizing
from deploy.assemble.factory.optimizing import Request, Result, Size
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory import look_options
from deploy.cli.factory.number_options import above, whole
from deploy.cli.factory.progress_lines import ProgressLines
from deploy.cli.output import Said
from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.evaluation import statistics
from deploy.core.factory.training.optimizing import Settings
from deploy.core.factory.training.words import LayerWeights, Technique

EPILOG = """\
examples:
  shoal optimize birds.keras --data birds/ --technique prune --sparsity 0.8 -o birds_pruned.keras
  shoal optimize digits.keras --data digits.npz --technique prune cluster -o s.keras --convert s.tflite
  shoal optimize birds.keras --data lessons:birds --technique qat -o birds_qat.h5 --convert birds.tflite

techniques, done in this order whatever the order they are named in; each keeps what those before it won:
  prune     the weakest weights become zero: the file packs better
  cluster   the weights of a layer share a few values: it packs better still
  qat       it learns to live with the rounding of 8 bits (quantization-aware training)

The data are a folder with one folder of pictures for each label, an .npz file with x and y (and x_test and
y_test, where there are some), or module:function that gives (x, y). Pixels are given as uint8, numbers that
are scaled already as floats; y has the number of each sample's class.
"""


class Sizes(Struct, frozen=True, kw_only=True):
    file_bytes: int
    gzip_bytes: int
    pulled_bytes: int
    """By a device: chunks, each packed where that pays."""


class Answer(Struct, frozen=True, kw_only=True):
    model: str
    toolkit: str
    techniques: tuple[Technique, ...]
    training: int
    held_out: int
    right_before: int
    right_after: int
    only_before_right: int
    only_after_right: int
    chance: float
    """Of so large a difference between equally good models (McNemar)."""
    before: Sizes
    after: Sizes
    converted: Sizes | None
    layers: tuple[LayerWeights, ...]
    remarks: tuple[str, ...]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="a trained classifier, .keras or .h5")
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR|FILE.npz|module:function",
        help="labelled samples: it learns from some and is judged by the others",
    )
    parser.add_argument(
        "--technique",
        nargs="+",
        required=True,
        choices=command.names(Technique),
        metavar="NAME",
        help=f"{', '.join(Technique)}; one or several",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="the Keras model: .keras, .h5 after qat"
    )
    parser.add_argument(
        "--convert", type=Path, metavar="FILE.tflite", help="turn what comes of it into this file too"
    )
    parser.add_argument(
        "--quantize",
        choices=command.names(Quantize),
        metavar="MODE",
        help=f"of that file: {', '.join(command.names(Quantize))} (default: int8 after qat, else none)",
    )
    _add_learning(parser)
    look_options.add(parser)
    command.add_json(parser)


def _add_learning(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("how it learns")
    numbers = (
        ("--epochs", whole(1, 1000), 3, "N", "of each technique"),
        ("--batch", whole(1, 4096), 64, "N", "samples to a step"),
        ("--learning-rate", above(0.0, 1.0), 1e-4, "RATE", "lower where the loss leaps"),
        ("--sparsity", above(0.0, 0.99), 0.5, "SHARE", "of each layer's weights that prune makes zero"),
        ("--clusters", whole(2, 256), 16, "N", "values that a layer's weights share after cluster"),
        ("--held-out", above(0.0, 0.9), 0.2, "SHARE", "of the data that judges, where it has no x_test"),
        ("--seed", whole(0, 2**31 - 1), 0, "N", "another one draws otherwise"),
    )
    for option, kind, default, shown, said in numbers:
        group.add_argument(
            option, type=kind, default=default, metavar=shown, help=f"{said} (default: {default})"
        )


def run(options: Namespace) -> int:
    request = Request(
        model=options.model,
        data=options.data,
        out=options.out,
        techniques=tuple(map(Technique, options.technique)),
        settings=Settings(
            epochs=options.epochs,
            batch=options.batch,
            learning_rate=options.learning_rate,
            sparsity=options.sparsity,
            clusters=options.clusters,
            held_out=options.held_out,
            seed=options.seed,
        ),
        look=look_options.look(options),
        convert=options.convert,
        quantize=Quantize(options.quantize) if options.quantize else None,
    )
    answer = _answer(request, optimizing.optimize(request, ProgressLines().note))
    for remark in answer.remarks:
        output.note(remark)
    if options.json:
        output.say_json(answer)
    else:
        output.say(*_lines(answer, request))
    return 0


def _answer(request: Request, result: Result) -> Answer:
    found = result.optimized
    return Answer(
        model=str(request.out),
        toolkit=found.toolkit,
        techniques=tuple(each for each in Technique if each in request.techniques),
        training=found.training,
        held_out=found.held_out,
        right_before=found.right_before,
        right_after=found.right_after,
        only_before_right=found.only_before,
        only_after_right=found.only_after,
        chance=statistics.mcnemar(found.only_before, found.only_after),
        before=_sizes(result.before),
        after=_sizes(result.after),
        converted=None if result.converted is None else _sizes(result.converted),
        layers=found.layers,
        remarks=result.remarks,
    )


def _sizes(size: Size) -> Sizes:
    return Sizes(file_bytes=size.file, gzip_bytes=size.gzip, pulled_bytes=size.pulled)


def _lines(answer: Answer, request: Request) -> Iterator[Said]:
    yield f"{answer.model}: {', '.join(answer.techniques)} over {answer.training:,} samples, {answer.toolkit}"
    rows = [
        ("before", _right(answer.right_before, answer.held_out), *_cells(answer.before)),
        ("after", _right(answer.right_after, answer.held_out), *_cells(answer.after)),
    ]
    if answer.converted is not None:
        rows.append((str(request.convert), "", *_cells(answer.converted)))
    yield output.Table(("", f"RIGHT OF {answer.held_out:,}", ".TFLITE", "GZIP", "PULLED"), rows)
    yield _difference(answer)
    rows = [(each.name, f"{each.weights:,}", *_share(each), f"{each.values:,}") for each in answer.layers]
    yield output.Table(("LAYER", "WEIGHTS", "ZEROS", "VALUES"), rows)
    if answer.converted is None:
        yield f"next: shoal convert {answer.model} -o FILE.tflite --quantize MODE"
    else:
        yield f"next: shoal evaluate {request.convert} --data DIR"


def _right(right: int, of: int) -> str:
    found = statistics.wilson(right, of)
    return f"{right:,} ({right / of:.2%}; {found.low:.2%} to {found.high:.2%})"


def _cells(sizes: Sizes) -> tuple[str, ...]:
    return f"{sizes.file_bytes:,}", f"{sizes.gzip_bytes:,}", f"{sizes.pulled_bytes:,}"


def _share(layer: LayerWeights) -> tuple[str]:
    return (f"{layer.zeros / layer.weights:.1%}",)


def _difference(answer: Answer) -> str:
    points = 100 * (answer.right_after - answer.right_before) / answer.held_out
    said = f"{points:+.2f} points of accuracy"
    if answer.chance < statistics.SIGNIFICANT:
        return f"{said}: more than chance explains (p = {answer.chance:.2g})"
    return f"{said}: no difference that {answer.held_out:,} samples can show (p = {answer.chance:.2g})"


COMMAND = Command(
    "optimize", "prune, cluster or quantization-aware train a Keras classifier", add_options, run, EPILOG
)
